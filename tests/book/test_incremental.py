"""A second build reads and writes nothing; a change renumbers every page that shows the number."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CONF = f"""
import sys
sys.path[:0] = [{str(ROOT / "book" / "_ext")!r}, {str(ROOT)!r}]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "numbering", "apidoc"]
numfig = True
"""
FIGURE = "(fig-{0})=\n```{{figure}} dot.svg\nA dot.\n```\n"
PAGES = {
    "index": "# Start\n\n```{toctree}\none\ntwo\napi\n```\n",
    "one": "# 2.1.3 One\n\n" + FIGURE.format("a"),
    "two": "# 2.1.4 Two\n\nSee {numref}`fig-a`.\n\n" + FIGURE.format("b"),
    "api": "# Data types\n\n```{room} optim\n```\n",
}


def build(folder: Path) -> str:
    """Build the little book as a program of its own; what Sphinx says of it."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", str(folder), str(folder / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace",
        env={**os.environ, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def figures(folder: Path) -> list[str]:
    return re.findall(r"Fig\. ([\d.-]+\d)", (folder / "out" / "two.html").read_text("utf-8"))


def test_only_what_changed_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(CONF, encoding="utf-8")
    (tmp_path / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    for name, text in PAGES.items():
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    assert "4 added" in build(tmp_path)
    assert figures(tmp_path) == ["2.1.3-1", "2.1.4-1"]
    for _ in range(2):
        said = build(tmp_path)
        assert "0 added, 0 changed, 0 removed" in said
        assert "now-outdated files... none found" in said
    with (tmp_path / "one.md").open("w", encoding="utf-8") as file:
        file.write(PAGES["one"].replace("(fig-a)", FIGURE.format("new") + "\n(fig-a)"))
    assert "0 added, 1 changed, 0 removed" in build(tmp_path)
    assert figures(tmp_path) == ["2.1.3-2", "2.1.4-1"]
    assert "now-outdated files... none found" in build(tmp_path)
