"""RMSprop."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.optim.gradient.optimizer import Optimizer, fractions, positive


class RMSprop(Optimizer):
    """v <- alpha v + (1 - alpha) g^2;  p <- p - lr g / (sqrt(v) + eps).

    `centered` takes the square of the running mean of g from v, which leaves the variance. With
    `momentum`, b <- momentum b + g / (sqrt(v) + eps) and p <- p - lr b. g includes weight_decay * p.
    Source: Tieleman and Hinton 2012; Graves 2013 for the centered form.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        positive("RMSprop", lr=lr, eps=eps, weight_decay=weight_decay, momentum=momentum)
        fractions("RMSprop", "alpha", [alpha])
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        settings |= {"momentum": momentum, "centered": centered, "maximize": maximize}
        super().__init__(params, settings)

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if not state:
            state.update(step=0, square_avg=np.zeros_like(p))
            if group["centered"]:
                state["grad_avg"] = np.zeros_like(p)
            if group["momentum"]:
                state["momentum_buffer"] = np.zeros_like(p)
        state["step"] += 1
        alpha, square = group["alpha"], state["square_avg"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        square *= alpha
        square += (1 - alpha) * g * g
        spread = square
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (1 - alpha) * (g - mean)
            spread = np.maximum(square - mean * mean, 0)  # rounding may leave it just below zero
        direction = g / (np.sqrt(spread) + group["eps"])
        if group["momentum"]:
            buffer = state["momentum_buffer"]
            buffer *= group["momentum"]
            buffer += direction
            direction = buffer
        p -= group["lr"] * direction
