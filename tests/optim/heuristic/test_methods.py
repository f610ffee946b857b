"""Every heuristic: the same interface, the same refusals, and downhill on functions with a known minimum."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.backend import NonFiniteError, ShapeError, manual_seed
from lmbook.optim import heuristic as h
from lmbook.optim.heuristic.problems import ellipsoid, onemax, rastrigin, rosenbrock, sphere

BOX = h.Real(3, -4, 6)
TRIANGLE = 1.0 - np.eye(5)
METHODS = {
    "genetic": lambda seed: h.GeneticAlgorithm(BOX, 20, seed=seed),
    "genetic, bits": lambda seed: h.GeneticAlgorithm(h.Binary(9), 20, seed=seed),
    "genetic, orders": lambda seed: h.GeneticAlgorithm(h.Permutation(7), 20, seed=seed),
    "genetic, edges": lambda seed: h.GeneticAlgorithm(
        h.Permutation(7), 20, crossover="edge", seed=seed
    ),
    "swarm": lambda seed: h.ParticleSwarm(BOX, 12, seed=seed),
    "swarm, ring": lambda seed: h.ParticleSwarm(BOX, 12, topology="ring", seed=seed),
    "annealing": lambda seed: h.SimulatedAnnealing(
        BOX, h.geometric(1, 0.1, 50), chains=4, seed=seed
    ),
    "annealing, orders": lambda seed: h.SimulatedAnnealing(
        h.Permutation(7), h.constant(1), seed=seed
    ),
    "differential": lambda seed: h.DifferentialEvolution(BOX, seed=seed),
    "differential, best": lambda seed: h.DifferentialEvolution(
        BOX, strategy="best/1/bin", seed=seed
    ),
    "differential, current": lambda seed: h.DifferentialEvolution(
        BOX, strategy="current-to-best/1/bin", seed=seed
    ),
    "cma-es": lambda seed: h.CMAES(BOX, [5, -3, 5], 3, seed=seed),
    "ants": lambda seed: h.AntColony(TRIANGLE, 8, seed=seed),
    "ants, system": lambda seed: h.AntColony(TRIANGLE, 8, variant="system", seed=seed),
    "evolution strategy": lambda seed: h.EvolutionStrategy(BOX, [5, -3, 5], 0.5, 10, seed=seed),
    "one plus one": lambda seed: h.OnePlusOne(h.Binary(9), runs=3, seed=seed),
    "one plus one, real": lambda seed: h.OnePlusOne(BOX, seed=seed),
}


def value(x: np.ndarray) -> np.ndarray:
    """Any objective: positive, and different at different points."""
    return 1 + (np.abs(x - 1.5) * np.arange(1, x.shape[-1] + 1)).sum(axis=-1)


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_points_lie_in_the_space_and_the_best_is_kept(make):
    method, seen = make(0), []
    for generation in range(15):
        x = method.ask()
        assert x.shape == (method.popsize, method.space.size)
        assert method.space.contains(x).all()
        method.tell(value(x))
        seen += [(v, tuple(row)) for v, row in zip(value(x), x)]
        assert method.best_value == min(v for v, _ in seen)
        assert (method.best_value, tuple(method.best_x)) in seen
        assert method.evaluations == len(seen) and method.generation == generation + 1


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_a_seed_decides_everything(make):
    def run(seed):
        method = make(seed)
        for _ in range(8):
            x = method.ask()
            method.tell(value(x))
        return method.ask()

    assert np.array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))
    manual_seed(3)
    first = run(None)
    manual_seed(3)
    assert np.array_equal(first, run(None))
    assert np.array_equal(run(np.random.default_rng(5)), run(5))


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_what_is_handed_out_belongs_to_the_caller(make):
    a, b = make(1), make(1)
    for _ in range(4):
        x, y = a.ask(), b.ask()
        v = value(x)
        x[:] = 0
        a.tell(v)
        b.tell(value(y))
    assert np.array_equal(a.ask(), b.ask())


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_ask_and_tell_take_turns_and_values_are_checked(make):
    method = make(0)
    with pytest.raises(RuntimeError, match="ask for points first"):
        method.tell(np.zeros(method.popsize))
    method.ask()
    with pytest.raises(RuntimeError, match="tell the values of the last points first"):
        method.ask()
    with pytest.raises(ShapeError, match=rf"expected values of shape \({method.popsize},\)"):
        method.tell(np.ones(method.popsize + 1))
    bad = np.ones(method.popsize)
    bad[-1] = np.nan
    with pytest.raises(NonFiniteError, match=f"point {method.popsize - 1} is nan"):
        method.tell(bad)
    bad[-1] = -np.inf
    with pytest.raises(NonFiniteError, match="-inf"):
        method.tell(bad)
    bad[-1] = np.inf
    method.tell(bad)  # a point that must not be chosen
    with np.errstate(all="raise"):
        x = method.ask()
    assert method.space.contains(x).all()


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_only_infinities_and_ties_do_no_harm(make):
    for told in (np.inf, 7.0):
        method = make(0)
        for _ in range(5):
            assert method.space.contains(method.ask()).all()
            method.tell(np.full(method.popsize, told))
        assert np.isfinite(method.ask()).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda n: h.GeneticAlgorithm(BOX, n),
        lambda n: h.ParticleSwarm(BOX, n),
        lambda n: h.DifferentialEvolution(BOX, n),
        lambda n: h.CMAES(BOX, [0, 0, 0], 1, n),
        lambda n: h.AntColony(TRIANGLE, n),
        lambda n: h.EvolutionStrategy(BOX, [0, 0, 0], popsize=n),
    ],
)
def test_a_population_of_one_is_refused(make):
    with pytest.raises(
        ValueError, match=r"popsize must be a whole number from \d.*nobody to learn from"
    ):
        make(1)
    with pytest.raises(ValueError, match="popsize"):
        make(-2)


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (
            ValueError,
            "coordinate 1 has low 3.0 and high 2.0.*swapped",
            lambda: h.Real(2, [0, 3], [1, 2]),
        ),
        (
            ShapeError,
            r"bounds are numbers or arrays of shape \(2,\)",
            lambda: h.Real(2, [0, 0, 0], 1),
        ),
        (ValueError, "size must be a whole number from 1", lambda: h.Binary(0)),
        (
            ValueError,
            "both bounds must be finite",
            lambda: h.Real(2).sample(np.random.default_rng(), 1),
        ),
        (ShapeError, r"shape \(count, 3\), not \(2,\)", lambda: h.CMAES(BOX, [0, 0], 1)),
        (ValueError, r"row 0 is no point of Real\(3\)", lambda: h.CMAES(BOX, [0, 0, 9], 1)),
        (ValueError, "sigma must be above 0", lambda: h.CMAES(BOX, [0, 0, 0], 0)),
        (
            TypeError,
            r"CMAES searches real spaces, not Binary\(4\)",
            lambda: h.CMAES(h.Binary(4), [0] * 4, 1),
        ),
        (TypeError, "ParticleSwarm searches real", lambda: h.ParticleSwarm(h.Permutation(4))),
        (
            ValueError,
            "selection 'best' is unknown; there are 'roulette'",
            lambda: h.GeneticAlgorithm(BOX, selection="best"),
        ),
        (
            ValueError,
            "for real spaces, crossover 'order'",
            lambda: h.GeneticAlgorithm(BOX, crossover="order"),
        ),
        (
            ValueError,
            "for binary spaces, mutation 'swap'",
            lambda: h.GeneticAlgorithm(h.Binary(3), mutation="swap"),
        ),
        (
            ValueError,
            r"mutation_rate must lie in \[0, 1\], not 2",
            lambda: h.GeneticAlgorithm(BOX, mutation_rate=2),
        ),
        (ValueError, "elite must lie", lambda: h.GeneticAlgorithm(BOX, 10, elite=11)),
        (ValueError, "topology 'star' is unknown", lambda: h.ParticleSwarm(BOX, topology="star")),
        (ValueError, "phi2 must be above 4", lambda: h.constriction(2, 2)),
        (
            ValueError,
            "strategy 'rand/2/exp' is unknown",
            lambda: h.DifferentialEvolution(BOX, strategy="rand/2/exp"),
        ),
        (ValueError, "CR must lie", lambda: h.DifferentialEvolution(BOX, CR=1.5)),
        (ShapeError, "square of at least 3 cities", lambda: h.AntColony(np.ones((3, 4)))),
        (ValueError, "finite and 0 or more", lambda: h.AntColony(-np.ones((3, 3)))),
        (ValueError, "variant must be", lambda: h.AntColony(TRIANGLE, variant="elite")),
        (ValueError, "popsize 7 is odd", lambda: h.EvolutionStrategy(BOX, [0, 0, 0], popsize=7)),
        (
            ValueError,
            "shaping must be",
            lambda: h.EvolutionStrategy(BOX, [0, 0, 0], shaping="sign"),
        ),
        (
            ValueError,
            "sigma and lr must be above 0",
            lambda: h.EvolutionStrategy(BOX, [0, 0, 0], lr=0),
        ),
        (ValueError, "geometric: temperatures must be above 0", lambda: h.geometric(1, 0, 10)),
        (ValueError, "linear: temperatures must be 0 or more", lambda: h.linear(1, -1, 10)),
        (
            ValueError,
            r"pressure must lie in \[1, 2\]",
            lambda: h.rank(np.ones(3), 2, np.random.default_rng(), 3),
        ),
        (
            ValueError,
            "size must be at least 1",
            lambda: h.tournament(np.ones(3), 2, np.random.default_rng(), 0),
        ),
    ],
)
def test_bad_input_is_named(error, message, make):
    with pytest.raises(error, match=message):
        make()


def test_a_schedule_below_zero_is_refused():
    method = h.SimulatedAnnealing(BOX, lambda step: -1.0)
    method.ask()
    method.tell([1.0])
    with pytest.raises(ValueError, match=r"gave T = -1\.0 at step 0"):
        method.ask()


@pytest.mark.parametrize(
    ("make", "function", "target", "evaluations"),
    [
        (lambda s: h.ParticleSwarm(h.Real(10, -5, 5), seed=s), sphere, 1e-8, 12_000),
        (
            lambda s: h.ParticleSwarm(h.Real(5, -5, 5), topology="ring", seed=s),
            rastrigin,
            1.0,
            30_000,
        ),
        (lambda s: h.DifferentialEvolution(h.Real(5, -5, 5), seed=s), rosenbrock, 1e-8, 30_000),
        (lambda s: h.GeneticAlgorithm(h.Real(5, -5, 5), seed=s), rastrigin, 0.1, 30_000),
        (lambda s: h.CMAES(h.Real(10), np.full(10, 3.0), 2, seed=s), ellipsoid, 1e-10, 8_000),
        (lambda s: h.CMAES(h.Real(8), np.zeros(8), 0.5, seed=s), rosenbrock, 1e-10, 10_000),
        (
            lambda s: h.EvolutionStrategy(h.Real(10), np.full(10, 3.0), 0.05, seed=s),
            sphere,
            0.01,
            20_000,
        ),
        (
            lambda s: h.SimulatedAnnealing(
                h.Real(2, -5, 5), h.geometric(5, 1e-3, 3000), chains=5, seed=s
            ),
            rastrigin,
            0.05,
            20_000,
        ),
        (lambda s: h.GeneticAlgorithm(h.Binary(60), crossover="uniform", seed=s), onemax, 0, 8_000),
        (lambda s: h.OnePlusOne(h.Binary(60), seed=s), onemax, 0, 3_000),
    ],
)
def test_reaches_a_known_minimum(make, function, target, evaluations):
    results = [
        h.optimise(make(seed), function, target=target, evaluations=evaluations, vectorised=True)
        for seed in range(3)
    ]
    assert sum(r.stopped == "target" for r in results) >= 2, [r.value for r in results]


def test_a_minimum_on_the_bound_is_found_inside():
    def slope(x):
        return (x - 2.0).sum(axis=-1) + ((x - 2.0) ** 2).sum(axis=-1)  # least at 1.5, outside

    space = h.Real(3, 2, 5)
    for method in (
        h.CMAES(space, [4, 4, 4], 1, seed=0),
        h.ParticleSwarm(space, seed=0),
        h.DifferentialEvolution(space, seed=0),
    ):
        r = h.optimise(method, slope, evaluations=4000, target=1e-6, vectorised=True)
        assert r.stopped == "target" and space.contains(r.x[None]).all(), type(method).__name__


def test_scent_is_laid_and_fades_by_the_formula():
    ants = h.AntColony(TRIANGLE, 3, rho=0.2, variant="system", seed=0)
    tours = ants.ask()
    lengths = np.array([4.0, 5.0, 8.0])
    ants.tell(lengths)
    expected = np.full((5, 5), 0.8 * 3 / lengths.mean())
    for tour, length in zip(tours, lengths):
        for i, j in zip(tour, np.roll(tour, -1)):
            expected[i, j] += 1 / length
            expected[j, i] += 1 / length
    assert np.allclose(ants.tau, expected, atol=1e-14)

    best = h.AntColony(TRIANGLE, 3, rho=0.2, seed=0)
    tour = best.ask()[0]
    best.tell(lengths)
    top = 1 / (0.2 * 4)
    marked = {frozenset(e) for e in zip(tour.tolist(), np.roll(tour, -1).tolist())}
    for i, j in np.argwhere(~np.eye(5, dtype=bool)).tolist():
        laid = 1 / 4 if frozenset((i, j)) in marked else 0
        assert np.isclose(best.tau[i, j], np.clip(0.8 * top + laid, top / 10, top))


def test_differences_are_of_three_others():
    method = h.DifferentialEvolution(BOX, 5, F=0.6, CR=1.0, seed=3)
    method.tell(value(method.ask()))
    for _ in range(30):
        chosen = np.vstack([np.arange(5), method._three_others()])
        assert all(len(set(column)) == 4 for column in chosen.T)
    wide = h.DifferentialEvolution(h.Real(3, -1e3, 1e3), 6, F=0.6, CR=1.0, seed=3)
    wide.tell(value(wide.ask()))
    wide.x = wide.x / 1e3  # far from the bounds, so that every trial is a mutant as it is
    state = wide.rng.bit_generator.state
    trial = wide.ask()
    wide.rng.bit_generator.state = state
    a, b, c = wide.x[wide._three_others()]
    assert np.allclose(trial, a + 0.6 * (b - c), atol=1e-15)


def test_a_particle_stops_at_the_bound():
    method = h.ParticleSwarm(h.Real(1, 0, 1), 4, seed=0)
    for _ in range(12):
        x = method.ask()
        method.tell(-x[:, 0])  # the best is at the bound
        at = (x == 1).ravel() & (method.v.ravel() >= 0)
        assert (method.v.ravel()[at] == 0).all()
    assert (method.x == 1).any()


def test_es_weighs_its_noise_by_centred_ranks():
    es = h.EvolutionStrategy(h.Real(3), np.zeros(3), 0.2, 4, antithetic=False, seed=0)
    es.ask()
    g = es.gradient(np.array([10.0, -3.0, 4.0, 1e6]))
    weights = np.array([1 / 6, -1 / 2, -1 / 6, 1 / 2])
    assert np.allclose(g, weights @ es.noise / (4 * 0.2), atol=1e-14)
