"""Minimise a smooth function of a few numbers in a box: BFGS with projection."""

from collections.abc import Callable

import numpy as np


def minimise(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    steps: int = 100,
    tolerance: float = 1e-6,
) -> tuple[np.ndarray, float]:
    """The point and the value where a descent from `start` ends; `function` gives value and gradient.

    A step is -H g with BFGS's estimate H of the inverse Hessian, cut off at the box and halved until
    the value falls enough (Armijo). Coordinates at a bound that the gradient pushes outward stay
    out of the step. Source: Nocedal and Wright (2006), chapter 6; Bertsekas (1982) for the bounds.
    """
    x = np.clip(np.asarray(start, dtype=float), low, high)
    value, gradient = function(x)
    inverse = np.eye(len(x))
    for _ in range(steps):
        free = ~(((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0)))
        if not free.any() or np.abs(gradient[free]).max() < tolerance:
            break
        step = np.zeros_like(x)
        step[free] = -inverse[np.ix_(free, free)] @ gradient[free]
        if step @ gradient >= 0:  # the estimate is of no use here: go straight down
            inverse = np.eye(len(x))
            step = np.where(free, -gradient, 0)
        step *= min(1.0, 2.0 / np.abs(step).max())  # constants change by e^2 at most
        rate = 1.0
        for _ in range(30):
            trial = np.clip(x + rate * step, low, high)
            new, slope = function(trial)
            if new <= value + 1e-4 * gradient @ (trial - x):
                break
            rate /= 2
        else:
            break
        moved, change = trial - x, slope - gradient
        gain, x, value, gradient = value - new, trial, new, slope
        curvature = moved @ change
        if curvature > 1e-12:
            left = np.eye(len(x)) - np.outer(moved, change) / curvature
            inverse = left @ inverse @ left.T + np.outer(moved, moved) / curvature
        if gain < 1e-10 * max(1.0, abs(value)):
            break
    return x, float(value)
