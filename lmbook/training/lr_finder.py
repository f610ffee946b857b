"""The learning-rate range test: raise the rate step by step until the loss explodes (Smith 2017)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import default_generator, is_array
from lmbook.nn import Module
from lmbook.optim import Optimizer
from lmbook.training.trainer import as_batch, classification_loss


@dataclass
class RateTest:
    """Rates that were tried, the loss at each, and the loss smoothed."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)
    diverged: bool = False

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss was least: already too large to train with."""
        return self.rates[int(np.argmin(self.smoothed))]

    @property
    def steepest(self) -> float:
        """The rate, below `lowest`, at which the smoothed loss fell fastest along the logarithm."""
        end = int(np.argmin(self.smoothed)) + 1
        if end < 3:
            return self.rates[0]
        return self.rates[int(np.argmin(np.gradient(self.smoothed[:end])))]

    @property
    def suggestion(self) -> float:
        """A tenth of `lowest`, a common choice."""
        return self.lowest / 10


def find_lr(
    model: Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    loss: Callable[..., Tensor] = classification_loss,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    stop: float = 4.0,
) -> RateTest:
    """One batch at each of `steps` rates from `low` to `high`, evenly spaced in their logarithm.

    It ends when the smoothed loss is `stop` times its least, or no longer finite. Afterwards model,
    optimiser and random generator are as they were; `batches` are started over if they run out.
    """
    if not 0 < low < high or steps < 3:
        raise ValueError(
            f"find_lr: low {low} and high {high} must be rates in order, steps {steps} at least 3"
        )
    weights = {name: array.copy() for name, array in model.state_dict().items()}
    state = optimizer.state_dict()
    state = {
        "state": {i: {k: v.copy() if is_array(v) else v for k, v in e.items()}
                  for i, e in state["state"].items()},
        "param_groups": [dict(g) for g in state["param_groups"]],
    }  # fmt: skip
    draws, training, test = default_generator().bit_generator.state, model.training, RateTest()
    try:
        model.train()
        _sweep(
            test, model, optimizer, batches, loss, np.geomspace(low, high, steps), smoothing, stop
        )
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)
        optimizer.zero_grad()
        default_generator().bit_generator.state = draws
        model.train(training)
    return test


def _sweep(
    test: RateTest, model: Module, optimizer: Optimizer, batches: Iterable[Any],
    loss: Callable[..., Tensor], rates: np.ndarray, smoothing: float, stop: float,
) -> None:  # fmt: skip
    mean, stream = 0.0, iter(batches)
    for i, rate in enumerate(rates, 1):
        batch = next(stream, None)
        if batch is None:
            stream = iter(batches)
            batch = next(stream, None)
        if batch is None:
            raise ValueError("find_lr: there are no batches left; give a list or a loader")
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        optimizer.zero_grad()
        with np.errstate(all="ignore"):
            value = loss(model, *as_batch(batch))
            number = value.item()
            if not math.isfinite(number):
                test.diverged = True
                return
            value.backward()
            optimizer.step()
        mean = smoothing * mean + (1 - smoothing) * number
        test.rates.append(float(rate))
        test.losses.append(number)
        test.smoothed.append(mean / (1 - smoothing**i))
        if test.smoothed[-1] > stop * min(test.smoothed):
            test.diverged = True
            return
