"""Text as a figure: every character at its place, values behind them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lmbook import viz


def written(ax):
    return "".join(t.get_text() for t in ax.texts)


def test_every_character_is_drawn_and_lines_are_broken():
    body = "for x in range(3):\n    print(x)  # " + "word " * 30
    ax = viz.text(body, columns=40)
    assert written(ax) == "".join(body.split())
    assert max(t.get_position()[0] for t in ax.texts) < 40
    plt.close("all")


def test_values_colour_the_characters_they_belong_to():
    body = "ab\ncd" * 12
    values = np.arange(len(body), dtype=float)
    ax = viz.text(body, values, columns=10)
    alphas = [p.get_alpha() for p in ax.patches]
    assert len(alphas) == len(body) and alphas == sorted(alphas)
    assert alphas[0] == 0 and alphas[-1] == pytest.approx(0.6)
    places = {(p.get_x(), p.get_y()) for p in ax.patches}
    assert len(places) == len(body)  # no two characters on one place
    plt.close("all")


def test_headings_and_errors():
    ax = viz.text({"source": "Open file", "target": "Datei öffnen"})
    assert written(ax) == "sourceOpenfiletargetDateiöffnen"
    with pytest.raises(ValueError, match="2 values for 3 characters"):
        viz.text("abc", [1, 2])
    with pytest.raises(ValueError, match="a single text"):
        viz.text({"a": "b"}, [1])
    plt.close("all")


def test_a_fixed_height_does_not_depend_on_what_is_written():
    sizes, lasts = set(), []
    for body in ("one line", "a\n" * 30):
        ax = viz.text(body, columns=20, lines=5)
        sizes.add(tuple(ax.figure.get_size_inches()))
        lasts.append(ax.texts[-1].get_text())
        assert max(t.get_position()[1] for t in ax.texts) < 5
    assert len(sizes) == 1 and lasts == ["e", "\u2026"]
    ax = viz.text("abcdefgh", np.ones(8), columns=2, lines=3)
    assert len(ax.patches) == 6
    with pytest.raises(ValueError, match="give at least 1"):
        viz.text("abc", lines=0)
    plt.close("all")
