"""Rows and batches: `TensorDataset` and `DataLoader`, as PyTorch names them, on NumPy arrays."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
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

    `state_dict()` during or after a pass says how far it has come and in which order; after
    `load_state_dict`, the next pass gives the rest of that one.
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
        self._start: Any = None  # of the generator that drew this pass's order
        self._delivered, self._resume = 0, False

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        skip = self._delivered if self._resume else 0
        order = self.batch_sampler if self.batch_sampler is not None else self._batches()
        self._resume, self._delivered = False, skip
        for indices in islice(order, skip, None):
            self._delivered += 1  # before it is handed out: whoever saves then has used it
            yield self._batch(indices)

    def _batches(self) -> Iterator[np.ndarray]:
        n, draw = len(self.dataset), generator_of(self.generator)
        if self._resume and self._start is not None:  # draw the same order as then, aside
            draw = np.random.Generator(type(draw.bit_generator)())
            draw.bit_generator.state = self._start
        self._start = draw.bit_generator.state
        order = draw.permutation(n) if self.shuffle else np.arange(n)
        return (order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self)))

    def _setting(self) -> dict[str, Any]:
        return {"rows": len(self.dataset), "batch_size": self.batch_size, "shuffle": self.shuffle,
                "drop_last": self.drop_last}  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the pass were handed out, and the generator when its order was drawn."""
        if self.batch_sampler is not None:
            raise ValueError("DataLoader.state_dict: a batch_sampler has an order of its own")
        own = None if self.generator is None else self.generator.bit_generator.state
        done = self._delivered >= len(self)
        return {**self._setting(), "delivered": 0 if done else self._delivered,
                "start": None if done else self._start, "generator": own}  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place that `state_dict` named; the next pass goes on from there."""
        own = self._setting()
        given = {key: state.get(key) for key in own}
        if given != own or (self.generator is None) != (state["generator"] is None):
            raise ValueError(
                f"DataLoader: the state is of {given}, this loader of {own}, "
                f"{'without' if self.generator is None else 'with'} a generator of its own"
            )
        if self.generator is not None:
            self.generator.bit_generator.state = state["generator"]
        self._delivered, self._start = state["delivered"], state["start"]
        self._resume = self._delivered > 0

    def _batch(self, indices: Sequence[int] | np.ndarray) -> Any:
        if self.collate_fn is None and isinstance(self.dataset, TensorDataset):
            return self.dataset[np.asarray(indices)]  # one gather an array, not one a row
        return (self.collate_fn or default_collate)([self.dataset[int(i)] for i in indices])
