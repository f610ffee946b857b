"""The house stands: a room imports only from lower floors, and the drawing is the rule.

The floors are read from the drawing in CONTRIBUTING.md, so that the two cannot disagree. Imports are
read from the source, those inside functions included.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lmbook"


def floors() -> dict[str, int]:
    drawing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = re.findall(r"^L(\d)((?:[ \t]+\w+)+)$", drawing, re.MULTILINE)
    return {room: int(level) for level, rooms in lines for room in rooms.split()}


FLOORS = floors()
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST, module: str) -> list[tuple[int, str]]:
    """Line and full dotted name of everything of the package that a module imports."""
    package = module.split(".")[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            # `from lmbook import nn` imports a room, `from lmbook import Tensor` the root
            found += [(node.lineno, f"{name}.{alias.name}") for alias in node.names]
        elif is_dynamic_import(node):
            argument = node.args[0] if node.args else None  # type: ignore[attr-defined]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                found.append((node.lineno, argument.value))  # type: ignore[attr-defined]
    return [(line, name) for line, name in found if name.split(".")[0] == "lmbook"]


def is_dynamic_import(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in {"import_module", "__import__"}


def violations(source: str, module: str) -> list[str]:
    """What a module imports against the rule, one line of complaint each."""
    room = module.split(".")[1]
    complaints = []
    for line, name in imported(ast.parse(source), module):
        parts = name.split(".")
        other = parts[1] if len(parts) > 1 else ""
        if other == room:
            continue
        if other not in FLOORS:
            complaints.append(f"line {line}: `{name}` comes through the package root")
        elif FLOORS[other] >= FLOORS[room]:
            complaints.append(
                f"line {line}: {room} (floor {FLOORS[room]}) imports {other} (floor {FLOORS[other]})"
            )
    return complaints


def test_the_drawing_has_every_room() -> None:
    rooms = {room_of(path) for path in FILES}
    assert rooms <= set(FLOORS), f"not in CONTRIBUTING's drawing: {sorted(rooms - set(FLOORS))}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_room_imports_from_lower_floors_only(path: Path) -> None:
    relative = path.relative_to(ROOT).with_suffix("")
    module = ".".join(relative.parts)
    if path.name == "__init__.py":
        module = ".".join(relative.parts)  # keeps `__init__`, so that `.` means the room
    assert not violations(path.read_text(encoding="utf-8"), module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("lmbook.backend.x", "from lmbook.autograd import Tensor"),
        ("lmbook.optim.x", "from lmbook.functional import relu"),
        ("lmbook.nn.x", "def f():\n    from lmbook.viz import style"),
        ("lmbook.nn.x", "from lmbook import Tensor"),
        ("lmbook.nn.x", "import lmbook"),
        ("lmbook.nn.x", "from ..models import gpt"),
        ("lmbook.nn.x", "import importlib\nimportlib.import_module('lmbook.training')"),
        ("lmbook.functional.__init__", "from ..nn import Linear"),
    ],
)
def test_the_reader_of_imports_catches(module: str, source: str) -> None:
    assert violations(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("lmbook.nn.x", "from lmbook import functional as F"),
        ("lmbook.nn.x", "from .module import Module\nfrom . import init"),
        ("lmbook.nn.x", "from ..functional import relu\nimport numpy as np"),
    ],
)
def test_the_reader_of_imports_allows(module: str, source: str) -> None:
    assert not violations(source, module)


def test_files_stay_short() -> None:
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in PACKAGE.rglob("*.py")}
    long = {p.relative_to(ROOT).as_posix(): n for p, n in lengths.items() if n > 400}
    assert not long, f"over 400 lines: {long}"
    median = sorted(lengths.values())[len(lengths) // 2]
    assert median < 150, f"the median file has {median} lines"


OPTIONAL = (
    "cloudpickle", "cupy", "jax", "matplotlib", "mpi4py", "numba", "pandas", "ray", "rich", "scipy",
    "torch", "typer",
)  # fmt: skip


def test_the_core_imports_with_numpy_alone() -> None:
    """Floors 0 to 3 import while every optional library is hidden, and start no thread."""
    rooms = [r for r, level in FLOORS.items() if level <= 3 and (PACKAGE / r).is_dir()]
    code = (
        "import sys, threading\n"
        f"for name in {OPTIONAL!r}: sys.modules[name] = None\n"
        "import lmbook\n"
        f"for room in {rooms!r}: __import__('lmbook.' + room)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_import_is_quick_and_pulls_nothing_optional() -> None:
    """`import lmbook` takes under 0.2 s beyond NumPy's own import (best of three)."""
    code = (
        "import sys, time, numpy\n"
        "start = time.perf_counter()\nimport lmbook\n"
        "print(time.perf_counter() - start)\n"
        f"print([name for name in {OPTIONAL!r} if name in sys.modules])\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for _ in range(3)
    ]
    seconds = min(float(done.stdout.split()[0]) for done in runs)
    assert runs[0].stdout.splitlines()[1] == "[]", "import lmbook pulls in an optional library"
    assert seconds < 0.2, f"import lmbook takes {seconds:.2f} s beyond NumPy"


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports them by their names alone."""
    names = [p.name for p in Path(__file__).parent.rglob("test_*.py")]
    assert len(names) == len(set(names)), {n for n in names if names.count(n) > 1}
