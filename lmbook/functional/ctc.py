"""Connectionist temporal classification: the loss of all alignments of a short text with a long sound.

A path picks a symbol at each of T moments; removing repeats, then blanks, leaves the text. The loss is
-log of the sum of the probabilities of all paths that leave the target (Graves et al. 2006). In the
chain  blank y1 blank y2 ... yS blank  of L = 2 S + 1 states a path stays, goes on, or skips a blank
between two different symbols.

Shapes: T moments, N batch, C symbols, S target length, L = 2 S + 1 states.
"""

from typing import Any

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.autograd.tensor import raw
from lmbook.backend import DTypeError, IndexRangeError, ShapeError, asarray, host


def _chain(targets: np.ndarray, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """The states' symbols (N, L), and as numbers to add, 0 where the state two before may skip to it."""
    n, s = targets.shape
    states = np.full((n, 2 * s + 1), blank)
    states[:, 1::2] = targets
    skip = np.full(states.shape, -np.inf)
    skip[:, 2:][(states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])] = 0
    return states, skip


def _back(x: np.ndarray, k: int) -> np.ndarray:
    """Columns moved right by k, minus infinity coming in."""
    moved = np.full_like(x, -np.inf)
    moved[:, k:] = x[:, : x.shape[1] - k]
    return moved


def _sum(*terms: np.ndarray) -> np.ndarray:
    """log(sum of exponentials), also where all are minus infinity."""
    top = np.maximum.reduce(terms)
    safe = np.where(np.isneginf(top), 0, top)
    total = sum(np.exp(t - safe) for t in terms)
    with np.errstate(divide="ignore"):
        return np.log(total) + safe


def _forward(emit: np.ndarray, skip: np.ndarray) -> np.ndarray:
    """log P(symbols up to t, state at t): alpha (T, N, L), from emissions (T, N, L)."""
    alpha = np.empty_like(emit)
    now = np.full(emit.shape[1:], -np.inf)
    now[:, :2] = 0
    for t, e in enumerate(emit):
        if t:
            now = _sum(now, _back(now, 1), _back(now, 2) + skip)
        alpha[t] = now = now + e
    return alpha


def _backward(
    emit: np.ndarray, skip: np.ndarray, steps: np.ndarray, final: np.ndarray
) -> np.ndarray:
    """log P(symbols after t | state at t): beta (T, N, L); `final` (N, L) is that at the last moment."""
    beta = np.full(emit.shape, -np.inf)
    onward = skip[:, ::-1]  # in the mirrored chain, skips leave the state that they lead to here
    for t in reversed(range(len(emit))):
        if t + 1 < len(emit):
            later = (beta[t + 1] + emit[t + 1])[:, ::-1]
            beta[t] = _sum(later, _back(later, 1), _back(later + onward, 2))[:, ::-1]
        beta[t] = np.where((steps == t + 1)[:, None], final, beta[t])
        beta[t, steps <= t] = -np.inf
    return beta


@primitive
def _ctc(log_probs, targets, steps, lengths, blank, zero_infinity):  # type: ignore[no-untyped-def]
    """The loss of each sequence (N,); computed in float64 on the CPU."""
    p = host(log_probs).astype(np.float64)
    rows = np.arange(p.shape[1])
    states, skip = _chain(targets, blank)
    emit = p[:, rows[:, None], states]  # (T, N, L)
    final = np.full(states.shape, -np.inf)
    final[rows, 2 * lengths] = 0
    final[rows[lengths > 0], 2 * lengths[lengths > 0] - 1] = 0
    alpha = _forward(emit, skip)
    ends = alpha[np.maximum(steps - 1, 0), rows] + final if len(p) else final
    total = _sum(*ends.T)
    total = np.where(steps == 0, np.where(lengths == 0, 0.0, -np.inf), total)
    possible = np.isfinite(total)
    loss = np.where(possible | (not zero_infinity), -total, 0.0)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        beta = _backward(emit, skip, steps, final)
        weight = np.exp(alpha + beta - np.where(possible, total, np.inf)[:, None])  # P(state at t)
        d = np.zeros((p.shape[1], p.shape[2], len(p)))
        np.add.at(d, (rows[:, None], states), -weight.transpose(1, 2, 0))
        d = d.transpose(2, 0, 1) * np.where(possible, host(g), 0)[:, None]
        return asarray(d, log_probs.dtype), None, None, None, None, None

    return asarray(loss, log_probs.dtype), pull


