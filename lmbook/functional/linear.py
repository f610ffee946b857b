"""Linear map, embedding and dropout."""

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.autograd.tensor import raw
from lmbook.backend import DTypeError, IndexRangeError, ShapeError, asarray, default_generator
from lmbook.backend.kernels import dense


@primitive
def _linear(x, weight, bias):  # type: ignore[no-untyped-def]
    """x W^T + b over the last axis, as one matrix product."""
    rows = x.reshape(-1, x.shape[-1])
    y = dense.linear(rows, weight, bias)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        flat = g.reshape(-1, g.shape[-1])
        return (
            dense.product(flat, weight).reshape(x.shape) if needs[0] else None,
            dense.product(flat.T, rows) if needs[1] else None,
            flat.sum(axis=0) if needs[2] else None,
        )

    return y.reshape(*x.shape[:-1], weight.shape[0]), pull


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b.

    Shapes: x (..., in), weight (out, in), bias (out,), y (..., out).
    """
    if weight.ndim != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: input {x.shape} and weight {weight.shape}: the input's last axis must be as "
            f"long as the weight's second, {weight.shape[-1]}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"linear: bias {bias.shape} and weight {weight.shape}: the bias needs one entry for each "
            f"of the weight's {weight.shape[0]} rows"
        )
    return _linear(x, weight, bias)


@primitive
def _embedding(weight, index):  # type: ignore[no-untyped-def]
    """Rows of a table."""

    def pull(g, needs):  # type: ignore[no-untyped-def]
        return dense.scatter_rows(g, index, weight.shape[0]), None

    return weight[index], pull


def embedding(index: Tensor, weight: Tensor) -> Tensor:
    """Rows of `weight` (entries, width) picked by integers of any shape; result (*index, width)."""
    ids = raw(index)
    ids = asarray(ids)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"embedding: the indices must be integers, got {ids.dtype}; use x.long()")
    if ids.size and (ids.min().item() < 0 or ids.max().item() >= weight.shape[0]):
        raise IndexRangeError(
            f"embedding: indices run from {ids.min()} to {ids.max()}, the table of shape "
            f"{weight.shape} has rows 0 to {weight.shape[0] - 1}; check the vocabulary size"
        )
    return _embedding(weight, ids)


@primitive
def _dropout(x, keep, generator):  # type: ignore[no-untyped-def]
    """Zero a random part of x and widen the rest."""
    y, mask = dense.dropout(x, keep, generator)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        return dense.dropout_backward(g, mask, keep), None, None

    return y, pull


def dropout(
    x: Tensor,
    p: float = 0.5,
    training: bool = True,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Set each entry to 0 with probability p and divide the rest by 1 - p; identity in evaluation.

    Source: Srivastava et al. 2014.
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p = {p} is not in [0, 1)")
    if not training or p == 0:
        return x
    return _dropout(x, 1 - p, generator or default_generator())


def stochastic_depth(
    input: Tensor,
    p: float,
    mode: str,
    training: bool = True,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Drop the whole of an example ("row"), or of the batch ("batch"), with probability p, and divide
    what stays by 1 - p; identity in evaluation. It goes onto a branch beside which x itself runs.

    Shapes: input (N, ...), like the result. Source: Huang et al. 2016.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"stochastic_depth: p = {p} is not in [0, 1]")
    if mode not in ("row", "batch"):
        raise ValueError(f"stochastic_depth: mode {mode!r} is neither 'row' nor 'batch'")
    if not training or p == 0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    stays = (generator or default_generator()).random((rows, *[1] * (input.ndim - 1))) >= p
    return input * asarray(stays / max(1 - p, 1e-30), input.dtype)
