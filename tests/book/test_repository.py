"""What is generated is in step with what it is made from, and the address stands in one place."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest

from book.tools import contents, environment, repository

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    """Files under version control, or every file outside of builds where there is no git."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        skip = {".venv", ".git", "_build", "__pycache__"}
        return [
            p for p in ROOT.rglob("*") if p.is_file() and not skip & set(p.relative_to(ROOT).parts)
        ]
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_environment_yml_is_in_step() -> None:
    assert environment.main(["--check"]) == 0


def test_environment_yml_follows_pyproject() -> None:
    made = environment.environment(
        '[project]\nname = "p"\nrequires-python = ">=3.11"\ndependencies = ["numpy>=1.26"]\n'
        "[project.optional-dependencies]\n"
        'notebooks = ["a"]\nbook = ["p[notebooks]", "b>=2,<3"]\ntorch = ["torch>=2"]\nfast = []\n'
        "dev = [\"playwright>=1; sys_platform != 'x'\"]\n"
    )
    for line in ('- "numpy>=1.26"', '- "b>=2,<3"', '- "pytorch>=2"', '      - "playwright>=1"'):
        assert line in made
    assert '"p[' not in made


def test_contents_and_api_pages_are_in_step() -> None:
    assert contents.main(["--check"]) == 0


def test_badges_are_in_step() -> None:
    assert repository.main(["--check"]) == 0


def test_the_address_stands_in_one_place() -> None:
    """Notebooks and the README's badges are made from _config.yml; nothing else may name the address."""
    address = repository.url().removeprefix("https://")
    made = re.compile(r"<!-- badges -->.*?<!-- /badges -->", re.DOTALL)
    holders = []
    for path in tracked():
        if path.suffix in {".ipynb", ".png", ".woff", ".woff2", ".gz", ".npz"}:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        if address.lower() in made.sub("", text).lower():
            holders.append(path.relative_to(ROOT).as_posix())
    assert holders == ["_config.yml"]


def test_address_tool_reads_what_yaml_reads() -> None:
    yaml = pytest.importorskip("yaml", reason="comes with the extra `book`")
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    assert repository.url() == settings["url"].rstrip("/")
    assert repository.setting("branch") == settings["branch"]


def test_set_up_cells_name_the_address_of_the_configuration() -> None:
    """A notebook that installs the package does so from the configured address."""
    for path in notebooks():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for found in re.findall(r"git\+https://[^\s\"'@]+", "".join(cell["source"])):
                assert found == f"git+{repository.url()}", path.name


def notebooks() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".ipynb"]


def test_every_notebook_has_a_place() -> None:
    """In the table of contents, or a pair of solution and exercise."""
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?:file|root): (\S+)", toc))
    astray = []
    for path in notebooks():
        place = path.relative_to(ROOT)
        if place.parts[0] == "chapters":
            fine = place.with_suffix("").as_posix() in listed
        elif place.parts[0] in {"exercises", "solutions"}:
            twin = {"exercises": "solutions", "solutions": "exercises"}[place.parts[0]]
            fine = (ROOT / twin / Path(*place.parts[1:])).exists()
        else:
            fine = place.parts[0] == "tests"
        if not fine:
            astray.append(place.as_posix())
    assert not astray


def test_every_page_of_the_contents_exists() -> None:
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for name in re.findall(r"(?:file|root): (\S+)", toc):
        assert any((ROOT / f"{name}{ending}").exists() for ending in (".md", ".ipynb")), name


def test_contributing_fits_on_a_page() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 66
    assert len(text.split()) <= 500


def test_make_py_needs_the_standard_library_only() -> None:
    import ast
    import sys

    tree = ast.parse((ROOT / "make.py").read_text(encoding="utf-8"))
    names = {
        a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names
    }
    names |= {
        n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module
    }
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "path", sorted((ROOT / "book" / "facts").glob("*.csv")), ids=lambda p: p.name
)
def test_tables_of_facts_have_as_many_fields_in_every_row(path: Path) -> None:
    """A comma in a text that is not quoted would shift all that follows it."""
    with path.open(encoding="utf-8", newline="") as f:
        head, *rows = csv.reader(f)
    assert rows and [row for row in rows if len(row) != len(head)] == []
