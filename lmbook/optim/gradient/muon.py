"""Muon: a momentum whose singular values are all made about one."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.backend import ShapeError
from lmbook.optim.gradient.optimizer import Optimizer, fractions, positive

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steep at zero; Jordan et al. 2024


def newton_schulz(
    x: np.ndarray,
    coefficients: tuple[float, float, float] = COEFFICIENTS,
    steps: int = 5,
    eps: float = 1e-7,
) -> np.ndarray:
    """Nearly U V^T of the matrix x = U S V^T, by products alone.

    x / ||x||_F, then `steps` times x <- a x + b (x x^T) x + c (x x^T)^2 x. Each singular value s
    becomes a s + b s^3 + c s^5, which with these coefficients drives it from near 0 to about 0.7
    to 1.2, not to 1. A zero matrix stays zero. Source: Jordan et al. 2024.
    """
    a, b, c = coefficients
    wide = x.shape[0] <= x.shape[1]
    y = x if wide else x.T
    y = y / y.dtype.type(max(np.linalg.norm(y).item(), eps))
    for _ in range(steps):
        gram = y @ y.T
        y = a * y + (b * gram + c * (gram @ gram)) @ y
    return y if wide else y.T


class Muon(Optimizer):
    """m <- momentum m + (1 - momentum) g;  p <- (1 - lr weight_decay) p - rate newton_schulz(m).

    With `nesterov`, (1 - momentum) g + momentum m stands for m. rate is lr sqrt(max(1, rows /
    columns)), or, if `adjust_lr_fn` is "match_rms_adamw", 0.2 lr sqrt(max(rows, columns)), which gives
    steps as long as AdamW's (Liu et al. 2025). For the hidden layers' matrices; give biases,
    embeddings and the last layer to AdamW. Computes in the parameter's type, PyTorch in bfloat16.
    Source: Jordan et al. 2024.
    """

    reach = "tensor"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        positive("Muon", lr=lr, weight_decay=weight_decay, eps=eps)
        fractions("Muon", "momentum", [momentum])
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f'Muon: adjust_lr_fn {adjust_lr_fn!r} must be "original" or "match_rms_adamw"'
            )
        settings: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        settings |= {"nesterov": nesterov, "ns_coefficients": tuple(ns_coefficients), "eps": eps}
        super().__init__(params, {**settings, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn})
        for p in self._parameters():
            if p.ndim != 2:
                raise ShapeError(
                    f"Muon: parameters must be matrices, got shape {p.shape}; give this one to AdamW"
                )

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one matrix."""
        if not state:
            state["momentum_buffer"] = np.zeros_like(p)
        m, momentum = state["momentum_buffer"], group["momentum"]
        m += (1 - momentum) * (g - m)
        ahead = g + momentum * (m - g) if group["nesterov"] else m
        step = newton_schulz(ahead, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1, rows / max(columns, 1)))
        p *= 1 - group["lr"] * group["weight_decay"]
        p -= group["lr"] * scale * step
