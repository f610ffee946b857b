"""Trees against scikit-learn's, against a search by hand, and each setting for what it says."""

from typing import Any

import numpy as np
import pytest
from sklearn import tree as theirs
from sklearn.datasets import load_breast_cancer

from lmbook.backend.fast import trees as compiled
from lmbook.backend.kernels.trees import best_split, descend
from lmbook.training.ensembles import DecisionTreeClassifier, DecisionTreeRegressor
from lmbook.training.ensembles.growing import LEAF, Columns


def numbers(seed: int, n: int = 300, d: int = 6) -> dict[str, np.ndarray]:
    """Features are float32 numbers, as scikit-learn's trees see them; the weights leave no ties."""
    rng = np.random.default_rng(seed)
    X, new = (rng.normal(size=(m, d)).astype(np.float32).astype(float) for m in (n, 500))
    y = X[:, 0] + np.sin(2 * X[:, 1]) * X[:, 2] + 0.5 * rng.normal(size=n)
    labels = np.digitize(y, [-0.7, 0.7])
    return {
        "X": X,
        "new": new,
        "y": y,
        "two": (y > 0) * 1,
        "three": labels,
        "w": rng.uniform(0.2, 2, n),
    }


SETTINGS: list[dict[str, Any]] = [
    {"max_depth": 4, "min_samples_leaf": 5},
    {"min_samples_leaf": 8},
    {"min_samples_split": 30, "min_samples_leaf": 6},
    {"min_impurity_decrease": 0.01, "min_samples_leaf": 6},
    {"ccp_alpha": 0.005, "min_samples_leaf": 6},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("criterion", ["gini", "entropy"])
@pytest.mark.parametrize("target", ["two", "three"])
def test_classifier_as_scikit_learn(settings: dict, criterion: str, target: str) -> None:
    d = numbers(0)
    names = np.array(["no", "perhaps", "yes"])[d[target]]
    ours = DecisionTreeClassifier(criterion=criterion, **settings).fit(d["X"], names, d["w"])
    other = theirs.DecisionTreeClassifier(criterion=criterion, random_state=0, **settings)
    other.fit(d["X"], names, d["w"])
    np.testing.assert_allclose(
        ours.predict_proba(d["new"]), other.predict_proba(d["new"]), atol=1e-12
    )
    assert (ours.predict(d["new"]) == other.predict(d["new"])).all()
    np.testing.assert_allclose(ours.feature_importances_, other.feature_importances_, atol=1e-12)
    assert ours.get_depth() > 1 and ours.score(d["X"], names) == other.score(d["X"], names)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_regressor_as_scikit_learn(settings: dict, shift: float) -> None:
    d = numbers(1)
    ours = DecisionTreeRegressor(**settings).fit(d["X"], d["y"] + shift, d["w"])
    other = theirs.DecisionTreeRegressor(random_state=0, **settings).fit(
        d["X"], d["y"] + shift, d["w"]
    )
    np.testing.assert_allclose(ours.predict(d["new"]), other.predict(d["new"]), atol=1e-9)
    np.testing.assert_allclose(ours.tree_.impurity, other.tree_.impurity, atol=1e-8)
    np.testing.assert_array_equal(ours.tree_.n_node_samples, other.tree_.n_node_samples)
    assert ours.get_n_leaves() == other.get_n_leaves() > 3
    assert ours.score(d["X"], d["y"] + shift) == pytest.approx(other.score(d["X"], d["y"] + shift))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_with_ties_the_tree_is_as_pure_as_scikit_learns(depth: int) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = np.hstack([X, X])  # every question can be asked of two features
    X = X.astype(np.float32).astype(float)
    ours = DecisionTreeClassifier(max_depth=depth).fit(X, y).tree_
    other = theirs.DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X, y).tree_
    impurity = [
        (t.impurity * t.weighted_n_node_samples)[t.children_left == LEAF].sum()
        for t in (ours, other)
    ]
    assert impurity[0] == pytest.approx(impurity[1], abs=1e-9)
    assert ours.feature.max() < 30  # of equals, the lowest