def ctc_loss(
    log_probs: Tensor,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the summed probability of all paths that leave the target.

    Shapes: log_probs (T, N, C) of log-probabilities, targets (N, S) padded or all joined in one vector,
    input_lengths and target_lengths (N,); or, for one sequence, (T, C), (S,) and two numbers. "mean"
    divides each loss by its target's length before the mean over the batch. A target that fits into no
    path (it needs one moment a symbol and one more between equal neighbours) has an infinite loss, or,
    with `zero_infinity`, none; it has no gradient. The gradient is that of the formula,
    -P(symbol at t | target); PyTorch's adds exp(log_probs), which log_softmax before it takes away.
    """
    if log_probs.ndim not in (2, 3) or log_probs.dtype.kind != "f":
        raise ShapeError(
            f"ctc_loss: log_probs {log_probs.shape} of {log_probs.dtype} must be floating-point "
            "(time, batch, symbols) or (time, symbols)"
        )
    single = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    steps, lengths = (_lengths(name, n, x.shape[1]) for name, n in
                      (("input_lengths", input_lengths), ("target_lengths", target_lengths)))  # fmt: skip
    padded = _targets(host(asarray(raw(targets))), lengths, x.shape[1])
    _check(x.shape, padded, steps, lengths, blank)
    loss = _ctc(x, padded, steps, lengths, blank, zero_infinity)
    if reduction == "mean":
        return (loss / np.maximum(lengths, 1).astype(loss.dtype)).mean()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"reduction {reduction!r} is none of 'mean', 'sum', 'none'")
    return loss[0] if single else loss


def _lengths(name: str, given: Any, n: int) -> np.ndarray:
    lengths = np.atleast_1d(host(asarray(raw(given))))
    if lengths.shape != (n,) or lengths.dtype.kind not in "iu" or lengths.min(initial=0) < 0:
        raise ShapeError(
            f"ctc_loss: {name} must be {n} whole numbers, one a sequence, got {lengths.tolist()}"
        )
    return lengths.astype(np.int64)


def _targets(given: np.ndarray, lengths: np.ndarray, n: int) -> np.ndarray:
    """Padded targets (N, S) from either form."""
    if given.size and given.dtype.kind not in "iu":
        raise DTypeError(f"ctc_loss: targets must be integers, got {given.dtype}; use .long()")
    longest = int(lengths.max(initial=0))
    if given.ndim == 2:
        if given.shape[0] != n or given.shape[1] < longest:
            raise ShapeError(
                f"ctc_loss: targets {given.shape} for {n} sequences of up to {longest} symbols"
            )
        return given[:, :longest]
    if given.ndim != 1 or len(given) < lengths.sum():
        raise ShapeError(
            f"ctc_loss: joined targets {given.shape} for target_lengths that sum to {lengths.sum()}"
        )
    padded = np.zeros((n, longest), np.int64)
    inside = np.arange(longest) < lengths[:, None]
    padded[inside] = given[: lengths.sum()]
    return padded


def _check(
    shape: tuple[int, ...], targets: np.ndarray, steps: np.ndarray, lengths: np.ndarray, blank: int
) -> None:
    t, _, c = shape
    if steps.max(initial=0) > t:
        raise ShapeError(
            f"ctc_loss: an input length is {steps.max()}, log_probs {shape} has {t} moments"
        )
    if not 0 <= blank < c:
        raise IndexRangeError(f"ctc_loss: blank = {blank}, the symbols are 0 to {c - 1}")
    used = targets[np.arange(targets.shape[1]) < lengths[:, None]]
    if used.size and (used.min() < 0 or used.max() >= c or (used == blank).any()):
        raise IndexRangeError(
            f"ctc_loss: targets run from {used.min()} to {used.max()}; they must be symbols 0 to {c - 1} "
            f"other than the blank, {blank}"
        )
    # what stands behind a target's end must be a symbol too; it is never reached
    targets[np.arange(targets.shape[1]) >= lengths[:, None]] = blank
