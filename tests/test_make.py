"""`make.py` with what goes wrong on a reader's machine: one clear sentence, and no traceback."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with make.py and nothing that it needs but empty stand-ins."""
    shutil.copy(ROOT / "make.py", tmp_path)
    for name in ("book", "chapters", "lmbook"):
        (tmp_path / name).mkdir()
    for name in ("pyproject.toml", "README.md", "_config.yml", "_toc.yml"):
        (tmp_path / name).touch()
    return tmp_path


def make(clone: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(clone / "make.py"), *words]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **environment}
    )


def test_without_a_command_or_with_a_wrong_one(clone: Path) -> None:
    for words in ([], ["sight"]):
        said = make(clone, *words)
        assert said.returncode == 1 and "python make.py site" in said.stderr
        assert "Traceback" not in said.stderr


def test_help_and_words_it_does_not_know_start_nothing(clone: Path) -> None:
    for words in (["--help"], ["test", "--help"]):
        said = make(clone, *words)
        assert said.returncode == 0 and "python make.py site" in said.stdout
    said = make(clone, "test", "chapters")
    assert said.returncode == 1 and "make.py test does not take chapters" in said.stderr


def test_a_clone_that_lacks_files(clone: Path) -> None:
    (clone / "pyproject.toml").unlink()
    (clone / "book").rmdir()
    said = make(clone, "site")
    assert said.returncode == 1 and not said.stdout
    assert said.stderr.strip() == (
        "This copy of the book lacks pyproject.toml, book: clone the repository again."
    )


@pytest.mark.slow
def test_without_a_network(clone: Path) -> None:
    """pip's own words, what they mean, and the table; then a run with a network begins anew."""
    (clone / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "lmbook"\nversion = "0"\n',
        encoding="utf-8",
    )
    said = make(
        clone, "site", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(clone), PIP_CONFIG_FILE=os.devnull
    )
    assert said.returncode == 1 and "Traceback" not in said.stderr
    assert "the network or pip's index is out of reach" in said.stdout
    assert "Failed: install lmbook[book]" in said.stdout
    assert not (clone / ".venv" / "lmbook-installed.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"extras": ["book"]}'])
def test_a_damaged_note_of_what_is_installed_means_nothing_is(clone: Path, text: str) -> None:
    maker: dict[str, Any] = runpy.run_path(str(clone / "make.py"))
    maker["PYTHON"].parent.mkdir(parents=True)
    maker["PYTHON"].touch()
    maker["STAMP"].write_text(json.dumps(maker["wanted_stamp"](["book"])), encoding="utf-8")
    assert maker["is_current"](["book"]) and not maker["is_current"](["book", "torch"])
    maker["STAMP"].write_text(text, encoding="utf-8")
    assert not maker["is_current"](["book"])


@pytest.mark.parametrize(
    ("torch", "wanted", "indices"),
    [("2.13.0+cpu", "torchvision==0.28.*", 2), ("2.9.1", "torchvision==0.24.*", 1), ("", "", 0)],
)
def test_torchvision_is_the_one_made_for_the_torch_that_is_there(
    torch: str, wanted: str, indices: int, clone: Path
) -> None:
    """One that is newer would bring another PyTorch; so pip is told the number, and no dependencies."""
    install = runpy.run_path(str(clone / "make.py"))["install_torchvision"]
    calls: list[list[str]] = []

    class Failing:
        @staticmethod
        def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            calls.append(words)
            return subprocess.CompletedProcess(words, 1)

    known = {"output_of": lambda program: torch if "print(m" in program else ""}
    install.__globals__.update(known, subprocess=Failing)
    install()
    assert len(calls) == indices
    assert all(words[-1] == wanted and "--no-deps" in words for words in calls)
    there = {"output_of": lambda program: "there"}
    install.__globals__.update(there)
    install()
    assert len(calls) == indices
