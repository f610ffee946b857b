"""Lion: the sign of a momentum."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.optim.gradient.optimizer import Optimizer, fractions, positive


class Lion(Optimizer):
    """p <- p - lr (sign(b1 m + (1 - b1) g) + weight_decay p);  then m <- b2 m + (1 - b2) g.

    Every entry moves by lr, so rates are smaller than Adam's, three to ten times by its authors'
    advice; it keeps one array where Adam keeps two. Source: Chen et al. 2023, Algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        positive("Lion", lr=lr, weight_decay=weight_decay)
        fractions("Lion", "betas", betas)
        settings = {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize})

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if not state:
            state["exp_avg"] = np.zeros_like(p)
        (beta1, beta2), m = group["betas"], state["exp_avg"]
        direction = np.sign(beta1 * m + (1 - beta1) * g)
        p -= group["lr"] * (direction + group["weight_decay"] * p)
        m *= beta2
        m += (1 - beta2) * g
