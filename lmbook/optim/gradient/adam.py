"""Adam and AdamW."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.backend.kernels import optim as k
from lmbook.optim.gradient.optimizer import Optimizer, fractions, positive


class Adam(Optimizer):
    """p <- p - lr m^ / (sqrt(v^) + eps), with running means m of g and v of g^2, bias-corrected.

    `weight_decay` is added to the gradient or, if `decoupled_weight_decay`, shrinks p apart from it.
    `amsgrad` divides by the largest v so far (Reddi et al. 2018). Source: Kingma and Ba 2015.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        positive(name, lr=lr, eps=eps, weight_decay=weight_decay)
        fractions(name, "betas", betas)
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        settings |= {"amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, settings | {"decoupled_weight_decay": decoupled_weight_decay})

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(p), exp_avg_sq=np.zeros_like(p))
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = np.zeros_like(p)
        state["step"] += 1
        k.adam_step(
            p, g, state["exp_avg"], state["exp_avg_sq"], group["lr"], *group["betas"],
            group["eps"], group["weight_decay"], group["decoupled_weight_decay"], state["step"],
            state.get("max_exp_avg_sq"),
        )  # fmt: skip


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter by lr * weight_decay, apart from the gradient.

    Source: Loshchilov and Hutter 2019.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad,
                         maximize=maximize, decoupled_weight_decay=True)  # fmt: skip
