"""Normalisation over features, groups of channels, or the batch."""

import math
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from lmbook.autograd import Tensor, apply, no_grad, primitive
from lmbook.backend import ShapeError, asarray, contiguous
from lmbook.backend.kernels import norm as k


class Exchange(Protocol):
    """How threads that work on shards of one batch tell each other their part of its statistics."""

    rank: int

    def gather(self, value: tuple[Any, ...]) -> list[Any]:
        """Every shard's value, in the order of the shards; all must call it equally often."""


exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
"""Set while a thread works on a shard: batch normalisation then takes the whole batch's moments."""


def _rows(x: np.ndarray, width: int) -> np.ndarray:
    return contiguous(x).reshape(-1, width)


@primitive
def _layer_norm(x, weight, bias, width, eps):  # type: ignore[no-untyped-def]
    """Normalise rows to mean 0 and variance 1, then scale and shift."""
    w, b = (None if a is None else a.reshape(-1) for a in (weight, bias))
    y, hat, rstd = k.layer_norm(_rows(x, width), w, b, eps)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        rows = _rows(g, width)
        dw, db = k.column_sums(rows, hat) if needs[1] or needs[2] else (None, None)
        dx = k.layer_norm_backward(rows, hat, rstd, w).reshape(x.shape) if needs[0] else None
        return (
            dx,
            dw.reshape(weight.shape) if needs[1] else None,  # type: ignore[union-attr]
            db.reshape(bias.shape) if needs[2] else None,  # type: ignore[union-attr]
            None,
            None,
        )

    return y.reshape(x.shape), pull


