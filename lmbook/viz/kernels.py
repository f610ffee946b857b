"""Show a kernel's real source in CUDA C beside the prose."""

from __future__ import annotations

import re
import sys
from typing import Any


def kernel_source(source: str, name: str) -> str:
    """One function of a file of CUDA C, with the comment above it, to its closing brace."""
    lines = source.split("\n")
    head = re.compile(rf"\b{re.escape(name.split('<')[0])}\s*\(")
    start = next(
        (
            i
            for i, s in enumerate(lines)
            if head.search(s) and "void" in "".join(lines[max(0, i - 1) : i + 1])
        ),
        None,
    )
    if start is None:
        raise ValueError(f"show_kernel: the source has no kernel {name}")
    end = start
    while "void" not in lines[start]:
        start -= 1
    depth = opened = 0
    for end in range(start, len(lines)):
        depth += lines[end].count("{") - lines[end].count("}")
        opened += lines[end].count("{")
        if opened and depth <= 0:
            break
    while start and lines[start - 1].startswith(("//", "template", "__launch_bounds__")):
        start -= 1
    return "\n".join(lines[start : end + 1])


def show_kernel(kernel: Any, name: str = "", *, comment: bool = True) -> None:
    """Display the source of a kernel as a highlighted block.

    `kernel` is a `gpu.Kernel`, or a rung of the ladder or a string of CUDA C, of which `name` is one kernel.
    Without `comment` the lines of comment above it are left out, where they would answer a question.
    Raises ValueError when there is none of that name.
    """
    text = kernel_source(getattr(kernel, "source", kernel), name or kernel.name)
    if not comment:
        lines = text.split("\n")
        while lines[0].startswith("//"):
            lines = lines[1:]
        text = "\n".join(lines)
    shell = sys.modules.get("IPython")
    if shell is None or shell.get_ipython() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/markdown": f"```cpp\n{text}\n```", "text/plain": text}, raw=True)
