"""Early stopping: end a run when the validation figure no longer improves, and keep the best weights."""

import math
from typing import Any

import numpy as np

from lmbook.nn import Module


class EarlyStopping:
    """Watches one figure of the evaluations; keeps a copy of the weights at its best.

    `monitor` names the figure, the smaller the better unless `largest`. A run stops after `patience`
    evaluations without an improvement of more than `min_delta` (Prechelt 1998). The figure must
    come from data that nothing is trained on, and a later report from yet other data: the best of
    many looks is lucky.
    """

    def __init__(
        self, monitor: str, patience: int, min_delta: float = 0.0, largest: bool = False
    ) -> None:
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience = {patience} must be 1 or more evaluations")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta = {min_delta} must be 0 or more")
        self.monitor, self.patience = monitor, patience
        self.min_delta, self.largest = min_delta, largest
        self.best_value, self.best_step, self.waited = math.nan, 0, 0
        self.best_state: dict[str, np.ndarray] = {}

    @property
    def stopped(self) -> bool:
        """Whether patience is at an end."""
        return self.waited >= self.patience

    def update(self, model: Module, step: int, figures: dict[str, float]) -> bool:
        """Take note of an evaluation; return whether the run should stop. NaN counts as no improvement."""
        if self.monitor not in figures:
            raise KeyError(
                f"EarlyStopping: the evaluation gives {sorted(figures)}, not {self.monitor!r}; "
                "return it, or monitor one of these"
            )
        value, sign = float(figures[self.monitor]), -1 if self.largest else 1
        first = math.isnan(self.best_value) and not math.isnan(value)
        if first or sign * value < sign * self.best_value - self.min_delta:
            self.best_value, self.best_step, self.waited = value, step, 0
            self.best_state = {name: array.copy() for name, array in model.state_dict().items()}
        else:
            self.waited += 1
        return self.stopped

    def restore(self, model: Module) -> None:
        """Put the best weights back; without an evaluation so far, leave the model as it is."""
        if self.best_state:
            model.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        """All but the weights, which are arrays: `best_state`."""
        return {k: getattr(self, k) for k in ("monitor", "best_value", "best_step", "waited")}

    def load_state_dict(self, state: dict[str, Any], best_state: dict[str, np.ndarray]) -> None:
        """Continue where another one stood."""
        if state["monitor"] != self.monitor:
            raise ValueError(
                f"EarlyStopping: the state watched {state['monitor']!r}, this one {self.monitor!r}"
            )
        self.best_value, self.best_step = float(state["best_value"]), int(state["best_step"])
        self.waited = int(state["waited"])
        self.best_state = {name: array.copy() for name, array in best_state.items()}
