"""Writing token by token: the cache of keys and values, and the loop around it and `sampling`.

Shapes: N batch, T length, V vocabulary, K key heads, D head width.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.backend import ShapeError, asarray, default_generator, host
from lmbook.models.sampling import Sampling, choose


class KVCache:
    """Keys and values of the positions seen so far, one pair of arrays for each layer."""

    def __init__(
        self, layers: int, batch: int, heads: int, length: int, width: int, value_width: int = 0,
        dtype: Any = np.float32,
    ) -> None:  # fmt: skip
        shape = (layers, batch, heads, length)
        self.keys = asarray(np.zeros((*shape, width), dtype))
        self.values = asarray(np.zeros((*shape, value_width or width), dtype))
        self.length = 0

    @property
    def capacity(self) -> int:
        """How many positions it has room for."""
        return self.keys.shape[3]

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return self.keys.nbytes + self.values.nbytes

    def reorder(self, rows: np.ndarray) -> None:
        """Let row i of the batch go on from what row `rows[i]` holds."""
        if np.array_equal(rows, np.arange(len(rows))):
            return
        end = self.length
        self.keys[:, :, :, :end] = self.keys[:, rows, :, :end]
        self.values[:, :, :, :end] = self.values[:, rows, :, :end]

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append k and v (N, K, T, D) of one layer; return all keys and values so far."""
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise ShapeError(
                f"KVCache: {end} positions, but room for {self.capacity}; ask new_cache for more"
            )
        self.keys[layer, :, :, self.length : end] = k.data
        self.values[layer, :, :, self.length : end] = v.data
        return Tensor(self.keys[layer, :, :, :end]), Tensor(self.values[layer, :, :, :end])


def cache_mask(queries: int, keys: int, window: int = 0) -> np.ndarray | None:
    """What `queries` new positions may see of `keys`, themselves the last; None for one or all.

    With a `window` each sees that many positions at most, its own included.
    """
    short = not window or keys <= window
    if short and (queries == 1 or queries == keys):
        return None
    mask = np.tril(np.ones((queries, keys), bool), keys - queries)
    return mask if short else np.triu(mask, keys - queries - window + 1)


class Decoder(Protocol):
    """A model that `generate` can drive."""

    training: bool

    def __call__(self, index: Tensor, cache: KVCache | None = None) -> Tensor: ...
    def new_cache(self, batch: int, length: int | None = None) -> KVCache: ...
    def train(self, mode: bool = True) -> object: ...
    def eval(self) -> object: ...


def stream(
    model: Decoder,
    index: np.ndarray,
    max_new_tokens: int,
    how: Sampling | None = None,
    generator: np.random.Generator | None = None,
    use_cache: bool = True,
) -> Iterator[np.ndarray]:
    """The tokens (N,) that continue token numbers (N, T), each as soon as it has been chosen.

    When the model's positions are used up, the context slides: the cache starts again from the
    second half of what it held. Without the cache every step reads the whole context anew.
    """
    how, generator = how or Sampling(), generator or default_generator()
    index = not_empty("generate", host(index))
    start, total = index.shape[1], index.shape[1] + max_new_tokens
    index = np.concatenate([index, np.zeros((len(index), max_new_tokens), index.dtype)], axis=1)
    was_training = model.training
    model.eval()
    try:
        cache = model.new_cache(len(index), total)
        longest = cache.capacity  # of the model, unless all of it is shorter
        fresh = index[:, max(0, start - longest) : start]
        for end in range(start, total):
            if use_cache and cache.length + fresh.shape[1] > longest:
                cache = model.new_cache(len(index), total)
                fresh = index[:, end - longest // 2 : end]
            with no_grad():
                logits = host(model(Tensor(fresh), cache if use_cache else None).data[:, -1])
            index[:, end] = choose(logits, how, generator, index[:, :end])
            yield index[:, end].copy()
            fresh = index[:, end if use_cache else max(0, end + 1 - longest) : end + 1]
    finally:
        model.train(was_training)


def generate(
    model: Decoder,
    index: np.ndarray,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: np.random.Generator | None = None,
    use_cache: bool = True,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
) -> np.ndarray:
    """Continue token numbers (N, T) by sampling; temperature 0 takes the likeliest token.

    See `Sampling` for the ways to choose, `stream` for one token after the other.
    """
    how = Sampling(temperature, top_k, top_p, repetition_penalty)
    index = not_empty("generate", host(index))
    tokens = stream(model, index, max_new_tokens, how, generator, use_cache)
    return np.concatenate([index, *(token[:, None] for token in tokens)], axis=1)


def not_empty(name: str, index: np.ndarray) -> np.ndarray:
    """Token numbers (N, T) with one token or more in each row; else `ShapeError`."""
    index = np.asarray(index)
    if index.ndim != 2 or 0 in index.shape:
        raise ShapeError(
            f"{name}: the prompt must be token numbers (rows, tokens) with one token at least, got shape "
            f"{index.shape}"
        )
    return index
