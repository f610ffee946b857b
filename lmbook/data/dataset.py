"""Rows and batches: `TensorDataset` and `DataLoader`, as PyTorch names them, on NumPy arrays."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lmbook.backend import default_generator


class TensorDataset:
    """Arrays of the same length; row i is the tuple of their i-th entries.

    >>> digits = TensorDataset(images, labels)
    >>> image, label = digits[0]
    """

    def __init__(self, *arrays: np.ndarray) -> None:
        self.arrays = tuple(np.asarray(array) for array in arrays)
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) != 1:
            raise ValueError(f"TensorDataset: arrays of lengths {lengths}; they must be equal")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple:
        return tuple(array[index] for array in self.arrays)


def generator_of(seed: int | np.random.Generator | None) -> np.random.Generator:
    """A generator from a seed; a generator is passed on; None is lmbook's default one."""
    if seed is None:
        return default_generator()
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)


def default_collate(rows: Sequence[Any]) -> Any:
    """Stack rows: tuples entry by entry, everything else into one array."""
    if isinstance(rows[0], tuple):
        return tuple(np.stack(column) for column in zip(*rows))
    return np.stack(rows)


class DataLoader:
    """Batches of a data set, as (tuples of) NumPy arrays with the batch as first axis.

    Parameters: `dataset`, anything with a length and rows; `batch_size`; `shuffle`, a new order
    at every pass; `generator`, a seed or a generator for that order (default: lmbook's, set by
    `manual_seed`); `drop_last`, leave out a last batch that is not full; `collate_fn`, from a
    list of rows to a batch (default: stack); `batch_sampler`, an iterable of lists of indices, in
    place of `batch_size`, `shuffle` and `drop_last`.

    >>> for x, y in DataLoader(TensorDataset(images, labels), 64, shuffle=True, generator=0):
    ...     ...
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        generator: int | np.random.Generator | None = None,
        drop_last: bool = False,
        collate_fn: Callable[[list], Any] | None = None,
        batch_sampler: Any = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size {batch_size} must be at least 1")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.batch_sampler = batch_sampler
        # a seed makes one generator for the loader's life, so that passes differ
        self.generator = None if generator is None else generator_of(generator)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        for indices in self.batch_sampler if self.batch_sampler is not None else self._batches():
            yield self._batch(indices)

    def _batches(self) -> Iterator[np.ndarray]:
        n = len(self.dataset)
        order = generator_of(self.generator).permutation(n) if self.shuffle else np.arange(n)
        for i in range(len(self)):
            yield order[i * self.batch_size : (i + 1) * self.batch_size]

    def _batch(self, indices: Sequence[int] | np.ndarray) -> Any:
        if self.collate_fn is None and isinstance(self.dataset, TensorDataset):
            return self.dataset[np.asarray(indices)]  # one gather an array, not one a row
        return (self.collate_fn or default_collate)([self.dataset[int(i)] for i in indices])
