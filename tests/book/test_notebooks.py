"""The book's own notebooks: nothing for the lint to find, set-up cells in step, outputs stored."""

import pytest

from book.tools import lint, notebooks

BOOK = [p.relative_to(notebooks.ROOT).as_posix() for p in notebooks.every_notebook()]


@pytest.mark.parametrize("name", BOOK)
def test_lint_finds_nothing(name):
    assert not [str(p) for p in lint.lint(notebooks.ROOT / name)]


@pytest.mark.parametrize("name", BOOK)
def test_set_up_cell_is_in_step(name):
    nb = notebooks.read(notebooks.ROOT / name)
    assert not notebooks.set_up(nb, notebooks.setup_source()), "run `notebooks setup`"
    assert "setup" in next(c for c in nb.cells if c.cell_type == "code").metadata.get("tags", [])


@pytest.mark.parametrize("name", BOOK)
def test_stored_form_is_the_normal_form(name):
    path = notebooks.ROOT / name
    stored = path.read_text(encoding="utf-8")
    nb = notebooks.normalise(notebooks.read(path))
    assert notebooks.nbformat.writes(nb).rstrip("\n") + "\n" == stored, "run `notebooks execute`"


def test_there_is_a_chapter():
    assert any(name.startswith("chapters/") for name in BOOK)
