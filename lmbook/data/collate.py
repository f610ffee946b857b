"""Sequences of different lengths in one batch: padding, pairs, batches of similar lengths."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmbook.data.dataset import generator_of


def pad_sequences(
    sequences: Sequence[Sequence[int] | np.ndarray], value: int, length: int | None = None
) -> np.ndarray:
    """int64 of shape (N, length), each sequence at the left, `value` after it.

    `length` is that of the longest by default; a longer sequence than `length` is an error.
    """
    longest = max(map(len, sequences), default=0)
    length = longest if length is None else length
    if longest > length:
        raise ValueError(f"pad_sequences: a sequence of {longest} does not fit length {length}")
    out = np.full((len(sequences), length), value, dtype=np.int64)
    for row, sequence in zip(out, sequences):
        row[: len(sequence)] = sequence
    return out


class PairBatch(NamedTuple):
    """A batch for a sequence-to-sequence model; B pairs, S source and T target tokens at most.

    `source` (B, S) and `source_mask` (B, S), True on tokens and False on padding; `decoder_input`
    (B, T), the target after <bos>; `labels` (B, T), the target and then <eos>, what
    `decoder_input` is to be continued by; `label_mask` (B, T), True where a label counts.
    """

    source: np.ndarray
    source_mask: np.ndarray
    decoder_input: np.ndarray
    labels: np.ndarray
    label_mask: np.ndarray


class PairCollate:
    """From rows (source ids, target ids) to a `PairBatch`; a `collate_fn` for `DataLoader`."""

    def __init__(self, pad: int, bos: int, eos: int) -> None:
        self.pad, self.bos, self.eos = pad, bos, eos

    def __call__(self, rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> PairBatch:
        sources = [[*source, self.eos] for source, _ in rows]
        inputs = [[self.bos, *target] for _, target in rows]
        labels = [[*target, self.eos] for _, target in rows]
        return PairBatch(
            pad_sequences(sources, self.pad),
            _mask(sources),
            pad_sequences(inputs, self.pad),
            pad_sequences(labels, self.pad),
            _mask(labels),
        )


class BucketSampler:
    """Batches of rows of similar length, in random order: little padding, still shuffled.

    `lengths`: one number a row. At every pass rows are shuffled, sorted by length inside chunks of
    `chunk` batches, cut into batches, and the batches are shuffled. A `batch_sampler` for
    `DataLoader`; `generator` as there.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        batch_size: int,
        *,
        generator: int | np.random.Generator | None = None,
        chunk: int = 50,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"BucketSampler: batch_size {batch_size} must be at least 1")
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.chunk = chunk
        self.generator = None if generator is None else generator_of(generator)

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        random = generator_of(self.generator)
        order = random.permutation(len(self.lengths))
        size = self.chunk * self.batch_size
        sorted_chunks = [
            rows[np.argsort(self.lengths[rows], kind="stable")]
            for rows in (order[i : i + size] for i in range(0, len(order), size))
        ]
        rows = np.concatenate(sorted_chunks) if sorted_chunks else order
        batches = [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        for i in random.permutation(len(batches)):
            yield batches[i]


def _mask(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    lengths = np.array([len(sequence) for sequence in sequences])
    return np.arange(lengths.max(initial=0)) < lengths[:, None]
