"""The 24 noiseless BBOB functions, on which black-box optimisers are compared; with COCO's own instances.

generator.py draws an instance, transforms.py bends, base.py is what all share; then five groups.
"""

from lmbook.optim.bbob import conditioned, moderate, separable, structured, weak
from lmbook.optim.bbob.base import GROUPS, Problem

FUNCTIONS: dict[int, type[Problem]] = {
    kind.id: kind
    for module in (separable, moderate, conditioned, structured, weak)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Problem) and kind.__module__ == module.__name__
}
"""The functions by number, 1 to 24."""


def problem(number: int, dimension: int, instance: int = 1) -> Problem:
    """Function `number` of the suite, 1 to 24, as an instance in `dimension` coordinates."""
    if number not in FUNCTIONS:
        raise ValueError(f"bbob: function {number!r} is unknown; there are 1 to {len(FUNCTIONS)}")
    return FUNCTIONS[number](dimension, instance)


def suite(dimension: int, instance: int = 1) -> list[Problem]:
    """All 24 functions in `dimension` coordinates."""
    return [problem(number, dimension, instance) for number in FUNCTIONS]


__all__ = ["FUNCTIONS", "GROUPS", "Problem", "problem", "suite"]