def test_a_grown_tree_knows_its_rows_by_heart() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    tree = DecisionTreeClassifier().fit(X, y)
    assert tree.score(X, y) == 1.0
    d = numbers(2)
    np.testing.assert_allclose(DecisionTreeRegressor().fit(d["X"], d["y"]).predict(d["X"]), d["y"])


def by_hand(
    codes: np.ndarray,
    targets: np.ndarray,
    w: np.ndarray,
    rows: np.ndarray,
    least: int,
    entropy: bool,
) -> float:
    """The least weighted impurity of two groups over all features and places, by trying them all."""

    def impurity(part: np.ndarray) -> float:
        p = np.average(targets[part], axis=0, weights=w[part])
        return float(-(p[p > 0] * np.log2(p[p > 0])).sum() if entropy else 1 - (p * p).sum())

    found = np.inf
    for column in codes:
        for c in np.unique(column[rows])[:-1]:
            left, right = rows[column[rows] <= c], rows[column[rows] > c]
            if min(len(left), len(right)) >= least:
                cost = w[left].sum() * impurity(left) + w[right].sum() * impurity(right)
                found = min(found, cost)
    return found


@pytest.mark.parametrize("run", [best_split.reference, compiled.best_split], ids=["numpy", "numba"])
@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_best_split_is_the_best_of_all(run: Any, entropy: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, [2, 4, 30, 1000], size=(60, 4)).astype(float)
    targets, w = np.eye(3)[rng.integers(0, 3, 60)], rng.uniform(0.5, 2, 60)
    rows, least = np.sort(rng.choice(60, 40, replace=False)), int(rng.integers(1, 8))
    columns = Columns(X)
    feature, low, high, total = run(
        columns.codes, targets * w[:, None], w, rows, np.arange(4), least, entropy
    )
    cost = (0 if entropy else w[rows].sum()) - total
    assert cost == pytest.approx(by_hand(columns.codes, targets, w, rows, least, entropy), abs=1e-9)
    here = columns.codes[feature, rows]
    assert high == here[here > low].min() and low in here
    assert min((here <= low).sum(), (here > low).sum()) >= least


@pytest.mark.parametrize("seed", range(8))
def test_both_kernels_choose_the_same_also_among_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.integers(0, 5 + 40 * seed, size=(50, 3)), 2, axis=1).astype(float)
    y = rng.normal(size=(50, 1))
    columns, w = Columns(X), rng.integers(0, 3, 50) * 1.0
    for size in (2, 3, 9, 50):
        rows = rng.choice(50, size, replace=False)
        given = (columns.codes, y * w[:, None], w + 1e-3, rows, rng.permutation(6), 1, False)
        a, b = best_split.reference(*given), compiled.best_split(*given)
        assert a[:3] == tuple(b[:3])
        assert a[3] == pytest.approx(b[3]) or a[0] == LEAF


def test_both_ways_down_end_in_the_same_leaf() -> None:
    d = numbers(6)
    tree = DecisionTreeRegressor().fit(d["X"], d["y"]).tree_
    given = (tree.feature, tree.threshold, tree.children_left, tree.children_right, d["new"])
    leaf = descend.reference(*given)
    np.testing.assert_array_equal(leaf, compiled.descend(*given))
    for row, end in zip(d["new"][:50], leaf, strict=False):
        node = 0
        while tree.feature[node] != LEAF:
            left = row[tree.feature[node]] <= tree.threshold[node]
            node = (tree.children_left if left else tree.children_right)[node]
        assert node == end


def test_where_nothing_can_be_split_the_node_is_a_leaf() -> None:
    X, y = np.ones((6, 2)), np.arange(6) % 2
    tree = DecisionTreeClassifier().fit(X, y)
    assert tree.tree_.node_count == 1 and tree.get_depth() == 0
    np.testing.assert_allclose(tree.predict_proba(X[:1]), [[0.5, 0.5]])
    assert not tree.feature_importances_.any()


