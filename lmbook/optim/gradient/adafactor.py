"""Adafactor: Adam's second moment of a matrix, kept as a row and a column."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.optim.gradient.optimizer import Optimizer, positive


class Adafactor(Optimizer):
    """p <- p - a u / max(1, rms(u) / d),  u = g / sqrt(v),  a = max(eps[1], rms(p)) min(lr, 1/sqrt(t)).

    For a matrix (n, m), v is the outer product of running means of g^2 over rows (n, 1) and over
    columns (1, m), divided by their common mean: n + m numbers in place of n m. Further axes stand in
    front; vectors keep all of v. The mean's newest part weighs t^beta2_decay, and eps[0], by default
    the type's machine epsilon, is the least root of v. Weight decay shrinks p by lr * weight_decay.
    Source: Shazeer and Stern 2018, without momentum, as in PyTorch.
    """

    reach = "tensor"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        positive("Adafactor", lr=lr, weight_decay=weight_decay, eps=max(eps[0] or 0.0, eps[1]))
        if not beta2_decay <= 0:
            raise ValueError(f"Adafactor: beta2_decay = {beta2_decay} must be 0 or less")
        if min(eps[0] or 0.0, eps[1]) < 0 or not d >= 1:
            raise ValueError(f"Adafactor: eps {eps} must be 0 or more, and d = {d} 1 or more")
        settings = {"lr": lr, "beta2_decay": beta2_decay, "eps": tuple(eps), "d": d}
        super().__init__(params, settings | {"weight_decay": weight_decay, "maximize": maximize})

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if not state:
            state["step"] = 0
            for key, shape in factors(p.shape).items():
                state[key] = np.zeros_like(p, shape=shape)
        state["step"] += 1
        newest = state["step"] ** group["beta2_decay"]
        least, smallest = group["eps"]
        least = float(np.finfo(p.dtype).eps) if least is None else least
        rate = max(smallest, rms(p)) * min(group["lr"], 1 / math.sqrt(state["step"]))
        if group["weight_decay"]:
            p *= p.dtype.type(1 - group["lr"] * group["weight_decay"])
        square = g * g
        if p.ndim > 1:
            row, column = state["row_var"], state["col_var"]
            row += newest * (square.mean(axis=-1, keepdims=True) - row)
            column += newest * (square.mean(axis=-2, keepdims=True) - column)
            v = row * column / np.maximum(row.mean(axis=-2, keepdims=True), least)
        else:
            v = state["variance"]
            v += newest * (square - v)
        u = g / np.sqrt(np.maximum(v, least * least))
        p -= p.dtype.type(rate / max(1.0, rms(u) / group["d"])) * u

    def _shape(self, key: str, value: np.ndarray, p: Tensor) -> tuple[int, ...]:
        return factors(p.shape).get(key, p.shape)


def factors(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the second moments kept of a parameter."""
    if len(shape) < 2:
        return {"variance": shape}
    return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}


def rms(x: np.ndarray) -> float:
    """The root mean square of all entries; 0 of none."""
    return np.linalg.norm(x.reshape(-1)).item() / math.sqrt(max(x.size, 1))
