"""show_source shows the real source, cut where asked, and says so when the cut is gone."""

import inspect

import pytest

from lmbook import viz
from lmbook.viz import source as module
from lmbook.viz.source import _without_docstrings, source


class Example:
    """A class."""

    def first(self):
        """Say one."""
        return 1

    @property
    def second(self):
        return "not a docstring"


def test_function_and_path():
    text = source(viz.figsize)
    assert text.splitlines()[0] == "# lmbook/viz/styling.py"
    assert text.split("\n", 1)[1] == inspect.getsource(viz.figsize).rstrip()


def test_methods_of_a_class():
    text = source(Example, methods=("second",))
    assert text.splitlines()[1:3] == ["class Example:", "    @property"]
    assert "first" not in text
    compile(text, "shown", "exec")
    with pytest.raises(ValueError, match="Example defines no third"):
        source(Example, methods=("third",))
    with pytest.raises(TypeError, match="needs a class"):
        source(viz.figsize, methods=("x",))


def test_part_of_a_module():
    text = source(module, start="def _plain", end="return")
    assert text.splitlines()[0] == "# lmbook/viz/source.py"
    assert (
        text.splitlines()[1].startswith("def _plain") and "return getattr" in text.splitlines()[-1]
    )
    with pytest.raises(ValueError, match="contains start='no such line'"):
        source(module, start="no such line")
    with pytest.raises(ValueError, match="contains end='no such line'"):
        source(module, start="import", end="no such line")


def test_docstrings_can_be_left_out_and_nothing_else_is():
    text = source(Example, doc=False)
    assert '"""' not in text and "not a docstring" in text
    assert _without_docstrings(["def f():", '    """One', '    two."""', "    return 'x'"]) == [
        "def f():",
        "    return 'x'",
    ]


def test_prints_outside_a_notebook(capsys):
    viz.show_source(viz.figsize)
    assert capsys.readouterr().out == source(viz.figsize) + "\n"