def test_no_single_question_helps_with_xor_but_two_do() -> None:
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    tree = DecisionTreeClassifier().fit(X, [0, 1, 1, 0])
    assert tree.score(X, [0, 1, 1, 0]) == 1 and tree.get_depth() == 2


def test_weights_count_as_rows_do_and_weight_zero_as_none() -> None:
    d, times = numbers(3), np.random.default_rng(0).integers(0, 3, 300)
    a = DecisionTreeClassifier(max_depth=4).fit(d["X"], d["three"], times)
    rows = np.repeat(np.arange(300), times)
    b = DecisionTreeClassifier(max_depth=4).fit(d["X"][rows], d["three"][rows])
    np.testing.assert_allclose(a.predict_proba(d["new"]), b.predict_proba(d["new"]))
    assert a.tree_.n_node_samples[0] == (times > 0).sum()


def test_a_threshold_lies_between_neighbours_that_have_nothing_between_them() -> None:
    a = 1.0
    b = np.nextafter(a, 2)
    X = np.array([[a], [b]])
    assert DecisionTreeClassifier().fit(X, [0, 1]).score(X, [0, 1]) == 1.0
    big = np.array([[1.5e308], [1.7e308]])
    assert np.isfinite(DecisionTreeClassifier().fit(big, [0, 1]).tree_.threshold[0])


def test_more_than_65536_values_are_told_apart() -> None:
    X = np.arange(70_000.0)[:, None]
    tree = DecisionTreeRegressor(max_depth=1).fit(X, (X[:, 0] > 69_990) * 1.0)
    assert tree.tree_.threshold[0] == 69_990.5


def test_features_drawn_at_each_node() -> None:
    d = numbers(4)
    X = np.hstack([d["X"], np.ones((300, 6))])  # half of the features cannot be split
    a, b, c = (
        DecisionTreeClassifier(max_features=1, random_state=s).fit(X, d["two"]).tree_
        for s in (0, 0, 1)
    )
    assert (a.feature == b.feature).all() and len(np.unique(a.feature)) == 7  # six and the leaves
    assert a.node_count != c.node_count or (a.feature != c.feature).any()
    for given, root in (("sqrt", 3), ("log2", 3), (0.5, 6), (None, 12), (12, 12)):
        tree = DecisionTreeClassifier(max_features=given).fit(X, d["two"])
        assert tree._growth().max_features == root


def test_pruning_path_as_scikit_learn() -> None:
    d = numbers(5)
    ours = DecisionTreeClassifier(min_samples_leaf=4)
    other = theirs.DecisionTreeClassifier(min_samples_leaf=4, random_state=0)
    alphas, impurities = ours.cost_complexity_pruning_path(d["X"], d["three"], d["w"])
    path = other.cost_complexity_pruning_path(d["X"], d["three"], d["w"])
    real = path.ccp_alphas > 1e-12  # the others split rows of one class, by rounding
    np.testing.assert_allclose(alphas[1:], path.ccp_alphas[real], atol=1e-12)
    np.testing.assert_allclose(impurities[1:], path.impurities[real], atol=1e-12)
    sizes = [
        DecisionTreeClassifier(min_samples_leaf=4, ccp_alpha=a + 1e-9).fit(
            d["X"], d["three"], d["w"]
        )
        for a in alphas
    ]
    leaves = [t.get_n_leaves() for t in sizes]
    assert leaves == sorted(leaves, reverse=True) and leaves[-1] == 1


def test_the_same_seed_gives_the_same_tree_and_settings_can_be_read_and_set() -> None:
    tree = DecisionTreeClassifier(max_depth=3)
    assert tree.set_params(max_depth=2).get_params()["max_depth"] == 2
    assert repr(tree) == "DecisionTreeClassifier(max_depth=2)"
    with pytest.raises(ValueError, match="no setting 'depth'"):
        tree.set_params(depth=1)
