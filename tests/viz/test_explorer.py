"""An explorer is widgets in a live notebook and the default figure everywhere else."""

import matplotlib.pyplot as plt
import pytest

from lmbook import viz


def draw(rate=0.1, steps=20, kind="a", grid=True):
    draw.seen.append((rate, steps, kind, grid))
    plt.plot([0, rate * steps])


@pytest.fixture(autouse=True)
def fresh():
    draw.seen = []


CONTROLS = {"rate": (0.0, 1.0), "steps": (1, 50), "kind": ["a", "b"], "grid": True}


def test_static_figure_with_the_functions_own_defaults():
    viz.explore(draw, **CONTROLS)
    assert draw.seen == [(0.1, 20, "a", True)]
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"rate": (0.5, 1.0)}, "does not offer 0.1"),
        ({"kind": ["x", "y"]}, "does not offer 'a'"),
        ({"rate": (0.5,)}, r"write \(low, high\)"),
        ({"missing": (0, 1)}, "a parameter missing=... with a default"),
    ],
)
def test_controls_that_do_not_fit_are_refused(control, message):
    with pytest.raises(ValueError, match=message):
        viz.explore(draw, **control)
    with pytest.raises(TypeError, match="a control is"):
        viz.explore(draw, rate=3)


def test_live_widgets_are_labelled_and_redraw(monkeypatch):
    ipywidgets = pytest.importorskip("ipywidgets")
    shown = []
    monkeypatch.setattr("lmbook.viz.explorer.live", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    viz.explore(draw, labels={"rate": "learning rate"}, **CONTROLS)
    *knobs, picture = shown[0].children
    assert [k.description for k in knobs] == ["learning rate", "steps", "kind", "grid"]
    assert [type(k).__name__ for k in knobs] == ["FloatSlider", "IntSlider", "Dropdown", "Checkbox"]
    assert isinstance(picture, ipywidgets.Output)
    knobs[1].value = 30
    assert draw.seen[-1] == (0.1, 30, "a", True)
