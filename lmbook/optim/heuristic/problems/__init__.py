"""Problems to try heuristics on: functions with many valleys, tours, job shops."""

from lmbook.optim.heuristic.problems.functions import (
    ackley,
    ellipsoid,
    onemax,
    rastrigin,
    rosenbrock,
    sphere,
)
from lmbook.optim.heuristic.problems.jobshop import RULES, JobShop, Schedule, lower_bound
from lmbook.optim.heuristic.problems.memetic import memetic_search
from lmbook.optim.heuristic.problems.runtime import onemax_time, onemax_times
from lmbook.optim.heuristic.problems.tabu import tabu_search
from lmbook.optim.heuristic.problems.tours import (
    convex_optimum,
    distances,
    held_karp,
    tour_length,
    two_opt,
)

__all__ = [
    "RULES", "JobShop", "Schedule", "ackley", "convex_optimum", "distances", "ellipsoid", "held_karp",
    "lower_bound", "memetic_search", "onemax", "onemax_time", "onemax_times", "rastrigin", "rosenbrock",
    "sphere", "tabu_search", "tour_length", "two_opt",
]  # fmt: skip
