"""The norm of a gradient that lies in blocks on many ranks, with bits that their number does not change."""

from collections.abc import Iterable
from fractions import Fraction
from math import sqrt

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import NonFiniteError
from lmbook.distributed import Communicator

SCALE = 1130
"""Sums are kept in units of 2^-SCALE; the smallest double is 2^-1074, and a mantissa has 53 bits."""


def exact_sum(x: np.ndarray) -> int:
    """The sum of float64 entries without rounding, in units of 2^-1130.

    Each entry is m 2^(e - 53) with a whole m below 2^53; the m of one exponent are added as two halves
    of 27 bits, which cannot overflow, and all of it as one long integer. So the order does not matter.
    """
    fraction, exponent = np.frexp(x.reshape(-1))
    m = (fraction * 2.0**53).astype(np.int64)
    found, where = np.unique(exponent, return_inverse=True)
    total = 0
    for shift, half in ((27, m >> 27), (0, m & (2**27 - 1))):
        sums = np.zeros(len(found), np.int64)
        np.add.at(sums, where, half)
        for e, s in zip(found.tolist(), sums.tolist(), strict=True):
            total += s << (e - 53 + shift + SCALE)
    return total


def clip_grad_norm_(blocks: Iterable[Tensor], max_norm: float, comm: Communicator) -> float:
    """Scale gradients in blocks so that their joint 2-norm over all ranks is at most `max_norm`.

    Returns the norm before, the same on every rank: squares are summed exactly and rounded once.
    g <- g * min(1, max_norm / (norm + 1e-6)), as `lmbook.nn.clip_grad_norm_`. Bytes: a long integer from
    each rank. Raises `NonFiniteError` if an entry is not finite.
    """
    gradients = [b.grad.data for b in blocks if b.grad is not None]
    squares = [np.square(g, dtype=np.float64) for g in gradients]
    fine = all(np.isfinite(s).all() for s in squares)
    told = comm.all_gather(sum(map(exact_sum, squares)) if fine else None)
    if None in told:
        raise NonFiniteError(
            f"clip_grad_norm_: gradients of rank {told.index(None)} are not finite; lower the learning rate"
        )
    norm = sqrt(float(Fraction(sum(told), 2**SCALE)))
    scale = max_norm / (norm + 1e-6)
    if scale < 1:
        for g in gradients:
            g *= g.dtype.type(scale)
    return norm
