"""Optimisers in the form that `record` takes: a heuristic by ask and tell, and L-BFGS by differences."""

from collections.abc import Callable

import numpy as np

from lmbook.autograd import Tensor
from lmbook.optim.gradient.lbfgs import LBFGS
from lmbook.optim.heuristic.base import Heuristic
from lmbook.optim.performance.recorder import Recorder, Solver

Maker = Callable[[np.random.Generator, int], Heuristic]
"""Makes a heuristic from a generator and the number of restarts so far."""


def ask_tell(make: Maker, patience: int | None = None) -> Solver:
    """A solver that asks and tells, and gives up after `patience` evaluations without a better best.

    None never gives up. What counts as better is a gain of more than 1e-12.
    """
    if patience is not None and patience < 1:
        raise ValueError(f"ask_tell: patience must be 1 or more, or None, not {patience}")

    def solve(objective: Recorder, rng: np.random.Generator, restarts: int) -> None:
        method = make(rng, restarts)
        mark, since = np.inf, 0
        while patience is None or since < patience:
            x = method.ask()
            method.tell(objective(x))
            since += len(x)
            if method.best_value < mark - 1e-12:
                mark, since = method.best_value, 0

    return solve


def difference_gradient(
    objective: Callable[[np.ndarray], np.ndarray], x: np.ndarray, step: float = 1e-8
) -> tuple[float, np.ndarray]:
    """f(x) and (f(x + h e_i) - f(x)) / h for i = 1 to n, from n + 1 evaluations.

    h = step max(1, |x_i|). Rounding errors of f are multiplied by 1 / h, and curvature adds h f'' / 2.
    """
    h = step * np.maximum(1, np.abs(x))
    points = np.concatenate([x[None], x + np.diag(h)])
    values = objective(points)
    return float(values[0]), (values[1:] - values[0]) / (points[1:] - x).diagonal()


def descend(
    start: Callable[[np.random.Generator], np.ndarray], steps: int = 200, step: float = 1e-8
) -> Solver:
    """L-BFGS from `start(rng)`, with gradients by differences at n + 1 evaluations each.

    It gives up when `LBFGS` stops moving, or after `steps` steps.
    """

    def solve(objective: Recorder, rng: np.random.Generator, restarts: int) -> None:
        x = Tensor(np.array(start(rng), dtype=float), requires_grad=True)

        def closure() -> float:
            value, gradient = difference_gradient(objective, x.data, step)
            x.grad = Tensor(gradient)
            return value

        optimizer = LBFGS(
            [x], max_iter=steps, max_eval=10 * steps, history_size=10, line_search_fn="strong_wolfe",
            tolerance_grad=1e-12, tolerance_change=1e-14,
        )  # fmt: skip
        optimizer.step(closure)

    return solve


def random_search(low: float, high: float, n: int, popsize: int = 100) -> Solver:
    """Points drawn uniformly from [low, high]^n: the least that any optimiser should beat."""

    def solve(objective: Recorder, rng: np.random.Generator, restarts: int) -> None:
        objective(rng.uniform(low, high, (popsize, n)))

    return solve
