"""NAdam and RAdam: Adam that looks ahead, and Adam that waits until it knows the spread."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from lmbook.optim.gradient.optimizer import Optimizer, fractions, positive


class _Moments(Optimizer):
    """Running means m of g and v of g^2, and both kinds of weight decay; `move` makes the step."""

    def __init__(
        self, params: Iterable[Any], betas: tuple[float, float], **settings: float | bool
    ) -> None:
        positive(type(self).__name__, **settings)
        fractions(type(self).__name__, "betas", betas)
        super().__init__(params, {**settings, "betas": tuple(betas)})

    def update(
        self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """One step for one parameter."""
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(p), exp_avg_sq=np.zeros_like(p))
        state["step"] += 1
        (beta1, beta2), m, v = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        if group["weight_decay"] and group["decoupled_weight_decay"]:
            p *= p.dtype.type(1 - group["lr"] * group["weight_decay"])
        elif group["weight_decay"]:
            g = g + group["weight_decay"] * p
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        p -= group["lr"] * self.move(g, state, group)

    def move(self, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """The step for a learning rate of 1."""
        raise NotImplementedError(f"{type(self).__name__} has no move method: write one")


class NAdam(_Moments):
    """p <- p - lr (w g + w' m) / (sqrt(v^) + eps): Adam with Nesterov's look ahead.

    w = (1 - mu_t) / (1 - mu_1 ... mu_t) and w' = mu_{t+1} / (1 - mu_1 ... mu_{t+1}), where
    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2). The product
    is kept in float64, where PyTorch keeps its default type. Source: Dozat 2016.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, betas, lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def move(self, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """The step for a learning rate of 1."""
        step, (beta1, beta2) = state["step"], group["betas"]
        now, following = (
            beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
        )
        product = state["mu_product"] = state.get("mu_product", 1.0) * now
        ahead = (1 - now) / (1 - product) * g
        ahead = ahead + following / (1 - product * following) * state["exp_avg"]
        return ahead / (np.sqrt(state["exp_avg_sq"] / (1 - beta2**step)) + group["eps"])


class RAdam(_Moments):
    """p <- p - lr r m^ sqrt(1 - b2^t) / (sqrt(v) + eps) once v rests on enough steps; before, lr m^.

    rho_t = rho - 2 t b2^t / (1 - b2^t), rho = 2 / (1 - b2) - 1, is the length of a plain mean with v's
    variance. Above 5, r^2 = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t) makes the
    variance of the rate constant: a warm-up that needs no setting. Source: Liu et al. 2020.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, betas, lr=lr, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def move(self, g: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """The step for a learning rate of 1."""
        step, (beta1, beta2) = state["step"], group["betas"]
        mean = state["exp_avg"] / (1 - beta1**step)
        longest = 2 / (1 - beta2) - 1
        left = 1 - beta2**step
        length = longest - 2 * step * beta2**step / left
        if length <= 5:
            return mean
        share = (length - 4) * (length - 2) / length
        r = math.sqrt(share * longest / ((longest - 4) * (longest - 2)))
        return mean * (r * math.sqrt(left)) / (np.sqrt(state["exp_avg_sq"]) + group["eps"])
