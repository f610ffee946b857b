"""A population of schedules in which every child is improved by tabu search: a memetic algorithm."""

import numpy as np

from lmbook.backend.random import default_generator
from lmbook.optim.heuristic.base import Seed
from lmbook.optim.heuristic.crossover import order
from lmbook.optim.heuristic.problems.jobshop import JobShop, Schedule, lower_bound
from lmbook.optim.heuristic.problems.tabu import tabu_search
from lmbook.optim.heuristic.space import Permutation


def memetic_search(
    shop: JobShop,
    *,
    popsize: int = 6,
    iterations: int = 200,
    rounds: int = 60,
    target: int | None = None,
    seed: Seed = None,
) -> tuple[Schedule, list[int]]:
    """The best schedule found, and the best makespan after the first population and after each round.

    A round crosses two schedules (order crossover of their operations by start), improves the child by
    `iterations` of tabu search, and puts it in the place of the worst, unless it is worse or already there.
    Sources: Moscato 1989; Peng, Lü and Cheng 2015, who link paths in place of crossing.
    """
    if popsize < 2:
        raise ValueError(
            f"memetic_search: popsize must be at least 2, not {popsize}: nobody to cross with"
        )
    rng = seed if isinstance(seed, np.random.Generator) else None
    rng = rng or (default_generator() if seed is None else np.random.default_rng(seed))
    goal = lower_bound(shop) if target is None else max(target, lower_bound(shop))

    def improve(permutation: np.ndarray) -> Schedule:
        start = shop.decode(permutation)
        return tabu_search(shop, start, iterations=iterations, target=goal, seed=rng)[0]

    population = [improve(x) for x in Permutation(shop.operations).sample(rng, popsize)]
    best = min(population, key=lambda s: s.makespan)
    history = [best.makespan]
    while len(history) <= rounds and best.makespan > goal:
        i, j = rng.choice(popsize, 2, replace=False)
        child = improve(order(by_start(population[i]), by_start(population[j]), rng)[0])
        worst = max(range(popsize), key=lambda k: population[k].makespan)
        new = all(child.orders != other.orders for other in population)
        if new and child.makespan <= population[worst].makespan:
            population[worst] = child
        best = min(best, child, key=lambda s: s.makespan)
        history.append(best.makespan)
    return best, history


def by_start(schedule: Schedule) -> np.ndarray:
    """Operations by their starts, as one row: (1, n m). Decoded, it ends no later."""
    return np.argsort(schedule.start.ravel(), kind="stable")[None]
