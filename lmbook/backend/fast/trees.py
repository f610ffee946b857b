"""The best split of a node, compiled: one pass over sorted ranks, or over a histogram of them."""

import math
from typing import Any

import numba
import numpy as np

from lmbook.backend.kernels.trees import TIE

__all__ = ["best_split"]

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
    everything = np.zeros(k)
    weight = 0.0
    for r in rows:
        weight += weights[r]
        for c in range(k):
            everything[c] += sums[r, c]
    found = (-1, 0, 0, -np.inf)
    left, right = np.zeros(k), np.zeros(k)
    here = np.empty(n, codes.dtype)
    for f in features:
        low = high = codes[f, rows[0]]
        for i in range(n):
            here[i] = c = codes[f, rows[i]]
            low, high = min(low, c), max(high, c)
        if low == high:
            continue
        span = int(high) - int(low) + 1
        if span <= 4 * n:  # a bin for each rank
            bin_sums, bin_weights = np.zeros((span, k)), np.zeros(span)
            counts = np.zeros(span, np.int64)
            for i in range(n):
                b = int(here[i]) - int(low)
                counts[b] += 1
                bin_weights[b] += weights[rows[i]]
                for c in range(k):
                    bin_sums[b, c] += sums[rows[i], c]
            order = np.flatnonzero(counts)
        else:
            order = np.argsort(here, kind="mergesort")
            bin_sums, bin_weights = np.empty((n, k)), np.empty(n)
            counts = np.ones(n, np.int64)
            for i in range(n):
                bin_weights[i] = weights[rows[i]]
                bin_sums[i] = sums[rows[i]]
        left[:] = 0.0
        left_weight, seen = 0.0, 0
        for j in range(len(order) - 1):
            b, after = order[j], order[j + 1]
            seen += counts[b]
            left_weight += bin_weights[b]
            for c in range(k):
                left[c] += bin_sums[b, c]
            if n - seen < least:
                break
            at = int(low) + b if span <= 4 * n else int(here[b])
            then = int(low) + after if span <= 4 * n else int(here[after])
            if seen < least or at == then:
                continue
            for c in range(k):
                right[c] = everything[c] - left[c]
            total = _purity(left, left_weight, entropy)
            total += _purity(right, abs(weight - left_weight), entropy)
            if found[0] < 0 or total > found[3] + TIE * abs(found[3]):
                found = (f, at, then, total)
    return found


def best_split(
    codes: Any, sums: Any, weights: Any, rows: Any, features: Any, least: int, entropy: bool
) -> Any:
    """As `kernels.trees.best_split`."""
    return _search(codes, sums, weights, rows, features, least, entropy)
