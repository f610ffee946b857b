"""Adagrad."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.optim.gradient.optimizer import Optimizer, positive


class Adagrad(Optimizer):
    """s <- s + g^2;  p <- p - rate g / (sqrt(s) + eps),  rate = lr / (1 + (step - 1) lr_decay).

    s begins at `initial_accumulator_value` and never falls; g includes weight_decay * p.
    Source: Duchi, Hazan and Singer 2011.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        settings["initial_accumulator_value"] = initial_accumulator_value
        positive("Adagrad", **settings)
        super().__init__(params, {**settings, "maximize": maximize})

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if not state:
            state.update(step=0, sum=np.full_like(p, group["initial_accumulator_value"]))
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        rate = group["lr"] / (1 + state["step"] * group["lr_decay"])
        state["step"] += 1
        state["sum"] += g * g
        p -= rate * g / (np.sqrt(state["sum"]) + group["eps"])
