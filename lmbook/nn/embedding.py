"""Embeddings of tokens and of positions."""

from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.nn import init
from lmbook.nn.module import Module, Parameter


class Embedding(Module):
    """A table of vectors, looked up by integers; entries start standard normal."""

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(init.normal_(init.new(num_embeddings, embedding_dim)))

    def forward(self, index: Tensor) -> Tensor:
        """Vectors (*index.shape, embedding_dim)."""
        return F.embedding(index, self.weight)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


def sinusoids(length: int, width: int, base: float = 10000.0) -> np.ndarray:
    """sin and cos of position / base^(2i / width), interleaved: (length, width).

    Source: Vaswani et al. 2017, section 3.5.
    """
    if width % 2:
        raise ShapeError(f"sinusoids: the width must be even, got {width}")
    angle = np.arange(length)[:, None] / base ** (np.arange(0, width, 2) / width)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, width)


class SinusoidalPositionalEncoding(Module):
    """Add fixed sines and cosines of the position to x (..., T, width)."""

    def __init__(self, width: int, max_length: int = 5000) -> None:
        super().__init__()
        self.table = sinusoids(max_length, width)

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x plus the code of positions offset, offset + 1, ..."""
        return x + _positions(self.table, x.shape[-2], offset).astype(x.dtype)


class LearnedPositionalEmbedding(Module):
    """Add a trained vector for each position to x (..., T, width)."""

    def __init__(self, max_length: int, width: int) -> None:
        super().__init__()
        self.weight = Parameter(init.normal_(init.new(max_length, width), std=0.02))

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x plus the vectors of positions offset, offset + 1, ..."""
        return x + _positions(self.weight, x.shape[-2], offset)


class RotaryEmbedding(Module):
    """Turn pairs of features by an angle that grows with the position (Su et al. 2021).

    For x (..., T, width): pair i of position t turns by t / base^(2i / width), so that the product
    of a query and a key depends on their distance alone.
    """

    def __init__(self, width: int, max_length: int = 2048, base: float = 10000.0) -> None:
        super().__init__()
        if width % 2:
            raise ShapeError(f"RotaryEmbedding: the width must be even, got {width}")
        self.max_length = max_length
        self.periods = base ** (np.arange(0, width, 2) / width)
        self.cos = self.sin = np.zeros((0, width // 2))  # of the positions met so far

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x, turned as positions offset, offset + 1, ... ask."""
        end = offset + x.shape[-2]
        if end > self.max_length:
            raise _too_far(offset, end, self.max_length)
        if end > len(self.cos):  # twice as many as before, so that this is rare
            angle = np.arange(min(max(end, 2 * len(self.cos)), self.max_length))[:, None]
            self.cos, self.sin = np.cos(angle / self.periods), np.sin(angle / self.periods)
        return F.rotary(x, self.cos[offset:end], self.sin[offset:end])


def _positions(table: Any, length: int, offset: int) -> Any:
    """Rows offset to offset + length - 1 of a table; an error where it has not so many."""
    if offset + length > table.shape[0]:
        raise _too_far(offset, offset + length, table.shape[0])
    return table[offset : offset + length]


def _too_far(start: int, end: int, length: int) -> ShapeError:
    return ShapeError(
        f"positions {start} to {end - 1} asked for, the table has {length}; "
        "build the layer with a larger max_length"
    )
