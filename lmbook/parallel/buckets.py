"""Many arrays as one: messages are few and large when gradients travel in buckets."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lmbook.autograd import Tensor


def flatten(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """All entries, one array after the other, as a new vector."""
    return np.concatenate([a.reshape(-1) for a in arrays])


def unflatten(flat: np.ndarray, like: Iterable[Any]) -> list[np.ndarray]:
    """Parts of a vector in the shapes of `like`, as views: the way back from `flatten`."""
    shapes = [x.shape for x in like]
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    if ends[-1] != flat.size:
        raise ValueError(f"unflatten: {flat.size} entries, but the shapes given take {ends[-1]}")
    return [flat[ends[i] : ends[i + 1]].reshape(shape) for i, shape in enumerate(shapes)]


def buckets(tensors: Sequence[Tensor], nbytes: int | None) -> list[list[Tensor]]:
    """Tensors in groups of at most `nbytes` (a larger tensor has its own), the last tensor first.

    The backward pass meets the layers from last to first, so the first bucket is complete first. None puts
    all into one bucket, 0 each tensor into its own. A bucket holds one dtype.
    """
    found: list[list[Tensor]] = []
    room = 0.0
    for t in reversed(tensors):
        size = t.data.nbytes
        if not found or size > room or found[-1][-1].dtype != t.dtype:
            found.append([])
            room = float("inf") if nbytes is None else nbytes
        found[-1].append(t)
        room -= size
    return found
