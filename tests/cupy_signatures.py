"""Which functions, methods and arguments of NumPy's CuPy has, read from an installed CuPy; no GPU is needed.

    python tests/cupy_signatures.py                 write tests/cupy_signatures.csv anew
    python tests/cupy_signatures.py --both          keep of it what this CuPy has, too
    python tests/cupy_signatures.py --check         fail if this CuPy lacks something that stands there

The file that is there holds what CuPy 13.6 and 14.2 have in common. The stand-in refuses everything else.
"""

from __future__ import annotations

import csv
import inspect
import re
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("cupy_signatures.csv")
Key = tuple[str, str]
STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def known() -> dict[Key, list[str]]:
    """Parameters by kind (function, method, ufunc) and name."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {(r["kind"], r["name"]): r["parameters"].split() for r in csv.DictReader(file)}


def _parameters(o: Any) -> list[str]:
    """Names in order; of compiled functions from the line that the compiler put into the docstring."""
    try:
        return [STARS.get(p.kind, "") + p.name for p in inspect.signature(o).parameters.values()]
    except (TypeError, ValueError):
        line = (o.__doc__ or "").partition("\n")[0]
        found = re.search(r"\((?:self(?:, )?)?(.*?)\)(?: ->|$)", line)
        words = re.sub(r"=[^,]*", "", found[1]).split(",") if found and found[1] else []
        return [w.split()[-1] for w in words if w.strip() != "*"]


def installed() -> Iterator[tuple[Key, list[str]]]:
    """What the CuPy that is installed here has of NumPy's."""
    import cupy

    for module in ("", "linalg", "fft"):
        mine = reduce(getattr, module.split(".") if module else [], cupy)
        theirs: Any = reduce(getattr, module.split(".") if module else [], np)
        for name in dir(theirs):
            f = getattr(theirs, name)
            if not hasattr(mine, name):
                continue
            if isinstance(f, np.ufunc):
                yield ("ufunc", name), []
            elif hasattr(f, "_implementation"):  # NumPy asks its arguments who carries it out
                parts = [*f.__module__.split(".")[1:], f.__name__]
                yield ("function", ".".join(parts)), _parameters(getattr(mine, name))
    for name in dir(cupy.ndarray):
        if not name.startswith("_") and callable(o := getattr(cupy.ndarray, name)):
            words = _parameters(o)
            yield ("method", name), words[1:] if words[:1] == ["self"] else words


def main(option: str = "") -> int:
    rows = dict(installed())
    if option:
        old = known()
        lacks = [
            f"{kind} {name}: {', '.join(p for p in ps if p not in rows.get((kind, name), []))}"
            for (kind, name), ps in old.items()
            if (kind, name) not in rows or not set(ps) <= set(rows[kind, name])
        ]
        if option == "--check":
            print("\n".join(lacks) or "CuPy has all of it")
            return bool(lacks)
        both = old.keys() & rows.keys()
        rows = {key: [p for p in old[key] if p in rows[key]] for key in both}
    with FILE.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("kind", "name", "parameters"))
        out.writerows((*key, " ".join(ps)) for key, ps in sorted(rows.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
