"""Stochastic gradient descent with momentum."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.backend.kernels import optim as k
from lmbook.optim.gradient.optimizer import Optimizer, positive


class SGD(Optimizer):
    """v <- momentum v + g + weight_decay p;  p <- p - lr v, or p - lr (g + momentum v) if Nesterov.

    Sources: Robbins and Monro 1951; Sutskever et al. 2013 for the Nesterov form, as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        positive("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True needs momentum > 0")
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov},
        )

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if group["momentum"] and "momentum_buffer" not in state:
            state["momentum_buffer"] = np.zeros_like(p)
        k.sgd_step(
            p, g, state.get("momentum_buffer"),
            group["lr"], group["momentum"], group["weight_decay"], group["nesterov"],
        )  # fmt: skip
