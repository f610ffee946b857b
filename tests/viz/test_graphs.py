"""The drawn graph is the recorded one: every operation, every edge, no boxes on top of each other."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import lmbook
from lmbook import viz
from lmbook.viz.layered import layout, ranks, spread


def parts(ax):
    boxes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
    arrows = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    return boxes, arrows, [t.get_text() for t in ax.texts]


def test_graph_of_a_tensor_has_its_operations_shapes_and_names():
    w = lmbook.tensor(np.ones((3, 2)), requires_grad=True)
    x = lmbook.tensor(np.ones((5, 3)))
    b = lmbook.tensor(np.zeros(2), requires_grad=True)
    z = x @ w + b
    loss = (z * z).mean()
    boxes, arrows, texts = parts(viz.graph(loss, names={"w": w, "z": z, "loss": loss}))
    assert sorted(texts) == sorted(
        ["w\n3×2", "leaf\n2", "matmul\n5×2", "z = add\n5×2", "mul\n5×2", "loss = mean\nscalar"]
    )
    assert len(boxes) == 6
    assert len(arrows) == 6  # w-matmul, matmul-add, b-add, add-mul twice, mul-mean


def test_graph_writes_values_and_survives_backward():
    w = lmbook.tensor(3.0, requires_grad=True)
    loss = w * w
    loss.backward()
    _, arrows, texts = parts(viz.graph(loss, names={"w": w}, values=True))
    assert texts == ["w\n3", "mul\n9"] and len(arrows) == 2


def test_graph_refuses_what_was_not_recorded_or_cannot_be_read():
    with pytest.raises(ValueError, match="nothing was recorded"):
        viz.graph(lmbook.tensor(1.0))
    x = lmbook.tensor(1.0, requires_grad=True)
    for _ in range(90):
        x = x + 1
    with pytest.raises(ValueError, match="too many to read"):
        viz.graph(x)


class Scalar:
    def __init__(self, op, *parents):
        self.op, self.parents = op, parents


def test_graph_of_an_engine_of_your_own():
    a, b = Scalar("a"), Scalar("b")
    root = Scalar("+", Scalar("×", a, b), a)
    _, arrows, texts = parts(
        viz.graph(root, parents=lambda s: s.parents, label=lambda s: s.op, names={"y": root})
    )
    assert texts[-1] == "y = +" and sorted(texts[:-1]) == ["a", "b", "×"] and len(arrows) == 4


def test_boxes_never_overlap_and_stay_inside():
    x = lmbook.tensor(1.0, requires_grad=True)
    y = (x.tanh() * x + x.exp()) / (x * x) + x
    for down in (True, False):
        ax = viz.graph(y, down=down)
        boxes, _, _ = parts(ax)
        frames = [b.get_bbox() for b in boxes]
        for a, b in combinations(frames, 2):
            assert not a.overlaps(b)
        for f in frames:
            assert ax.get_xlim()[0] <= f.x0 and f.x1 <= ax.get_xlim()[1]
            assert ax.get_ylim()[0] <= f.y0 and f.y1 <= ax.get_ylim()[1]


@st.composite
def dags(draw):
    n = draw(st.integers(1, 12))
    return {i: draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(n)}


@given(dags())
def test_layout_puts_children_after_parents_and_keeps_nodes_apart(parents):
    at, ways = layout(list(parents), parents)
    for child, above in parents.items():
        for p in above:
            assert at[p][0] < at[child][0]
            way = ways[p, child]
            assert way[0] == at[p] and way[-1] == at[child]
            assert [q[0] - p[0] for p, q in pairwise(way)] == [1] * (len(way) - 1)
    places = [p for way in ways.values() for p in way[1:-1]] + list(at.values())
    for (r, a), (s, b) in combinations(places, 2):
        assert r != s or abs(a - b) > 1 - 1e-6


def test_sources_stand_just_before_their_first_consumer():
    parents = {"x": [], "a": ["x"], "b": ["a"], "late": [], "c": ["b", "late"]}
    assert ranks(list(parents), parents)["late"] == 2


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_spread_keeps_distance_and_is_as_near_as_can_be(wanted):
    wish = np.array(wanted)
    got = spread(wish)
    assert (np.diff(got) >= 1 - 1e-9).all()
    assert np.isclose(got.mean(), wish.mean())  # pooled means keep the sum
    order = np.arange(len(wish)) * 1.0
    assert ((got - wish) ** 2).sum() <= (
        (order - order.mean() + wish.mean() - wish) ** 2
    ).sum() + 1e-9
