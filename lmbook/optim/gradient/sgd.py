"""Stochastic gradient descent with momentum."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.backend.kernels import optim as k
from lmbook.optim.gradient.optimizer import Optimizer, positive


class SGD(Optimizer):
    """v <- momentum v + (1 - dampening) g;  p <- p - lr v, or p - lr (g + momentum v) if `nesterov`.

    g includes weight_decay * p, and v begins as the first g.
    Sources: Robbins and Monro 1951; Sutskever et al. 2013 for the Nesterov form, as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        positive("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (not momentum or dampening):
            raise ValueError("SGD: nesterov=True needs momentum > 0 and no dampening")
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening}
        settings |= {"weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize}
        super().__init__(params, settings)

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        dampening = group["dampening"]
        if group["momentum"] and "momentum_buffer" not in state:
            state["momentum_buffer"], dampening = np.zeros_like(p), 0.0
        k.sgd_step(
            p, g, state.get("momentum_buffer"),
            group["lr"], group["momentum"], group["weight_decay"], group["nesterov"], dampening,
        )  # fmt: skip
