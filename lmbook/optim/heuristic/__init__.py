"""Heuristics: searches that look at values only. All share `ask` and `tell`; `optimise` runs them.

base.py has the interface, space.py where to look, optimise.py the loop; then a short file a method.
"""

from lmbook.optim.heuristic import problems
from lmbook.optim.heuristic.annealing import (
    SimulatedAnnealing,
    constant,
    geometric,
    linear,
    logarithmic,
    metropolis,
)
from lmbook.optim.heuristic.ants import AntColony
from lmbook.optim.heuristic.base import Heuristic, feasible_first
from lmbook.optim.heuristic.cmaes import CMAES
from lmbook.optim.heuristic.crossover import blend, edge, one_point, order, uniform
from lmbook.optim.heuristic.differential import DifferentialEvolution
from lmbook.optim.heuristic.evolution import EvolutionStrategy, OnePlusOne
from lmbook.optim.heuristic.genetic import GeneticAlgorithm
from lmbook.optim.heuristic.mutation import (
    flip,
    gaussian,
    insert,
    multiscale,
    one_bit,
    reverse,
    swap,
)
from lmbook.optim.heuristic.optimise import ObjectiveError, Result, optimise
from lmbook.optim.heuristic.selection import rank, roulette, tournament
from lmbook.optim.heuristic.space import Binary, Permutation, Real, Space
from lmbook.optim.heuristic.swarm import ParticleSwarm, constriction, stable

__all__ = [
    "CMAES", "AntColony", "Binary", "DifferentialEvolution", "EvolutionStrategy", "GeneticAlgorithm",
    "Heuristic", "ObjectiveError", "OnePlusOne", "ParticleSwarm", "Permutation", "Real", "Result",
    "SimulatedAnnealing", "Space", "blend", "constant", "constriction", "edge", "feasible_first", "flip",
    "gaussian", "geometric", "insert", "linear", "logarithmic", "metropolis", "multiscale", "one_bit",
    "one_point", "optimise", "order", "problems", "rank", "reverse", "roulette", "stable", "swap",
    "tournament", "uniform",
]  # fmt: skip
