"""Run a heuristic until a rule says stop, and keep the best whatever happens."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbook.backend.errors import NonFiniteError, ShapeError, require
from lmbook.optim.heuristic.base import Heuristic, feasible_first

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass
class Result:
    """The best point and its value, what it cost, how it went, and why it ended.

    `stopped` is "target", "stagnation", "evaluations", "generations", "seconds", "callback", "interrupted"
    or "error". `history` has a row a generation under "evaluations", "best", "mean" and "spread".
    """

    x: np.ndarray | None = None
    value: float = np.inf
    evaluations: int = 0
    generations: int = 0
    stopped: str = ""
    history: dict[str, list[float]] = field(
        default_factory=lambda: {k: [] for k in ("evaluations", "best", "mean", "spread")}
    )


class ObjectiveError(RuntimeError):
    """The objective failed. `x` is the point, `result` the best until then."""

    def __init__(self, message: str, x: np.ndarray, result: Result) -> None:
        super().__init__(message)
        self.x, self.result = x, result


def optimise(
    method: Heuristic,
    objective: Callable[[np.ndarray], Any],
    *,
    evaluations: int | None = None,
    generations: int | None = None,
    target: float | None = None,
    stagnation: int | None = None,
    seconds: float | None = None,
    constraints: Callable[[np.ndarray], Any] | None = None,
    vectorised: bool = False,
    workers: int = 1,
    pool: str = "thread",
    progress: bool | None = None,
    callback: Callable[[Heuristic], bool | None] | None = None,
) -> Result:
    """Minimise `objective` by `method`, an ask/tell heuristic.

    Stopping rules, of which at least one is needed: `evaluations` of the objective, `generations`, a `target`
    value reached, `stagnation` (generations without a better best), `seconds`; or `callback`
    returning True. `objective` and `constraints` take one point (size,), or with `vectorised` all (popsize,
    size). `constraints` gives one number or several, each positive where it is broken: broken
    points come after all others. `workers` above 1 evaluates points in threads or processes (`pool`);
    processes need an objective that can be pickled. The bar shows on a terminal and in a notebook,
    unless `progress` is False or LMBOOK_LIVE is 0.

    Ctrl-C ends the run and returns the best so far; called again with the same method, the run goes on.
    Raises `ObjectiveError`, which carries the point and the best so far, where the objective raises or gives
    NaN.
    """
    limits = (evaluations, generations, target, stagnation, seconds, callback)
    if all(limit is None for limit in limits):
        raise ValueError(
            "optimise: nothing would stop the run; give evaluations, generations, target, stagnation, "
            "seconds or a callback"
        )
    if evaluations is not None and evaluations < method.popsize:
        raise ValueError(
            f"optimise: evaluations={evaluations}, but {type(method).__name__} asks for {method.popsize} "
            "points at once; allow more, or take a smaller popsize"
        )
    result, since, start = Result(), 0, time.perf_counter()
    with ExitStack() as stack:
        bar = stack.enter_context(_bar(evaluations, progress))
        executor = stack.enter_context(_pool(workers, pool)) if workers > 1 else None
        try:
            while not result.stopped:
                x = method.ask() if method.asked is None else method.asked.copy()
                values = _evaluate(objective, x, vectorised, executor, result)
                if constraints is not None:
                    broken = _evaluate(constraints, x, vectorised, executor, result, "constraints")
                    values = feasible_first(values, broken)
                before = method.best_value
                method.tell(values)
                since = 0 if method.best_value < before else since + 1
                _record(result, method, values)
                bar.update(len(values))
                bar.set_postfix_str(f"best {method.best_value:.6g}", refresh=False)
                if target is not None and method.best_value <= target:
                    result.stopped = "target"
                elif evaluations is not None and method.evaluations + len(values) > evaluations:
                    result.stopped = "evaluations"
                elif generations is not None and result.generations >= generations:
                    result.stopped = "generations"
                elif stagnation is not None and since >= stagnation:
                    result.stopped = "stagnation"
                elif seconds is not None and time.perf_counter() - start >= seconds:
                    result.stopped = "seconds"
                elif callback is not None and callback(method):
                    result.stopped = "callback"
        except KeyboardInterrupt:
            result.stopped = "interrupted"
    return result


def _record(result: Result, method: Heuristic, values: np.ndarray) -> None:
    result.x, result.value = method.best_x, method.best_value
    result.evaluations, result.generations = method.evaluations, result.generations + 1
    row = (method.evaluations, method.best_value, float(values.mean()), float(np.ptp(values)))
    for column, number in zip(result.history.values(), row):
        column.append(number)


def _evaluate(
    function: Callable[[np.ndarray], Any],
    x: np.ndarray,
    vectorised: bool,
    executor: "Executor | None",
    result: Result,
    what: str = "objective",
) -> np.ndarray:
    """Values at the rows of x, of shape (count,), or for constraints (count, m); errors name the row."""
    i = 0
    try:
        if vectorised:
            values = np.asarray(function(x), dtype=float)
        else:
            found = []
            chunk = max(1, len(x) // 8)
            for value in (
                executor.map(function, x, chunksize=chunk) if executor else map(function, x)
            ):
                found.append(np.asarray(value, dtype=float))
                i += 1
            values = np.stack(found)
    except Exception as error:
        result.stopped = "error"
        where = "points" if vectorised else f"point {i}"
        raise ObjectiveError(
            f"optimise: the {what} raised {type(error).__name__} at {where}: {error}; best so far: "
            f"{result.value:.6g} (in this error's .result)",
            x if vectorised else x[min(i, len(x) - 1)],
            result,
        ) from error
    if what == "objective" and values.shape != (len(x),):
        result.stopped = "error"
        raise ShapeError(
            f"optimise: the objective must give one number a point; for points {x.shape} it gave "
            f"{values.shape}" + ("" if vectorised else ", one row a call")
        )
    bad = np.isnan(values) | (values == -np.inf)
    bad = bad if bad.ndim == 1 else bad.any(axis=1)
    if bad.any():
        result.stopped = "error"
        i = int(np.argmax(bad))
        number = values[i] if values.ndim == 1 else "not a number"
        cause = NonFiniteError(f"{what} is {number} at point {i}")
        raise ObjectiveError(
            f"optimise: the {what} is {number} at point {i}; give +inf where a point must not be chosen; "
            f"best so far: {result.value:.6g} (in this error's .result)", x[i], result,
        ) from cause  # fmt: skip
    return values


def _pool(workers: int, pool: str) -> "Executor":
    import multiprocessing  # here, so that `import lmbook` stays quick
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    if pool == "thread":
        return ThreadPoolExecutor(workers)
    if pool == "process":  # spawned, since forking a process that has threads may hang
        return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    raise ValueError(f"optimise: pool must be 'thread' or 'process', not {pool!r}")


def _bar(total: int | None, progress: bool | None) -> Any:
    live = sys.stderr.isatty() or "ipykernel" in sys.modules
    show = live if progress is None else progress
    show = show and os.environ.get("LMBOOK_LIVE") != "0"
    if not show:
        return _NoBar()
    tqdm = require("tqdm.auto", "book", "optimise's progress bar")
    return tqdm.tqdm(total=total, leave=False, unit="evaluation")


class _NoBar:
    """Stands in for the bar, so that the core needs NumPy alone."""

    def __enter__(self) -> "_NoBar":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: int) -> None:
        pass

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        pass
