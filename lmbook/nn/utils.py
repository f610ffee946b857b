"""Limit gradients."""

from collections.abc import Iterable

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import NonFiniteError


def clip_grad_norm_(
    parameters: Iterable[Tensor], max_norm: float, error_if_nonfinite: bool = False
) -> float:
    """Scale all gradients so that their joint 2-norm is at most `max_norm`; return the norm before.

    g <- g * min(1, max_norm / (norm + 1e-6)). Source: Pascanu et al. 2013.
    """
    gradients = [p.grad.data for p in parameters if p.grad is not None]
    norm = float(np.sqrt(sum(np.vdot(g, g).item() for g in gradients)))
    if not np.isfinite(norm) and error_if_nonfinite:
        raise NonFiniteError(
            f"clip_grad_norm_: the gradients' norm is {norm}; lower the learning rate, or find the "
            "operation with lmbook.autograd.detect_anomaly()"
        )
    scale = max_norm / (norm + 1e-6)
    if scale < 1:
        for g in gradients:
            g *= g.dtype.type(scale)
    return norm


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Limit every entry of every gradient to [-clip_value, clip_value]."""
    for p in parameters:
        if p.grad is not None:
            np.clip(p.grad.data, -clip_value, clip_value, out=p.grad.data)
