"""Schedules: the learning rate as a function of how many steps were taken.

Call `scheduler.step()` after each `optimizer.step()`. Every schedule is a closed formula of the step,
so that a run resumed at step t continues with the same rate.
"""

import math
from collections.abc import Callable
from typing import Any

from lmbook.optim.gradient.optimizer import Optimizer


class LRScheduler:
    """Sets each group's "lr" to `rate(base, step)`, where base is its rate when training begins."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_step = 0
        self._set()

    def rate(self, base: float, step: int) -> float:
        """The learning rate after `step` steps; each schedule writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no rate method: write one")

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.last_step)

    def step(self) -> None:
        """Move on by one step."""
        self.last_step += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rates in force, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands."""
        return {"last_step": self.last_step, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another one stood."""
        self.last_step, self.base_lrs = state["last_step"], list(state["base_lrs"])
        self._set()


class LambdaLR(LRScheduler):
    """base * lr_lambda(step)."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        return base * self.lr_lambda(step)


class StepLR(LRScheduler):
    """base * gamma^(step // step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        return base * self.gamma ** (step // self.step_size)


class ExponentialLR(LRScheduler):
    """base * gamma^step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        return base * self.gamma**step


class LinearLR(LRScheduler):
    """base times a factor that goes from start_factor to end_factor over total_iters steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start, self.end, self.total = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        return base * (self.start + (self.end - self.start) * min(step, self.total) / self.total)


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi step / T_max)) / 2 (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        return (
            self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2
        )


class WarmupCosineLR(LRScheduler):
    """Linear from 0 over `warmup` steps, then a half cosine to `final` * base at `total` steps.

    The usual schedule of language models (Radford et al. 2018).
    """

    def __init__(
        self, optimizer: Optimizer, total: int, warmup: int = 0, final: float = 0.0
    ) -> None:
        if not 0 <= warmup < total:
            raise ValueError(f"WarmupCosineLR: warmup {warmup} must be below total {total}")
        self.total, self.warmup, self.final = total, warmup, final
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        if step < self.warmup:
            return base * (step + 1) / (self.warmup + 1)
        done = min(1.0, (step - self.warmup) / (self.total - self.warmup))
        return base * (self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2)


class OneCycleLR(LRScheduler):
    """Cosine up from max_lr / div_factor to max_lr, then down to max_lr / div_factor / final_div_factor.

    Source: Smith and Topin 2018.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_lr, self.total_steps, self.pct_start = max_lr, total_steps, pct_start
        self.first, self.last = max_lr / div_factor, max_lr / div_factor / final_div_factor
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        """The rate after `step` steps."""
        top = self.pct_start * self.total_steps - 1
        end = self.total_steps - 1
        if step <= top:
            return _cosine(self.first, self.max_lr, step / top)
        return _cosine(self.max_lr, self.last, min(1.0, (step - top) / (end - top)))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
