"""Decision trees: the best question to ask about the rows at a node."""

import numpy as np

from lmbook.backend.table import kernel

__all__ = ["best_split", "descend"]

Split = tuple[int, int, int, float]

TIE = 1e-11
"""Purities this close, relative to the best, are equal but for rounding."""


def purity(sums: np.ndarray, weight: np.ndarray, entropy: bool) -> np.ndarray:
    """How alike the targets of a group are, from their sums (..., K) and the group's weight (...).

        |sums|^2 / weight               for Gini (one-hot targets) and for squared error
        sum_k s_k log2(s_k / weight)    for entropy

    A constant less this number is weight times impurity, so the best split has the largest total.
    """
    if not entropy:
        return (sums * sums).sum(axis=-1) / weight
    share = sums / weight[..., None]
    return (sums * np.log2(share, out=np.zeros_like(share), where=share > 0)).sum(axis=-1)


@kernel
def best_split(
    codes: np.ndarray,
    sums: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    features: np.ndarray,
    least: int,
    entropy: bool,
) -> Split:
    """The feature and the place at which two groups of `rows` are purest.

    `codes` (D, N) holds the rank of each value within its feature, equal for equal values; `sums`
    (N, K) the targets times their weights, `weights` (N,). Of `features` each is sorted once, and
    running sums give both sides of every place. Each side keeps at least `least` rows.

    Returns (feature, code, next code, total purity): the split lies between the two codes. The feature
    is -1 if there is none. Of equally good splits (within `TIE` of the best) the first wins, in the
    order of `features`, so that rounding does not choose.
    """
    here = codes[features[:, None], rows]
    by = np.argsort(
        here, axis=1, kind="stable"
    )  # ranks of 16 bits: NumPy counts, it does not compare
    here, order = np.take_along_axis(here, by, axis=1), rows[by]
    left, left_weight = np.cumsum(sums[order], axis=1), np.cumsum(weights[order], axis=1)
    right, right_weight = left[:, -1:] - left[:, :-1], left_weight[:, -1:] - left_weight[:, :-1]
    left, left_weight = left[:, :-1], left_weight[:, :-1]
    allowed = here[:, 1:] > here[:, :-1]
    allowed[:, : least - 1] = False
    allowed[:, len(rows) - least :] = False
    if not allowed.any():
        return -1, 0, 0, -np.inf
    total = purity(left, left_weight, entropy) + purity(right, np.abs(right_weight), entropy)
    total[~allowed] = -np.inf
    best = total.max()
    i, place = divmod(int((total >= best - TIE * abs(best)).argmax()), total.shape[1])
    return (
        int(features[i]), int(here[i, place]), int(here[i, place + 1]), float(total[i, place])
    )  # fmt: skip


@kernel
def descend(
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    X: np.ndarray,
) -> np.ndarray:
    """The leaf that each row of X (N, D) ends in, (N,): left where X[:, feature] <= threshold.

    Nodes are numbered from the root, 0; a leaf has the feature -1. All rows go down a level at a time.
    """
    node, moving = np.zeros(len(X), np.int64), np.arange(len(X))
    for _ in range(len(feature)):  # no path is longer
        at = node[moving]
        inner = feature[at] >= 0
        moving, at = moving[inner], at[inner]
        if not len(moving):
            break
        goes = X[moving, feature[at]] <= threshold[at]
        node[moving] = np.where(goes, left[at], right[at])
    return node
