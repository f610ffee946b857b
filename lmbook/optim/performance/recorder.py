"""Count evaluations and note when each target was reached, whatever the optimiser and whoever wrote it."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lmbook.backend.errors import NonFiniteError, ShapeError
from lmbook.optim.performance.runlength import RunLengths

Objective = Callable[[np.ndarray], Any]
Solver = Callable[["Recorder", np.random.Generator, int], Any]
"""Called with the objective, a generator and the number of restarts so far; returns when it gives up."""


class Finished(Exception):
    """The budget is spent or the last target reached. `record` catches it; let it pass through."""


class Recorder:
    """An objective that counts its evaluations and ends the run when there is nothing more to see.

        hits[k] = number of evaluations when a value <= targets[k] was first seen, inf if never

    `objective` takes rows (count, n) and gives values (count,); the recorder takes rows, or one point (n,)
    and then gives a number. Rows beyond the budget are not evaluated. Raises `Finished`.
    """

    def __init__(self, objective: Objective, targets: Any, budget: int) -> None:
        self.targets = decreasing(targets)
        if budget != int(budget) or budget < 1:
            raise ValueError(f"Recorder: budget must be a whole number from 1, not {budget}")
        self.objective, self.budget = objective, int(budget)
        self.hits = np.full(len(self.targets), np.inf)
        self.evaluations = 0
        self.best, self.best_x = np.inf, None

    def __call__(self, x: Any) -> Any:
        x = np.asarray(x, dtype=float)
        rows = np.atleast_2d(x)
        if self.evaluations >= self.budget or self.best <= self.targets[-1]:
            raise Finished
        used = rows[: self.budget - self.evaluations]
        values = np.asarray(self.objective(used), dtype=float)
        if values.shape != (len(used),):
            raise ShapeError(
                f"Recorder: the objective must give one number a row; for {used.shape} it gave {values.shape}"
            )
        if np.isnan(values).any():
            raise NonFiniteError(
                f"Recorder: the objective is NaN at row {int(np.argmax(np.isnan(values)))}; "
                "give +inf where a point must not be chosen"
            )
        self._note(used, values)
        if len(used) < len(rows):
            raise Finished
        return values if x.ndim == 2 else float(values[0])

    def _note(self, rows: np.ndarray, values: np.ndarray) -> None:
        i = int(np.argmin(values))
        if values[i] < self.best or self.best_x is None:
            so_far = np.minimum.accumulate(np.minimum(values, self.best))
            fresh = np.isinf(self.hits) & (self.targets >= so_far[-1])
            first = (so_far[:, None] <= self.targets[fresh]).argmax(axis=0)
            self.hits[fresh] = self.evaluations + first + 1
            self.best, self.best_x = min(self.best, float(values[i])), rows[i].copy()
        self.evaluations += len(values)


def decreasing(targets: Any) -> np.ndarray:
    """Targets as an array (count,) that falls, or an error."""
    t = np.atleast_1d(np.asarray(targets, dtype=float))
    if t.ndim != 1 or len(t) == 0 or np.isnan(t).any() or (np.diff(t) >= 0).any():
        raise ValueError(f"targets must fall, from the easiest to the hardest; got {targets}")
    return t


def record(
    solver: Solver, objective: Objective, targets: Any, budget: int, seeds: Iterable[int]
) -> RunLengths:
    """One run for each seed, restarted until the budget is spent or the last target reached."""
    hits, evaluations, t = [], [], decreasing(targets)
    for seed in seeds:
        recorder, rng, attempt = Recorder(objective, t, budget), np.random.default_rng(seed), 0
        try:
            while True:
                before = recorder.evaluations
                solver(recorder, rng, attempt)
                if recorder.evaluations == before:
                    raise RuntimeError(
                        f"record: the solver returned on restart {attempt} without an evaluation; "
                        "it would be called for ever"
                    )
                attempt += 1
        except Finished:
            pass
        hits.append(recorder.hits)
        evaluations.append(recorder.evaluations)
    if not hits:
        raise ValueError("record: no seeds, no runs; give at least one")
    return RunLengths(t, np.array(hits), np.array(evaluations, dtype=float))
