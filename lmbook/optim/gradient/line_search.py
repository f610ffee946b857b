"""A step length along a direction that satisfies the strong Wolfe conditions."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Point:
    """A place on the line: step length, loss, gradient there, and the loss's slope along the line."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through both points' losses and slopes is least, kept in [least, most].

    The middle of the interval if it has no minimum. Source: Nocedal and Wright 2006, (3.59).
    """
    left, right = (a, b) if a.t <= b.t else (b, a)
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = mean * mean - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    root = math.sqrt(square)
    down = right.slope - left.slope + 2 * root
    if down == 0:
        return least if left.slope > 0 else most
    t = right.t - (right.t - left.t) * (right.slope + root - mean) / down
    return min(max(t, least), most)


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    longest: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[Point, int]:
    """A point with loss <= start + c1 t slope and |slope| <= c2 |start's slope|; and evaluations used.

    `evaluate(t)` gives the point at t, `start` is the one at 0, t the first guess, `longest` the
    largest entry of the direction. First the interval grows until it must hold such a point, then it
    shrinks around one. After `max_ls` evaluations, or when the interval is shorter than
    `tolerance_change`, the lowest end is returned, which may be `start`.
    Source: Nocedal and Wright 2006, Algorithms 3.5 and 3.6, with the safeguards of PyTorch.
    """

    def too_high(p: Point) -> bool:
        return p.loss > start.loss + c1 * p.t * start.slope

    def flat_enough(p: Point) -> bool:
        return abs(p.slope) <= -c2 * start.slope

    before, now = start, evaluate(t)
    used = 1
    for tries in range(max_ls):
        if too_high(now) or (tries > 1 and now.loss >= before.loss):
            ends = [before, now]
            break
        if flat_enough(now):
            return now, used
        if now.slope >= 0:
            ends = [before, now]
            break
        t = cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
        before, now = now, evaluate(t)
        used += 1
    else:
        return (start if start.loss <= now.loss else now), used

    low = 0 if ends[0].loss <= ends[1].loss else 1
    stuck = False  # the last guess lay close to an end
    for _ in range(tries, max_ls):
        least, most = sorted(end.t for end in ends)
        if (most - least) * longest < tolerance_change:
            break
        t, stuck = _inside(cubic_minimum(ends[0], ends[1], least, most), least, most, stuck)
        now = evaluate(t)
        used += 1
        high = 1 - low
        if too_high(now) or now.loss >= ends[low].loss:
            ends[high] = now
            low = 0 if ends[0].loss <= ends[1].loss else 1
            continue
        if not flat_enough(now) and now.slope * (ends[high].t - ends[low].t) >= 0:
            ends[high] = ends[low]
        ends[low] = now
        if flat_enough(now):
            break
    return ends[low], used


def _inside(t: float, least: float, most: float, stuck: bool) -> tuple[float, bool]:
    """A second guess in a row that is close to an end is moved a tenth of the interval away from it."""
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin:
        return t, False
    if not (stuck or t >= most or t <= least):
        return t, True
    return (most - margin if abs(t - most) < abs(t - least) else least + margin), False
