"""What `python -m benchmarks.heuristics` compares: our optimisers and the libraries', in one form.

Each entry makes a solver for `lmbook.optim.performance.record` in n dimensions with a budget. Where a
library has the same method, both get the same settings; populations start in [-5, 5]^n,
single points in [-4, 4]^n.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.optim import heuristic as h
from lmbook.optim import performance as p

LOW, HIGH = -5.0, 5.0
Make = Callable[[int, int], p.Solver]


def library(name: str) -> Any:
    """A module of a library that is compared, or an error that says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.split(".")[0]
        raise ModuleNotFoundError(
            f"benchmarks.heuristics: {package} is not installed: pip install {package}, or leave it out by "
            "--algorithms"
        ) from error


def start(rng: np.random.Generator, n: int) -> np.ndarray:
    """A first point."""
    return rng.uniform(-4, 4, n)


def seed_of(rng: np.random.Generator) -> int:
    """A seed for a library that wants a number."""
    return int(rng.integers(1, 2**31))


def cma_es(n: int, budget: int) -> p.Solver:
    """CMA-ES; every restart doubles the population."""
    space, popsize = h.Real(n), 4 + int(3 * np.log(n))
    return p.ask_tell(lambda rng, k: h.CMAES(space, start(rng, n), 2.0, popsize * 2**k, seed=rng))


def pycma(n: int, budget: int) -> p.Solver:
    """CMA-ES by its author; every restart doubles the population, and its own rules say when."""
    cma, popsize = library("cma"), 4 + int(3 * np.log(n))

    def solve(f: p.Recorder, rng: np.random.Generator, restarts: int) -> None:
        options = {"seed": seed_of(rng), "verbose": -9, "popsize": popsize * 2**restarts}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            es = cma.CMAEvolutionStrategy(start(rng, n), 2.0, options)
            while not es.stop():
                x = es.ask()
                es.tell(x, f(np.array(x)).tolist())

    return solve


def members(n: int) -> int:
    """The population of differential evolution, ours and SciPy's."""
    return max(20, min(100, 10 * n))


def differential(n: int, budget: int) -> p.Solver:
    """Differential evolution, rand/1/bin with F = 0.7, CR = 0.9."""
    space = h.Real(n, LOW, HIGH)
    return p.ask_tell(lambda rng, k: h.DifferentialEvolution(space, members(n), seed=rng))


def scipy_differential(n: int, budget: int) -> p.Solver:
    """SciPy's differential evolution with the same strategy, constants and population."""
    optimize = library("scipy.optimize")

    def solve(f: p.Recorder, rng: np.random.Generator, restarts: int) -> None:
        first = rng.uniform(LOW, HIGH, (members(n), n))
        optimize.differential_evolution(
            lambda x: f(x.T), [(LOW, HIGH)] * n, strategy="rand1bin", mutation=0.7, recombination=0.9,
            init=first, polish=False, tol=0, atol=0, maxiter=budget, updating="deferred", vectorized=True,
            rng=rng,
        )  # fmt: skip

    return solve


def swarm(n: int, budget: int) -> p.Solver:
    """A swarm of 40 with the constriction's numbers."""
    space = h.Real(n, LOW, HIGH)
    return p.ask_tell(lambda rng, k: h.ParticleSwarm(space, 40, seed=rng))


def pymoo_minimise(algorithm: Any, f: p.Recorder, n: int, seed: int) -> None:
    """Run an algorithm of pymoo on the recorder, without its own stopping rules."""
    problem = library("pymoo.core.problem").Problem(n_var=n, n_obj=1, xl=LOW, xu=HIGH)
    problem._evaluate = lambda x, out, *a, **k: out.__setitem__("F", f(x)[:, None])
    minimise = library("pymoo.optimize").minimize
    minimise(problem, algorithm, ("n_gen", 10**9), seed=seed, copy_algorithm=False)


