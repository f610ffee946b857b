"""Show the package's real source beside the prose, so that nothing is pasted."""

import ast
import inspect
import sys
import textwrap
from pathlib import PurePath
from types import ModuleType
from typing import Any


def _without_docstrings(lines: list[str]) -> list[str]:
    """The same lines less every docstring (and less nothing else)."""
    drop: set[int] = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        first = body[0]
        if isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            drop.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    kept = [line for i, line in enumerate(lines, 1) if i not in drop]
    while kept and not kept[0].strip():
        kept.pop(0)
    return kept


def _between(lines: list[str], start: str | None, end: str | None, name: str) -> list[str]:
    first = 0
    if start is not None:
        first = next((i for i, s in enumerate(lines) if start in s), -1)
        if first < 0:
            raise ValueError(f"show_source: no line of {name} contains start={start!r}")
    last = len(lines) - 1
    if end is not None:
        last = next((i for i, s in enumerate(lines) if i >= first and end in s), -1)
        if last < 0:
            raise ValueError(
                f"show_source: no line of {name} from the start on contains end={end!r}"
            )
    return lines[first : last + 1]


def source(
    obj: Any,
    *,
    methods: tuple[str, ...] = (),
    start: str | None = None,
    end: str | None = None,
    doc: bool = True,
) -> str:
    """The source text that `show_source` displays."""
    name = getattr(obj, "__name__", repr(obj))
    text = textwrap.dedent(inspect.getsource(obj))
    if methods:
        if not inspect.isclass(obj):
            raise TypeError(f"show_source: methods= needs a class, {name} is {type(obj).__name__}")
        missing = [m for m in methods if m not in vars(obj)]
        if missing:
            raise ValueError(f"show_source: {name} defines no {', '.join(missing)}")
        head = next(s for s in text.splitlines() if s.startswith("class "))
        parts = [inspect.getsource(inspect.unwrap(_plain(vars(obj)[m]))) for m in methods]
        text = head + "\n" + "\n".join(p.rstrip() + "\n" for p in parts)
    lines = text.rstrip().splitlines()
    lines = lines if doc else _without_docstrings(lines)
    if start is not None or end is not None:
        lines = textwrap.dedent("\n".join(_between(lines, start, end, name))).splitlines()
    module = obj if isinstance(obj, ModuleType) else sys.modules.get(getattr(obj, "__module__", ""))
    return f"# {_where(module)}\n" + "\n".join(lines)


def _plain(attribute: Any) -> Any:
    """The function inside a static method, class method or property."""
    return getattr(attribute, "fget", None) or getattr(attribute, "__func__", attribute)


def _where(module: ModuleType | None) -> str:
    """The file's path from the package on, the same on every machine."""
    if module is None or not getattr(module, "__file__", None):
        return "this notebook"
    parts = PurePath(str(module.__file__)).parts
    depth = len(module.__name__.split(".")) + (parts[-1] == "__init__.py")
    return "/".join(parts[-depth:])


def show_source(
    obj: Any,
    *,
    methods: tuple[str, ...] = (),
    start: str | None = None,
    end: str | None = None,
    doc: bool = True,
) -> None:
    """Display the source of a module, class or function as a highlighted block.

    `methods` shows only these methods of a class; `start` and `end` cut from the first line that
    contains one text to the next that contains the other; `doc=False` leaves docstrings out.
    Raises ValueError when a method or a marker is not there any more.
    """
    text = source(obj, methods=methods, start=start, end=end, doc=doc)
    shell = sys.modules.get("IPython")
    if shell is None or shell.get_ipython() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/markdown": f"```python\n{text}\n```", "text/plain": text}, raw=True)