def layer_norm(
    x: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last axes (Ba et al. 2016).

    Shapes: x (..., *normalized_shape), weight and bias normalized_shape.
    """
    return _layer_norm(x, weight, bias, _width("layer_norm", x, normalized_shape), eps)


@primitive
def _rms_norm(x, weight, width, eps):  # type: ignore[no-untyped-def]
    """Divide rows by their root mean square, then scale."""
    w = None if weight is None else weight.reshape(-1)
    rows = _rows(x, width)
    y, rrms = k.rms_norm(rows, w, eps)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        g = _rows(g, width)
        return (
            k.rms_norm_backward(g, rows, rrms, w).reshape(x.shape) if needs[0] else None,
            np.einsum("nd,nd,n->d", g, rows, rrms[:, 0]).reshape(weight.shape)
            if needs[1]
            else None,
            None,
            None,
        )

    return y.reshape(x.shape), pull


def rms_norm(
    x: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, over the last axes (Zhang and Sennrich 2019).

    `eps` is the type's machine epsilon unless given, as in PyTorch.
    """
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    return _rms_norm(x, weight, _width("rms_norm", x, normalized_shape), eps)


def _width(name: str, x: Tensor, shape: tuple[int, ...]) -> int:
    shape = tuple(shape)
    if x.shape[len(x.shape) - len(shape) :] != shape:
        raise ShapeError(f"{name}: the last axes of the input {x.shape} must be {shape}")
    return math.prod(shape)


def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each group of channels of each example (Wu and He 2018).

    Shapes: x (N, C, ...), weight and bias (C,).
    """
    n, c = x.shape[:2]
    if c % num_groups:
        raise ShapeError(
            f"group_norm: {c} channels of input {x.shape} do not divide into {num_groups}"
        )
    grouped = x.reshape(n, num_groups, -1)
    y = _layer_norm(grouped, None, None, grouped.shape[-1], eps).reshape(x.shape)
    per_channel = (1, c) + (1,) * (x.ndim - 2)
    if weight is not None:
        y = y * weight.reshape(per_channel)
    return y if bias is None else y + bias.reshape(per_channel)


@primitive
def _batch_norm(x, weight, bias, mean, rstd, count):  # type: ignore[no-untyped-def]
    """Normalise channels by the given moments: those of `count` values, or, if 0, fixed ones."""
    rows = contiguous(x).reshape(x.shape[0], x.shape[1], -1)
    y = k.batch_norm(rows, mean, rstd, weight, bias)
    shards = exchange.get()

    def pull(g, needs):  # type: ignore[no-untyped-def]
        g = contiguous(g).reshape(rows.shape)
        total, product = k.batch_norm_sums(g, rows, mean, rstd)
        dx = None
        if needs[0]:
            flow: tuple[Any, ...] = total, product
            if shards is not None and count:
                flow = tuple(map(sum, zip(*shards.gather(flow), strict=True)))
            share = rows.size // rows.shape[1] / count if count else 0
            flow = tuple(asarray(part * share, g.dtype) for part in flow)
            dx = k.batch_norm_backward(g, rows, mean, rstd, weight, *flow).reshape(x.shape)
        return dx, product if needs[1] else None, total if needs[2] else None, None, None, None

    return y.reshape(x.shape), pull


def _moments(x: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """How many values a channel has in the whole batch, their mean and their variance."""
    count = x.size // x.shape[1]
    mean, var = k.batch_moments(contiguous(x).reshape(x.shape[0], x.shape[1], -1))
    shards = exchange.get()
    if shards is None:
        return count, mean, var
    counts, means, variances = zip(*shards.gather((count, mean, var)), strict=True)
    n = sum(counts)
    whole = sum(c * m.astype(np.float64) for c, m in zip(counts, means, strict=True)) / n
    spread = sum(
        c * (v + (m - whole) ** 2) for c, m, v in zip(counts, means, variances, strict=True)
    )
    return n, whole.astype(x.dtype), asarray(spread / n, x.dtype)


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel by the batch's moments, or by the running ones in evaluation.

    Shapes: x (N, C, ...), everything else (C,). In training the running moments move by `momentum`
    towards the batch's mean and unbiased variance. Source: Ioffe and Szegedy 2015.
    """
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: needs (batch, channels, ...), got {x.shape}")
    n = 0
    if training or running_mean is None or running_var is None:
        n, mean, var = _moments(x.data)
        if n < 2:
            raise ShapeError(
                f"batch_norm: input {x.shape} gives one value per channel, whose variance is "
                "nothing to train on; use a larger batch, or eval()"
            )
        if training and running_mean is not None and running_var is not None and leads():
            with no_grad():
                running_mean.copy_(running_mean.data * (1 - momentum) + momentum * mean)
                running_var.copy_(
                    running_var.data * (1 - momentum) + momentum * var * (n / (n - 1))
                )
    else:
        mean, var = running_mean.data, running_var.data
    rstd = 1 / np.sqrt(var + var.dtype.type(eps))
    return _batch_norm(x, weight, bias, mean, rstd.astype(x.dtype, copy=False), n)


def leads() -> bool:
    """Whether this thread keeps what all shards of a batch share: the first of them, or the only."""
    shards = exchange.get()
    return shards is None or shards.rank == 0


def normalize(x: Tensor, p: float = 2.0, dim: int = -1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along `dim`, but by no less than eps."""
    norm: Any = (x.abs() ** p).sum(dim, keepdim=True) ** (1 / p)
    return x / norm.maximum(eps)


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha / size * sum of x^2 over the `size` channels around each)^beta.

    Shapes: x (N, C, ...). PyTorch's formula; AlexNet's does not divide alpha by `size`.
    Source: Krizhevsky et al. 2012, section 3.3.
    """
    if x.ndim < 3:
        raise ShapeError(f"local_response_norm: needs (batch, channels, ...), got {x.shape}")
    channels, before = x.shape[1], size // 2
    after = size - 1 - before
    widths = [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)]
    squares = apply("pad", x * x, widths=widths)
    total = squares[:, :channels]
    for i in range(1, size):
        total = total + squares[:, i : i + channels]
    return x / (total * (alpha / size) + k) ** beta
