"""Losses. `reduction` is "mean", "sum" or "none"."""

from typing import Any

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.autograd.tensor import raw
from lmbook.backend import DTypeError, IndexRangeError, ShapeError, asarray, contiguous
from lmbook.backend.kernels import activation
from lmbook.backend.kernels import loss as k
from lmbook.functional.reduction import reduce, same_shape


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """(input - target)^2."""
    same_shape("mse_loss", input, target)
    return reduce((input - target).square(), reduction)


def l1_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """|input - target|."""
    same_shape("l1_loss", input, target)
    return reduce((input - target).abs(), reduction)


@primitive
def _huber(error, delta):  # type: ignore[no-untyped-def]
    """Quadratic within delta of 0, linear beyond."""
    inside = np.abs(error) <= delta
    y = np.where(inside, 0.5 * error * error, delta * (np.abs(error) - 0.5 * delta))
    return y.astype(error.dtype), lambda g, needs: (g * np.clip(error, -delta, delta), None)


def huber_loss(input: Tensor, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """e^2 / 2 for |e| <= delta, else delta (|e| - delta / 2), with e = input - target."""
    same_shape("huber_loss", input, target)
    return reduce(_huber(input - target, delta), reduction)


@primitive
def _cross_entropy(logits, target, weights, ignore_index, smoothing):  # type: ignore[no-untyped-def]
    """Cross-entropy of each row; `weights` sums them into one number."""
    each, p = k.cross_entropy(logits, target, ignore_index, smoothing)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        rows = g if weights is None else (g * weights).astype(logits.dtype, copy=False)
        d = k.cross_entropy_backward(rows, p, target, ignore_index, smoothing)
        return d, None, None, None, None

    return (each if weights is None else asarray(each @ weights, logits.dtype)), pull


def cross_entropy(
    input: Tensor,
    target: Any,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: the surprise, in nats, at the right class.

    Shapes: input (N, C), (C,) or (N, C, ...), target the same without C, of integers; or target of
    input's shape, of probabilities. Targets equal to `ignore_index` count for nothing, not even in
    the mean. Smoothing s puts s / C of the target on every class.
    """
    t = raw(target)
    t = asarray(t)
    if input.ndim == 0:
        raise ShapeError(
            "cross_entropy: input () has no classes; it must be (C,), (N, C) or (N, C, ...)"
        )
    classes = input.shape[0] if input.ndim == 1 else input.shape[1]
    if t.dtype.kind == "f" and t.shape == input.shape:
        return _soft_cross_entropy(input, target, reduction, label_smoothing, classes)
    expected = () if input.ndim == 1 else (input.shape[0], *input.shape[2:])
    if t.shape != expected:
        raise ShapeError(
            f"cross_entropy: input {input.shape} needs integer targets of shape {expected}, got "
            f"{t.shape}; flatten both, e.g. logits.reshape(-1, classes) and target.reshape(-1)"
        )
    if t.dtype.kind not in "iu":
        raise DTypeError(
            f"cross_entropy: class targets must be integers, got {t.dtype}; use .long()"
        )
    logits = input if input.ndim != 1 else input.reshape(1, -1)
    if logits.ndim > 2:
        order = (0, *range(2, logits.ndim), 1)
        logits = logits.permute(order).reshape(-1, classes)
    flat = contiguous(t).reshape(-1)
    counted = flat != ignore_index
    if counted.any().item():
        seen = flat[counted] if not counted.all().item() else flat
        if seen.min().item() < 0 or seen.max().item() >= classes:
            raise IndexRangeError(
                f"cross_entropy: targets run from {seen.min()} to {seen.max()}, the input of shape "
                f"{input.shape} has classes 0 to {classes - 1}"
            )
    weights = None
    if reduction == "mean":
        weights = counted / logits.dtype.type(counted.sum().item())
    elif reduction == "sum":
        weights = np.ones(len(flat), logits.dtype)
    elif reduction != "none":
        raise ValueError(f"reduction {reduction!r} is none of 'mean', 'sum', 'none'")
    if weights is not None:
        weights = weights.astype(logits.dtype, copy=False)
    result = _cross_entropy(logits, flat, weights, ignore_index, label_smoothing)
    return result.reshape(t.shape) if reduction == "none" else result


def _soft_cross_entropy(
    input: Tensor, target: Any, reduction: str, smoothing: float, classes: int
) -> Tensor:
    from lmbook.functional.activation import log_softmax

    dim = 0 if input.ndim == 1 else 1
    q = target * (1 - smoothing) + smoothing / classes if smoothing else target
    each = -(log_softmax(input, dim) * q).sum(dim)
    return reduce(each, reduction)


def nll_loss(
    input: Tensor, target: Any, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """-input[target], for input of log-probabilities (N, C) and integer targets (N,)."""
    t = asarray(raw(target))
    if input.ndim != 2 or t.shape != input.shape[:1]:
        raise ShapeError(
            f"nll_loss: needs input (N, C) and target (N,), got {input.shape} and {t.shape}"
        )
    counted = t != ignore_index
    if counted.any().item() and (
        t[counted].min().item() < 0 or t[counted].max().item() >= input.shape[1]
    ):
        raise IndexRangeError(f"nll_loss: a target is outside classes 0 to {input.shape[1] - 1}")
    picked = -input.gather(1, np.where(counted, t, 0)[:, None])[:, 0] * counted.astype(input.dtype)
    if reduction == "mean":
        return picked.sum() / counted.sum().item()
    return reduce(picked, reduction)


@primitive
def _bce_with_logits(x, t):  # type: ignore[no-untyped-def]
    """softplus(x) - x t, which is -t log s(x) - (1 - t) log(1 - s(x)) without overflow."""
    y = activation.softplus(x) - x * t
    return y, lambda g, needs: (
        g * (0.5 + 0.5 * np.tanh(0.5 * x) - t),
        -g * x if needs[1] else None,
    )


def binary_cross_entropy_with_logits(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """-t log s(x) - (1 - t) log(1 - s(x)), with the logistic function s, computed from the logit x."""
    same_shape("binary_cross_entropy_with_logits", input, target)
    return reduce(_bce_with_logits(input, target), reduction)


def binary_cross_entropy(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """-t log p - (1 - t) log(1 - p), for probabilities p; logarithms are cut off at -100."""
    same_shape("binary_cross_entropy", input, target)
    if input.data.size and (input.data.min().item() < 0 or input.data.max().item() > 1):
        raise ValueError(
            "binary_cross_entropy: the input must be probabilities in [0, 1]; for logits use "
            "binary_cross_entropy_with_logits"
        )
    tiny = float(np.exp(-100.0)) if input.dtype == np.float64 else float(np.exp(-87.0))
    log_p = input.maximum(tiny).log()
    log_q = (1 - input).maximum(tiny).log()
    return reduce(-(log_p * target + log_q * (1 - target)), reduction)


@primitive
def _kl_div(input, target):  # type: ignore[no-untyped-def]
    """target (log target - input), 0 where the target is 0."""
    positive = target > 0
    log_target = np.log(np.where(positive, target, 1))
    y = np.where(positive, target * (log_target - input), 0).astype(input.dtype)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        slope = np.where(positive, log_target + 1 - input, 0) if needs[1] else None
        return -g * target, (g * slope).astype(target.dtype) if needs[1] else None

    return y, pull


def kl_div(input: Tensor, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target (log target - input), for log-probabilities `input`: the divergence KL(target || input).

    "batchmean" divides the sum by the number of rows, which is the mathematical divergence; "mean"
    divides by the number of entries.
    """
    same_shape("kl_div", input, target)
    each = target.exp() * (target - input) if log_target else _kl_div(input, target)
    if reduction == "batchmean":
        return each.sum() / input.shape[0]
    return reduce(each, reduction)
