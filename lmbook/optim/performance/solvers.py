"""Optimisers in the form that `record` takes: a heuristic by ask and tell, and L-BFGS by differences."""

from collections import deque
from collections.abc import Callable

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import host
from lmbook.optim.gradient.lbfgs import LBFGS
from lmbook.optim.heuristic.base import Heuristic
from lmbook.optim.performance.recorder import Recorder, Solver

Maker = Callable[[np.random.Generator, int], Heuristic]
"""Makes a heuristic from a generator and the number of restarts so far."""


def ask_tell(make: Maker, tolerance: float | None = 1e-12, patience: float = 20) -> Solver:
    """A solver that asks and tells, and gives up when the search stands still.

    It looks at windows of 10 + 30 n / popsize generations, in n dimensions, and gives up when the best values
    of the window's generations and all values of the last one differ by at most `tolerance`: the rule TolFun
    of CMA-ES, Hansen 2016, appendix B.3. Or when no better point has come for `patience` windows. With the
    tolerance None it never does.
    """
    if tolerance is not None and (tolerance < 0 or not patience > 0):
        raise ValueError(
            f"ask_tell: tolerance must be 0 or more, or None, and patience above 0; "
            f"got {tolerance} and {patience}"
        )

    def solve(objective: Recorder, rng: np.random.Generator, restarts: int) -> None:
        method = make(rng, restarts)
        window = 10 + 30 * method.space.size // method.popsize
        recent: deque[float] = deque(maxlen=window)
        best, since = np.inf, 0
        while tolerance is None or since < patience * window:
            values = objective(method.ask())
            method.tell(values)
            best, since = (method.best_value, 0) if method.best_value < best else (best, since + 1)
            recent.append(float(values.min()))
            spread = max(max(recent), float(values.max())) - min(recent)
            if tolerance is not None and len(recent) == window and spread <= tolerance:
                return

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
            value, gradient = difference_gradient(objective, host(x.data), step)
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
