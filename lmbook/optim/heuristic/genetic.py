"""The genetic algorithm: select, cross, mutate, keep the best."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed, one_of, within
from lmbook.optim.heuristic.crossover import CROSSOVERS
from lmbook.optim.heuristic.mutation import MUTATIONS, gaussian
from lmbook.optim.heuristic.selection import SELECTIONS
from lmbook.optim.heuristic.space import Real, Space


class GeneticAlgorithm(Heuristic):
    """parents = select(population);  children = mutate(cross(parents));  replace.

    `elite` of the parents stay in the contest: the next population is the best `popsize` of them and
    the children. 0 forgets all parents, 1 never loses the best, `popsize` replaces only the less fit.
    `crossover_rate` and `mutation_rate` are the shares of children that are crossed and mutated;
    operators go by name or are functions, as in selection.py, crossover.py, mutation.py. A crossover
    by None leaves children as copies. Sources: Holland 1975; Goldberg 1989.
    """

    def __init__(
        self,
        space: Space,
        popsize: int = 100,
        *,
        selection: str | Callable = "tournament",
        crossover: str | Callable | None = "default",
        mutation: str | Callable | None = "default",
        crossover_rate: float = 0.9,
        mutation_rate: float = 1.0,
        elite: int = 1,
        seed: Seed = None,
    ) -> None:
        super().__init__(space, popsize, seed)
        name = "GeneticAlgorithm"
        within(name, 0, 1, crossover_rate=crossover_rate, mutation_rate=mutation_rate)
        within(name, 0, popsize, elite=elite)
        crossings, mutations = CROSSOVERS[space.kind], MUTATIONS[space.kind]
        crossover = next(iter(crossings)) if crossover == "default" else crossover
        mutation = next(iter(mutations)) if mutation == "default" else mutation
        self.select = one_of(name, "selection", selection, SELECTIONS)
        self.cross: Any = crossover and one_of(
            name, f"for {space.kind} spaces, crossover", crossover, crossings
        )
        self.mutate: Any = mutation and one_of(
            name, f"for {space.kind} spaces, mutation", mutation, mutations
        )
        if self.mutate is gaussian and isinstance(space, Real):
            scale = 0.1 * space.width
            self.mutate = lambda x, rng: gaussian(x, rng, scale, 1 / space.size)
        self.crossover_rate, self.mutation_rate, self.elite = crossover_rate, mutation_rate, elite
        self.population = np.empty((0, space.size))
        self.values = np.empty(0)

    def _ask(self) -> np.ndarray:
        if len(self.population) == 0:
            return self.space.sample(self.rng, self.popsize)
        rng, n = self.rng, self.popsize
        children = self.population[self.select(self.values, n, rng)]
        if self.cross is not None:
            others = self.population[self.select(self.values, n, rng)]
            crossed = rng.random(n) < self.crossover_rate
            children[crossed] = self.cross(children[crossed], others[crossed], rng)
        if self.mutate is not None:
            mutated = rng.random(n) < self.mutation_rate
            children[mutated] = self.mutate(children[mutated], rng)
        return self.space.clip(children) if isinstance(self.space, Real) else children

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        kept = np.argsort(self.values, kind="stable")[: self.elite]
        x = np.concatenate([self.population[kept].astype(x.dtype), x])
        values = np.concatenate([self.values[kept], values])
        best = np.argsort(values, kind="stable")[: self.popsize]
        self.population, self.values = x[best], values[best]
