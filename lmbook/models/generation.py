"""Writing token by token: the cache of keys and values, sampling, and the loop around both.

Shapes: N batch, T length, V vocabulary, K key heads, D head width.
"""

from typing import Any, Protocol

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.backend import ShapeError, asarray, default_generator, host


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


def generate(
    model: Decoder,
    index: np.ndarray,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: np.random.Generator | None = None,
    use_cache: bool = True,
) -> np.ndarray:
    """Continue token numbers (N, T) by sampling; temperature 0 takes the likeliest token.

    When the model's positions are used up, the context slides: the cache starts again from the
    second half of what it held.
    """
    generator = generator or default_generator()
    index = not_empty("generate", host(index))
    was_training = model.training
    model.eval()
    total = index.shape[1] + max_new_tokens
    cache = model.new_cache(len(index), total)
    longest = cache.capacity  # of the model, unless all of it is shorter
    fresh = index[:, -longest:]
    with no_grad():
        for _ in range(max_new_tokens):
            if use_cache and cache.length + fresh.shape[1] > longest:
                cache = model.new_cache(len(index), total)
                fresh = index[:, -(longest // 2) :]
            logits = model(Tensor(fresh), cache if use_cache else None).data[:, -1]
            token = sample(host(logits), temperature, top_k, generator)
            index = np.concatenate([index, token[:, None]], axis=1)
            fresh = token[:, None] if use_cache else index[:, -longest:]
    model.train(was_training)
    return index


def not_empty(name: str, index: np.ndarray) -> np.ndarray:
    """Token numbers (N, T) with one token or more in each row; else `ShapeError`."""
    index = np.asarray(index)
    if index.ndim != 2 or 0 in index.shape:
        raise ShapeError(
            f"{name}: the prompt must be token numbers (rows, tokens) with one token at least, got shape "
            f"{index.shape}"
        )
    return index


def sample(
    logits: np.ndarray, temperature: float, top_k: int | None, generator: np.random.Generator
) -> np.ndarray:
    """One token for each row of logits (N, V), from softmax(logits / temperature) or its top k."""
    if temperature == 0:
        return logits.argmax(axis=1)
    scores = logits.astype(np.float64) / temperature
    if top_k is not None and top_k < scores.shape[1]:
        least = np.partition(scores, -top_k, axis=1)[:, -top_k, None]
        scores = np.where(scores < least, -np.inf, scores)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    cumulative = np.cumsum(p, axis=1)
    u = generator.random(len(p))[:, None] * cumulative[:, -1:]
    return (cumulative <= u).sum(axis=1)
