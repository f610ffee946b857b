"""Run a search over hyper-parameters, and keep a record of every trial, whatever happens."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lmbook.optim.heuristic.base import Heuristic
from lmbook.optim.heuristic.optimise import _bar
from lmbook.training.search.sequential import Exhausted
from lmbook.training.search.space import Params, SearchSpace


@dataclass
class Trial:
    """One evaluation: its parameters and value, or +inf and what went wrong."""

    params: Params
    value: float = math.inf
    error: str = ""


class SearchFailed(RuntimeError):
    """No trial gave a number."""


@dataclass
class SearchResult:
    """All trials in order, and why the search ended: "evaluations", "exhausted" or "interrupted"."""

    trials: list[Trial] = field(default_factory=list)
    stopped: str = ""

    @property
    def best(self) -> Trial:
        """The trial with the smallest value; `SearchFailed` if there is none."""
        if not any(math.isfinite(trial.value) for trial in self.trials):
            last = f"; the last: {self.trials[-1].error}" if self.trials else ""
            raise SearchFailed(f"search: none of {len(self.trials)} trials gave a number{last}")
        return min(self.trials, key=lambda trial: trial.value)

    @property
    def curve(self) -> np.ndarray:
        """The best value after each trial, of shape (trials,)."""
        return np.minimum.accumulate([trial.value for trial in self.trials])

    @property
    def failures(self) -> list[Trial]:
        """The trials that raised or gave no number."""
        return [trial for trial in self.trials if trial.error]


def search(
    method: Heuristic,
    objective: Callable[[Params], float],
    *,
    evaluations: int,
    catch: bool = True,
    progress: bool | None = None,
) -> SearchResult:
    """Minimise `objective`, a function of a dict, by an ask/tell method on a `SearchSpace`.

    A trial that raises or gives NaN or infinity is recorded with its error, told to the method as
    +inf, and the search goes on; with `catch` False an exception ends it. Ctrl-C returns what there
    is so far, with `stopped` "interrupted". Called again with the same method, the search goes on
    where it was.
    """
    space = method.space
    if not isinstance(space, SearchSpace):
        raise TypeError(f"search: the method must search a SearchSpace, not {space!r}")
    if evaluations < method.popsize:
        raise ValueError(
            f"search: evaluations={evaluations}, but {type(method).__name__} wants {method.popsize} at once"
        )
    result = SearchResult()
    with _bar(evaluations, progress) as bar:
        try:
            while len(result.trials) + method.popsize <= evaluations:
                points = method.ask() if method.asked is None else method.asked.copy()
                trials = []
                for point in points:
                    trials.append(_try(objective, space.decode(point), catch))
                    result.trials.append(trials[-1])
                    bar.update(1)
                method.tell([trial.value for trial in trials])
            result.stopped = "evaluations"
        except Exhausted:
            result.stopped = "exhausted"
        except KeyboardInterrupt:
            result.stopped = "interrupted"
    return result


def _try(objective: Callable[[Params], float], params: Params, catch: bool) -> Trial:
    try:
        value = float(objective(dict(params)))
    except Exception as error:
        if not catch:
            raise
        return Trial(params, error=f"{type(error).__name__}: {error}")
    if not math.isfinite(value):
        return Trial(params, error=f"the objective gave {value}")
    return Trial(params, value)
