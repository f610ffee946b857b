"""Decision trees as pictures: every node is there, and what it says is true."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier as Theirs

from lmbook import viz
from lmbook.training.ensembles import DecisionTreeClassifier, DecisionTreeRegressor

X, Y = load_iris(return_X_y=True)
NAMES, KINDS = ["sepal l", "sepal w", "petal l", "petal w"], ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize("kind", [DecisionTreeClassifier, Theirs])
def test_questions_and_answers_are_written(kind: type) -> None:
    grown = kind(max_depth=2, random_state=0).fit(X, Y).tree_
    ax = viz.tree(grown, features=NAMES, classes=KINDS)
    texts = [t.get_text() for t in ax.texts]
    boxes = [t for t in texts if "\n" in t]
    assert len(boxes) == len(ax.patches) == grown.node_count
    assert "setosa\n50 of 50" in boxes and "versicolor\n49 of 54" in boxes
    assert sum("petal" in t and t.endswith("?") for t in boxes) == 2
    assert sum(t.strip() == "yes" for t in texts) == sum(t.strip() == "no" for t in texts) == 2


def test_yes_is_left_and_no_box_covers_another() -> None:
    grown = DecisionTreeClassifier(max_depth=3).fit(X, Y).tree_
    ax = viz.tree(grown)
    spans = [(p.get_y(), p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
    for y in {s[0] for s in spans}:
        level = sorted(s[1:] for s in spans if s[0] == y)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(level))
    centre = [p.get_x() + p.get_width() / 2 for p in ax.patches]
    for node in np.flatnonzero(grown.feature >= 0):
        assert centre[grown.children_left[node]] < centre[node] < centre[grown.children_right[node]]


def test_means_leaves_alone_and_trees_too_large() -> None:
    ax = viz.tree(DecisionTreeRegressor(max_depth=1).fit(X, Y * 1.0).tree_, fmt=".1f")
    assert {"0.0\n50 rows", "1.5\n100 rows"} <= {t.get_text() for t in ax.texts}
    alone = viz.tree(DecisionTreeClassifier().fit(X, np.zeros(len(X), int)).tree_, classes=["all"])
    assert [t.get_text() for t in alone.texts] == ["all\n150 of 150"]
    with pytest.raises(ValueError, match="leaves are too many to read; draw one with a smaller"):
        viz.tree(
            DecisionTreeClassifier(min_samples_leaf=2)
            .fit(np.random.default_rng(0).normal(size=(150, 2)), Y)
            .tree_
        )