def pymoo_swarm(n: int, budget: int) -> p.Solver:
    """pymoo's swarm with the same numbers, not adapted."""
    PSO = library("pymoo.algorithms.soo.nonconvex.pso").PSO
    w, c1, c2 = h.constriction()

    def solve(f: p.Recorder, rng: np.random.Generator, restarts: int) -> None:
        method = PSO(pop_size=40, w=w, c1=c1, c2=c2, adaptive=False)
        pymoo_minimise(method, f, n, seed_of(rng))

    return solve


def genetic(n: int, budget: int) -> p.Solver:
    """The genetic algorithm with blend crossover; parents and children compete, as in pymoo's."""
    space = h.Real(n, LOW, HIGH)
    return p.ask_tell(
        lambda rng, k: h.GeneticAlgorithm(space, 100, crossover="blend", elite=100, seed=rng)
    )


def pymoo_genetic(n: int, budget: int) -> p.Solver:
    """pymoo's genetic algorithm with its defaults: simulated binary crossover, polynomial mutation."""
    GA = library("pymoo.algorithms.soo.nonconvex.ga").GA

    def solve(f: p.Recorder, rng: np.random.Generator, restarts: int) -> None:
        pymoo_minimise(GA(pop_size=100), f, n, seed_of(rng))

    return solve


def annealing(n: int, budget: int) -> p.Solver:
    """One walk with steps of all scales, cooled geometrically over the whole budget."""
    space = h.Real(n, LOW, HIGH)
    schedule = h.geometric(1.0, 1e-8, budget)
    move = lambda x, rng: h.multiscale(x, rng, HIGH - LOW)  # noqa: E731
    return p.ask_tell(
        lambda rng, k: h.SimulatedAnnealing(space, schedule, move=move, seed=rng),
        tolerance=None,
    )


def dual_annealing(n: int, budget: int) -> p.Solver:
    """SciPy's dual annealing without its local search, so that annealing is compared with annealing."""
    optimize = library("scipy.optimize")

    def solve(f: p.Recorder, rng: np.random.Generator, restarts: int) -> None:
        optimize.dual_annealing(
            f, [(LOW, HIGH)] * n, maxiter=10**7, maxfun=10**9, no_local_search=True, rng=rng,
        )  # fmt: skip

    return solve


def lbfgs(n: int, budget: int) -> p.Solver:
    """L-BFGS from random points, gradients by differences."""
    return p.descend(lambda rng: start(rng, n))


def scipy_lbfgs(n: int, budget: int) -> p.Solver:
    """SciPy's L-BFGS-B from random points, gradients by differences."""
    optimize = library("scipy.optimize")

    def solve(f: p.Recorder, rng: np.random.Generator, restarts: int) -> None:
        options = {"maxfun": 10**9, "maxiter": 10**6, "ftol": 1e-15, "gtol": 1e-12}
        optimize.minimize(f, start(rng, n), method="L-BFGS-B", options=options)

    return solve


def random_search(n: int, budget: int) -> p.Solver:
    """Points drawn uniformly."""
    return p.random_search(LOW, HIGH, n)


ALGORITHMS: dict[str, Make] = {
    "CMA-ES": cma_es,
    "pycma": pycma,
    "differential": differential,
    "scipy differential": scipy_differential,
    "swarm": swarm,
    "pymoo swarm": pymoo_swarm,
    "genetic": genetic,
    "pymoo genetic": pymoo_genetic,
    "annealing": annealing,
    "scipy annealing": dual_annealing,
    "L-BFGS": lbfgs,
    "scipy L-BFGS-B": scipy_lbfgs,
    "random": random_search,
}
PAIRS = {
    "CMA-ES": "pycma",
    "differential": "scipy differential",
    "swarm": "pymoo swarm",
    "genetic": "pymoo genetic",
    "annealing": "scipy annealing",
    "L-BFGS": "scipy L-BFGS-B",
}
"""Ours, and the library's that it is measured against."""
