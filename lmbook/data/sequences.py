"""Batches of a long sequence of tokens, for language models."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmbook.data.dataset import generator_of

Batch = tuple[np.ndarray, np.ndarray]


class StreamLoader:
    """Consecutive pieces of `batch_size` parallel streams, for models that carry a state.

    The sequence is cut into `batch_size` contiguous rows. Every batch is (x, y), both int64 of
    shape (B, T): the next T tokens of every row, and the same shifted by one, to be predicted.
    Row b of a batch goes on where row b of the batch before ended, so the state of the model at
    the end of one batch is the right start for the next. What does not fill a batch is left out.
    """

    def __init__(self, ids: np.ndarray, batch_size: int, length: int) -> None:
        self.rows = _rows(ids, batch_size, length)
        self.length = length

    def __len__(self) -> int:
        return (self.rows.shape[1] - 1) // self.length

    def __iter__(self) -> Iterator[Batch]:
        for i in range(len(self)):
            start = i * self.length
            piece = self.rows[:, start : start + self.length + 1]
            yield piece[:, :-1].copy(), piece[:, 1:].copy()


class WindowLoader:
    """`steps` batches of windows from random places, for models without a state.

    Every batch is (x, y), both int64 of shape (B, T). `generator` is a seed or a generator
    (default: lmbook's, set by `manual_seed`); with a seed, a second pass draws other windows.
    `state_dict` and `load_state_dict` let a pass go on where it was.
    """

    def __init__(
        self,
        ids: np.ndarray,
        batch_size: int,
        length: int,
        steps: int,
        *,
        generator: int | np.random.Generator | None = None,
    ) -> None:
        self.ids = _sequence(ids, batch_size, length)
        self.batch_size = batch_size
        self.length = length
        self.steps = steps
        self.generator = None if generator is None else generator_of(generator)
        self._delivered, self._resume = 0, False

    def __len__(self) -> int:
        return self.steps

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the pass were handed out, and the state of the loader's own generator."""
        own = None if self.generator is None else self.generator.bit_generator.state
        return {"tokens": len(self.ids), "batch_size": self.batch_size, "length": self.length,
                "delivered": self._delivered % max(self.steps, 1), "generator": own}  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place that `state_dict` named; the next pass gives the rest of its steps."""
        own = self.state_dict()
        for key in ("tokens", "batch_size", "length"):
            if state.get(key) != own[key]:
                raise ValueError(
                    f"WindowLoader: the state is of {key} {state.get(key)!r}, this loader of {own[key]!r}"
                )
        if (self.generator is None) != (state["generator"] is None):
            raise ValueError("WindowLoader: one of state and loader has a generator of its own")
        if self.generator is not None:
            self.generator.bit_generator.state = state["generator"]
        self._delivered = int(state["delivered"])
        self._resume = self._delivered > 0

    def __iter__(self) -> Iterator[Batch]:
        random = generator_of(self.generator)
        offsets = np.arange(self.length)
        self._delivered, self._resume = self._delivered if self._resume else 0, False
        while self._delivered < self.steps:
            self._delivered += 1
            starts = random.integers(len(self.ids) - self.length, size=self.batch_size)
            where = starts[:, None] + offsets  # (B, T)
            yield self.ids[where], self.ids[where + 1]


class EvaluationLoader:
    """Every token of a sequence but the first, predicted once: for the loss on a whole text.

    Batches are (x, y, weight), each of shape (B, T): `weight` is 1.0 where y counts and 0.0 on
    what pads the last window or was counted before. Windows start `stride` tokens apart (default:
    `length`); with a smaller stride each token but the first few is predicted from at least
    `length - stride` tokens of context. The loss of the text is
    sum(weight * loss) / sum(weight) over all batches.
    """

    def __init__(
        self, ids: np.ndarray, batch_size: int, length: int, stride: int | None = None
    ) -> None:
        self.ids = _sequence(ids, batch_size, 1)
        self.batch_size = batch_size
        self.length = length
        self.stride = length if stride is None else stride
        if not 0 < self.stride <= length:
            raise ValueError(f"EvaluationLoader: stride {stride} must be in 1..{length}")

    def __len__(self) -> int:
        return -(-len(self._starts()) // self.batch_size)

    def _starts(self) -> np.ndarray:
        targets = len(self.ids) - 1
        extra = max(0, targets - self.length)
        return np.arange(0, extra + self.stride, self.stride)[: -(-extra // self.stride) + 1]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        starts = self._starts()
        for first in range(0, len(starts), self.batch_size):
            chosen = starts[first : first + self.batch_size, None]
            where = chosen + np.arange(self.length)  # (B, T)
            # a window after the first counts only the tokens that no window before it had
            new = np.where(chosen == 0, 0, chosen + self.length - self.stride)
            weight = (where >= new) & (where + 1 < len(self.ids))
            last = len(self.ids) - 1
            x, y = self.ids[np.minimum(where, last)], self.ids[np.minimum(where + 1, last)]
            yield x, y, weight.astype(np.float32)


def _sequence(ids: np.ndarray, batch_size: int, length: int) -> np.ndarray:
    ids = np.asarray(ids)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"token ids: want one row of integers, got {ids.dtype} {ids.shape}")
    if batch_size < 1 or length < 1:
        raise ValueError(f"batch_size {batch_size} and length {length} must be at least 1")
    if len(ids) <= length:
        raise ValueError(f"{len(ids)} token ids are too few for windows of length {length} + 1")
    return ids.astype(np.int64)


def _rows(ids: np.ndarray, batch_size: int, length: int) -> np.ndarray:
    ids = _sequence(ids, batch_size, length)
    width = len(ids) // batch_size
    if width <= length:
        raise ValueError(
            f"{len(ids)} token ids in {batch_size} rows make rows of {width}, too short for "
            f"length {length} + 1: lower batch_size or length"
        )
    return ids[: width * batch_size].reshape(batch_size, width)
