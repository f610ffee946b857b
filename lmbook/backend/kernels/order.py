"""Kernels in which the order of entries counts."""

import numpy as np

from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def largest(scores: Array, k: int) -> Array:
    """Where the k largest entries of each row (rows, width) stand, the largest first; (rows, k).

    Of equal entries the one further left comes first.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@kernel
def cumsum(x: Array, axis: int) -> Array:
    """Running sums along an axis."""
    return np.cumsum(x, axis)
