"""The package as pip installs it, away from the repository: its data, NumPy alone, the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT")
CORE = ("backend", "accelerators", "autograd", "data", "distributed", "functional", "optim", "nn")

# Put before anything else: only NumPy, the standard library and lmbook can be found.
NUMPY_ALONE = """
import sys
class NumPyAlone:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {*sys.stdlib_module_names, "numpy", "lmbook"}:
            return self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(NumPyAlone, sys.meta_path)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel holds."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lmbook", source / "lmbook", ignore=ignore)
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--wheel-dir", str(base), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = base.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(base / "site")
    return base / "site"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the installed package in front, in a folder outside of any clone."""
    elsewhere = installed.parent
    environment = {
        **os.environ, "PYTHONPATH": str(installed), "PYTHONUTF8": "1",
        "LMBOOK_HOME": str(elsewhere / "progress"),
    }  # fmt: skip
    return subprocess.run([sys.executable, *arguments], cwd=elsewhere, env=environment,
                          capture_output=True, text=True, encoding="utf-8")  # fmt: skip


def test_every_file_of_the_package_is_in_the_wheel(installed: Path) -> None:
    there = {
        p.relative_to(installed).as_posix()
        for p in (installed / "lmbook").rglob("*")
        if p.is_file()
    }
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "lmbook").rglob("*") if p.is_file()}
    assert {name for name in here if "__pycache__" not in name} == there


def test_the_core_works_with_numpy_alone(installed: Path) -> None:
    """Floors 0 to 3 import, start no thread, read the data that comes with the package, and compute."""
    done = run(installed, "-c", NUMPY_ALONE + f"""
import threading, lmbook
assert lmbook.__file__.startswith({str(installed)!r}), lmbook.__file__
for room in {CORE!r}: __import__("lmbook." + room)
assert threading.active_count() == 1, threading.enumerate()
assert len(lmbook.data.language_reference().text) > 300_000
layer = lmbook.nn.Linear(3, 2)
layer(lmbook.ones(4, 3)).sum().backward()
lmbook.optim.AdamW(layer.parameters()).step()
assert layer.weight.grad.shape == (2, 3)
try: import matplotlib
except ImportError: print("alone")
""")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "alone\n"


@pytest.mark.parametrize(
    "command", ["--version", "doctor", "data list", "progress", "grade --help"]
)
def test_commands_run_from_the_wheel(installed: Path, command: str) -> None:
    done = run(installed, "-m", "lmbook.cli", *command.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", ["book build", "book check", "lab"])
def test_commands_that_need_a_clone_say_so(installed: Path, command: str) -> None:
    done = run(installed, "-m", "lmbook.cli", *command.split())
    assert done.returncode == 2
    assert "Clone it" in done.stderr


def test_a_missing_file_is_named_by_grade(installed: Path) -> None:
    done = run(installed, "-m", "lmbook.cli", "grade", "nowhere.ipynb")
    assert done.returncode == 1 and "no such file" in done.stdout
