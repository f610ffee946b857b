"""Every helper draws what it was given, on the axes it was given, and refuses what does not fit."""

import os

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lmbook
from lmbook import viz
from lmbook.viz import styling


def rng():
    return np.random.default_rng(0)


def test_curves_draw_the_values_and_bands():
    ax = plt.subplots()[1]
    y = np.array([3.0, 2.0, 1.0])
    same = viz.curves({"a": y, "b": lmbook.tensor(y)}, [10, 20, 30], bands={"a": (y - 1, y + 1)},
                      log=True, levels={"best": 0.5}, ax=ax)  # fmt: skip
    assert same is ax and ax.get_yscale() == "log"
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[10, 3], [20, 2], [30, 1]])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), y)
    assert len(ax.collections) == 1
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]
    assert "best" in [t.get_text() for t in ax.texts]
    styles = {line.get_linestyle() for line in ax.lines[:2]}
    assert len(styles) == 2  # colour is not the only difference
    with pytest.raises(ValueError, match="'a' has 3 values at 2 positions"):
        viz.curves({"a": y}, [1, 2])


def test_bars_run_from_the_top_with_their_intervals():
    ax = viz.bars({"MLP": 0.5, "CNN": 0.75}, errors={"MLP": (0.4, 0.7), "CNN": 0.05}, fmt=".2f",
                  xlabel="accuracy", levels={"chance": 0.1})  # fmt: skip
    assert [p.get_width() for p in ax.patches] == [0.5, 0.75]
    assert ax.yaxis_inverted()
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.4, 0.5, 0.7])
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [0.7, 0.75, 0.8])
    assert {"0.50", "0.75", "chance"} <= {t.get_text() for t in ax.texts}


def test_histograms_share_their_bins():
    ax = viz.histograms({"a": rng().normal(size=500), "b": [0.0, 0.0, 1.0]}, bins=10)
    first, second = ax.patches
    np.testing.assert_array_equal(first.get_data().edges, second.get_data().edges)
    heights = second.get_data().values - second.get_data().baseline
    assert heights.max() == pytest.approx(0.85)
    assert np.count_nonzero(heights) == 2
    viz.histograms({"constant": np.ones(3)})


def test_heatmap_writes_values_in_readable_ink():
    m = np.array([[0.0, 1.0], [np.nan, -2.0]])
    ax = viz.heatmap(m, ["a", "b"], ["x y", "z"], values=".1f", centre=0, label="weight")
    assert [t.get_text() for t in ax.texts] == ["0.0", "1.0", "-2.0"]  # none for the missing entry
    assert ax.images[0].get_clim() == (-2, 2)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x␣y", "z"]
    for text, value in zip(ax.texts, [0.0, 1.0, -2.0]):
        fill = ax.images[0].cmap(ax.images[0].norm(value))[:3]
        assert viz.contrast(text.get_color(), fill) >= 4.5
    with pytest.raises(ValueError, match="3 names for 2 rows"):
        viz.heatmap(m, ["a", "b", "c"])
    with pytest.raises(ValueError, match="needs a matrix"):
        viz.heatmap(np.zeros(3))


def test_attention_draws_one_panel_a_head_on_a_fixed_scale():
    w = rng().random((3, 4, 5))
    w /= w.sum(-1, keepdims=True)
    grid = viz.attention(w, list("我喜欢你"), list("abcde"), heads=["a", "b", "c"])
    panels = [ax for ax in grid.flat if ax.figure is not None]
    assert [ax.get_title() for ax in panels] == ["a", "b", "c"]
    for ax, weights in zip(panels, w):
        np.testing.assert_array_equal(ax.images[0].get_array(), weights)
        assert ax.images[0].get_clim() == (0, 1)
    one = viz.attention(w[0])
    assert (one.get_xlabel(), one.get_ylabel()) == ("key", "query")
    with pytest.raises(ValueError, match="attention: needs"):
        viz.attention(np.zeros(3))


def test_chinese_labels_draw_without_a_warning(recwarn):
    if len(styling.fonts()) == 1:
        assert "CI" not in os.environ, "CI needs a font with Chinese characters"
        pytest.skip("no font with Chinese characters here")
    viz.heatmap(np.eye(2), ["我", "你"], ["猫", "狗"])
    plt.gcf().canvas.draw()
    assert not recwarn.list


def test_long_names_stand_upright():
    short, long = (
        viz.heatmap(np.eye(4), columns="abcd"),
        viz.heatmap(np.eye(4), columns=["transformer"] * 4),
    )
    assert [ax.get_xticklabels()[0].get_rotation() for ax in (short, long)] == [0, 90]


@pytest.mark.parametrize(
    "shape", [(5, 4, 6), (5, 1, 4, 6), (5, 3, 4, 6), (5, 4, 6, 3), (5, 4, 6, 1)]
)
def test_images_take_every_layout(shape):
    grid = viz.images(rng().random(shape), labels=range(5), columns=3)
    shown = [ax for ax in grid.flat if ax.figure is not None]
    assert grid.shape == (2, 3) and [ax.get_title() for ax in shown] == list("01234")
    assert shown[0].images[0].get_array().shape[:2] == (4, 6)


def test_images_refuse_what_is_no_picture():
    with pytest.raises(ValueError, match="2 labels for 3 pictures"):
        viz.images(np.zeros((3, 2, 2)), labels="ab")
    with pytest.raises(ValueError, match="images: needs"):
        viz.images(np.zeros((2, 3, 4, 5, 6)))


def test_surface_evaluates_the_function_where_it_draws():
    seen = []

    def f(p):
        seen.append(p)
        return p[:, 0] + 10 * p[:, 1]

    ax = viz.surface(f, (0, 1), (2, 3), path=[(0, 2), (1, 3)], label="loss", resolution=20)
    assert seen[0].shape == (400, 2)
    np.testing.assert_allclose([seen[0].min(0), seen[0].max(0)], [[0, 2], [1, 3]])
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 2], [1, 3]])


def test_surface_regions_colour_points_by_class():
    points, classes = rng().normal(size=(20, 2)), np.arange(20) % 2
    ax = viz.surface(lambda p: (p[:, 0] > 0) * 1, (-2, 2), (-2, 2), kind="regions", points=points,
                     classes=classes)  # fmt: skip
    assert [len(c.get_offsets()) for c in ax.collections] == [10, 10]
    assert set(np.unique(ax.images[0].get_array())) == {0, 1}
    with pytest.raises(ValueError, match="'contour' or 'regions'"):
        viz.surface(lambda p: p[:, 0], (0, 1), (0, 1), kind="3d")


def test_network_draws_every_weight_and_abbreviates_wide_layers():
    ax = viz.network([3, 4, 2], labels=["input", "hidden", "output"])
    assert [len(c.get_segments()) for c in ax.collections[:2]] == [12, 8]
    assert [t.get_text() for t in ax.texts] == ["input\n3", "hidden\n4", "output\n2"]
    wide = viz.network([100, 2])
    assert len(wide.collections[0].get_segments()) == 14 and "⋮" in [
        t.get_text() for t in wide.texts
    ]
    with pytest.raises(ValueError, match="at least two layers"):
        viz.network([3])
