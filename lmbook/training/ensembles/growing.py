"""Growing a tree: ask the best question, part the rows, and do the same with both halves."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.backend.kernels.trees import best_split, descend

EPSILON = float(np.finfo(float).eps)
LEAF = -1


class Columns:
    """The features of a table as ranks: equal values have equal ranks, `values[f][rank]` is the value.

    A tree needs the order of values only. Ranks are made once and serve all trees of an ensemble.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        found = [np.unique(column, return_inverse=True) for column in X.T]
        self.values = [values for values, _ in found]
        small = max(map(len, self.values)) <= 2**16
        self.codes = np.array([codes for _, codes in found], np.uint16 if small else np.uint32)

    def threshold(self, feature: int, low: int, high: int) -> float:
        """The middle of two neighbouring values, or the lower one where no number lies between."""
        a, b = self.values[feature][[low, high]]
        middle = float(a / 2 + b / 2)
        return middle if a <= middle < b else float(a)


@dataclass
class Tree:
    """A grown tree as arrays, one entry a node; node 0 is the root. Names as in scikit-learn's `tree_`.

    A row goes left if `X[:, feature] <= threshold`. Leaves have feature and children -1. `value` is the
    mean of the targets, (nodes, K): class shares, or (nodes, 1).
    """

    feature: np.ndarray
    threshold: np.ndarray
    children_left: np.ndarray
    children_right: np.ndarray
    impurity: np.ndarray
    n_node_samples: np.ndarray
    weighted_n_node_samples: np.ndarray
    value: np.ndarray

    @property
    def node_count(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.feature)

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return int((self.feature == LEAF).sum())

    @property
    def depths(self) -> np.ndarray:
        """How many questions lead to each node."""
        depth = np.zeros(self.node_count, int)
        for node in np.flatnonzero(self.feature != LEAF):  # parents come before their children
            depth[[self.children_left[node], self.children_right[node]]] = depth[node] + 1
        return depth

    def apply(self, X: np.ndarray) -> np.ndarray:
        """The leaf that each row ends in, (N,)."""
        return descend(self.feature, self.threshold, self.children_left, self.children_right, X)

    def importances(self, features: int) -> np.ndarray:
        """How much each feature's splits lower the impurity, per unit of the root's weight, (D,)."""
        mass, inner = self.weighted_n_node_samples * self.impurity, self.feature != LEAF
        drop = mass[inner] - mass[self.children_left[inner]] - mass[self.children_right[inner]]
        total = np.bincount(self.feature[inner], drop, minlength=features)
        return total / self.weighted_n_node_samples[0]


@dataclass
class Growth:
    """When to stop, and how to choose. `max_features` is the number of features drawn at each node."""

    entropy: bool
    max_depth: float
    min_samples_split: int
    min_samples_leaf: int
    min_impurity_decrease: float
    max_features: int


def grow(
    columns: Columns,
    targets: np.ndarray,
    weights: np.ndarray,
    how: Growth,
    rng: np.random.Generator,
) -> Tree:
    """Grow a tree on the rows of positive weight; `targets` is (N, K), one-hot or numbers.

    Nodes are numbered as they are visited: the left child and all below it come before the right one.
    """
    sums, squares = targets * weights[:, None], (targets**2).sum(axis=1) * weights
    everything = float(weights.sum())
    nodes: list[list[Any]] = []
    stack = [(np.flatnonzero(weights > 0), 0, -1, 0)]
    while stack:
        rows, depth, parent, side = stack.pop()
        if parent >= 0:
            nodes[parent][side] = len(nodes)
        total, weight = np.add.reduce(sums[rows]), float(np.add.reduce(weights[rows]))
        here = _purity(total, weight, how.entropy)
        spread = 0.0 if how.entropy else float(np.add.reduce(squares[rows]))
        impurity = max(spread - here, 0.0) / weight
        nodes.append([LEAF, LEAF, LEAF, math.nan, impurity, len(rows), weight, total / weight])
        if (
            depth >= how.max_depth
            or len(rows) < max(how.min_samples_split, 2 * how.min_samples_leaf)
            or impurity <= EPSILON
            or (targets[rows] == targets[rows[0]]).all()
        ):
            continue
        feature, low, high, found = _choose(columns, sums, weights, rows, how, rng)
        gain = (found - here) / everything
        if feature == LEAF or gain + EPSILON < how.min_impurity_decrease:
            continue
        nodes[-1][2:4] = feature, columns.threshold(feature, low, high)
        left = columns.codes[feature, rows] <= low
        stack.append((rows[~left], depth + 1, len(nodes) - 1, 1))
        stack.append((rows[left], depth + 1, len(nodes) - 1, 0))
    left_, right_, feature_, *rest = (np.array(column) for column in zip(*nodes, strict=True))
    return Tree(feature_, rest[0], left_, right_, *rest[1:])


def _purity(total: np.ndarray, weight: float, entropy: bool) -> float:
    """That of a single group; see `purity` in the kernel."""
    if entropy:
        return sum(s * math.log2(s / weight) for s in total.tolist() if s > 0)
    return float(total @ total) / weight


def _choose(
    columns: Columns, sums: np.ndarray, weights: np.ndarray, rows: np.ndarray, how: Growth,
    rng: np.random.Generator,
) -> tuple[int, int, int, float]:  # fmt: skip
    """The best split among `max_features` features drawn; more are drawn while none can be split."""
    codes, d = columns.codes, len(columns.codes)
    features = np.arange(d) if how.max_features == d else rng.permutation(d)
    for start, stop in [(0, how.max_features), *((i, i + 1) for i in range(how.max_features, d))]:
        found = best_split(
            codes, sums, weights, rows, features[start:stop], how.min_samples_leaf, how.entropy
        )
        if found[0] != LEAF:
            break
    return found
