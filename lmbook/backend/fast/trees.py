"""Compiled trees: a split in one pass over sorted ranks or a histogram of them, and the way down."""

import math
from typing import Any

import numba
import numpy as np

from lmbook.backend.kernels.trees import TIE

__all__ = ["best_split", "descend"]

jit = numba.njit(nogil=True, cache=True, error_model="numpy")
"""Sums keep their order here: a tie that is rounded otherwise would be another tree."""


@jit
def _purity(sums, weight, entropy):  # type: ignore[no-untyped-def]
    total = 0.0
    for s in sums:
        if not entropy:
            total += s * s
        elif s > 0:
            total += s * math.log2(s / weight)
    return total if entropy else total / weight


@jit
def _search(codes, sums, weights, rows, features, least, entropy):  # type: ignore[no-untyped-def]
    n, k = len(rows), sums.shape[1]
    whole, left, right = np.zeros(k), np.zeros(k), np.zeros(k)
    weight = 0.0
    for r in rows:
        weight += weights[r]
        for c in range(k):
            whole[c] += sums[r, c]
    # bins in the order of their codes: one for each rank where these are dense, else one for each row
    bin_sums, bin_weights = np.empty((4 * n, k)), np.empty(4 * n)
    counts, bin_codes = np.empty(4 * n, np.int64), np.empty(4 * n, np.int64)
    here = np.empty(n, np.int64)
    found: Any = (-1, 0, 0, -np.inf)
    for f in features:
        low = high = np.int64(codes[f, rows[0]])
        for i in range(n):
            code = np.int64(codes[f, rows[i]])
            here[i] = code
            low, high = min(low, code), max(high, code)
        if low == high:
            continue
        bins = int(high - low) + 1
        if bins <= 4 * n:
            counts[:bins] = 0
            bin_weights[:bins] = 0.0
            bin_sums[:bins] = 0.0
            for i in range(n):
                b, r = here[i] - low, rows[i]
                counts[b] += 1
                bin_weights[b] += weights[r]
                for c in range(k):
                    bin_sums[b, c] += sums[r, c]
            for b in range(bins):
                bin_codes[b] = low + b
        else:
            order = np.argsort(here, kind="mergesort")
            bins = n
            for b in range(n):
                r = rows[order[b]]
                counts[b], bin_weights[b], bin_codes[b] = 1, weights[r], here[order[b]]
                for c in range(k):
                    bin_sums[b, c] = sums[r, c]
        left[:] = 0.0
        left_weight, seen, last = 0.0, 0, low
        for b in range(bins):  # `last` is the last code on the left that has rows
            if counts[b] == 0:
                continue
            if seen >= least and bin_codes[b] > last:
                for c in range(k):
                    right[c] = whole[c] - left[c]
                total = _purity(left, left_weight, entropy)
                total += _purity(right, abs(weight - left_weight), entropy)
                if found[0] < 0 or total > found[3] + TIE * abs(found[3]):
                    found = (f, last, bin_codes[b], total)
            seen += counts[b]
            left_weight += bin_weights[b]
            for c in range(k):
                left[c] += bin_sums[b, c]
            last = bin_codes[b]
            if n - seen < least:
                break
    return found


def best_split(
    codes: Any, sums: Any, weights: Any, rows: Any, features: Any, least: int, entropy: bool
) -> Any:
    """As `kernels.trees.best_split`."""
    return _search(codes, sums, weights, rows, features, least, entropy)


@jit
def _descend(feature, threshold, left, right, X):  # type: ignore[no-untyped-def]
    node = np.zeros(len(X), np.int64)
    for i in range(len(X)):
        at = 0
        for _ in range(len(feature)):
            if feature[at] < 0:
                break
            at = left[at] if X[i, feature[at]] <= threshold[at] else right[at]
        node[i] = at
    return node


def descend(feature: Any, threshold: Any, left: Any, right: Any, X: Any) -> Any:
    """As `kernels.trees.descend`."""
    return _descend(feature, threshold, left, right, X)
