"""Language models are measured by the probability they give to text: perplexity, bits per byte."""

import math
from typing import Any

import numpy as np

from lmbook.backend import ShapeError
from lmbook.training.metrics import checks
from lmbook.training.metrics.interval import Interval, mean_interval, ratio_interval


def _nats(name: str, nats: Any) -> np.ndarray:
    x = checks.array(name, "nats", nats).astype(np.float64).reshape(-1)
    if x.min() < 0:
        raise ValueError(
            f"{name}: nats hold {x.min():.4g}; give -log p of each token, none negative"
        )
    return x


def perplexity(nats: Any) -> float:
    """exp(mean of -log p(token)), natural logarithms: among how many equally likely tokens it wavers.

    Comparable between models with one and the same tokenizer only.
    """
    return math.exp(float(_nats("perplexity", nats).mean()))


def perplexity_interval(nats: Any, level: float = 0.95, groups: Any = None) -> Interval:
    """Perplexity with an interval, the exponential of that of the mean.

    Neighbouring tokens are not independent: give `groups`, the document or window of each token.
    """
    flat = _nats("perplexity_interval", nats)
    members = None if groups is None else np.asarray(groups).reshape(-1)
    value, low, high, _ = mean_interval(flat, level, members)
    return Interval(math.exp(value), math.exp(low), math.exp(high), level)


def _bytes(name: str, n_bytes: Any) -> np.ndarray:
    size = checks.array(name, "n_bytes", n_bytes).astype(np.float64).reshape(-1)
    if size.min() < 0 or size.sum() <= 0:
        raise ValueError(
            f"{name}: n_bytes must hold lengths of the text, none negative, not all zero"
        )
    return size


def bits_per_byte(nats: Any, n_bytes: Any) -> float:
    """sum(-log p) / (log 2 * bytes of the text in UTF-8): comparable across tokenizers.

    Also the size to which the model compresses the text, as a share of 8 bits (Shannon 1948).
    """
    total = _nats("bits_per_byte", nats).sum()
    return float(total / math.log(2) / _bytes("bits_per_byte", n_bytes).sum())


def bits_per_byte_interval(nats: Any, n_bytes: Any, level: float = 0.95) -> Interval:
    """Bits per byte with an interval; one entry of `nats` and `n_bytes` for each document."""
    total, size = _nats("bits_per_byte_interval", nats), _bytes("bits_per_byte_interval", n_bytes)
    if total.shape != size.shape:
        raise ShapeError(
            f"bits_per_byte_interval: nats {total.shape} and n_bytes {size.shape}; give the sum of each "
            "document and its length"
        )
    return ratio_interval(total / math.log(2), size, level)
