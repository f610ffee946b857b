"""What is proved about heuristics holds for ours: Boltzmann, e n ln n, stability, takeover, gradients."""

from __future__ import annotations

import cma
import numpy as np
import pytest
from cma.utilities.math import Mh
from scipy import stats

from lmbook.optim import heuristic as h
from lmbook.optim.heuristic.problems import (
    ackley,
    ellipsoid,
    onemax,
    onemax_time,
    onemax_times,
    rosenbrock,
    sphere,
)  # fmt: skip


def test_acceptance_keeps_detailed_balance():
    f = np.array([0.3, 1.0, 2.2])
    p = np.exp(-f / 0.7)
    flow = p[:, None] * h.metropolis(f[None, :] - f[:, None], 0.7)
    assert np.allclose(flow, flow.T, atol=1e-15)
    assert h.metropolis([-1.0, 0.0, 1.0], 0).tolist() == [1, 1, 0]


@pytest.mark.parametrize("space", [h.Binary(3), h.Permutation(3)], ids=["bits", "orders"])
def test_annealing_at_constant_temperature_comes_to_boltzmann(space):
    """4,000 independent chains after 200 steps, by a chi-square test; and a wrong rule is caught."""
    places = 4 ** np.arange(3)
    rng = np.random.default_rng(0)
    table = rng.uniform(0, 3, 64)

    def run(temperature):
        # move off in a third of the steps: reversing alone would alternate between odd and even orders
        def move(x, r):
            return np.where(r.random((len(x), 1)) < 2 / 3, still(x, r), x)

        still = h.one_bit if space.kind == "binary" else h.swap
        method = h.SimulatedAnnealing(
            space, h.constant(temperature), chains=4000, move=move, seed=1
        )
        for _ in range(200):
            method.tell(table[method.ask() @ places])
        return method.x @ places

    states = np.unique(space.sample(rng, 500) @ places)
    boltzmann = np.exp(-table[states] / 0.8)
    expected = 4000 * boltzmann / boltzmann.sum()
    counts = [np.array([(run(t) == s).sum() for s in states]) for t in (0.8, 1.1)]
    assert stats.chisquare(counts[0], expected).pvalue > 1e-3
    assert stats.chisquare(counts[1], expected).pvalue < 1e-6


def test_schedules():
    assert np.allclose([h.geometric(8, 1, 4)(s) for s in (0, 1, 2, 3, 9)], [8, 4, 2, 1, 1])
    assert np.allclose([h.linear(6, 0, 4)(s) for s in (0, 1, 2, 3, 9)], [6, 4, 2, 0, 0])
    assert np.isclose(h.logarithmic(2)(0), 2 / np.log(2))


def test_one_plus_one_takes_as_long_as_computed_and_as_theory_says():
    """Simulation against the exact Markov chain, and the chain against e n ln n - 1.89 n."""
    n, runs = 40, 400
    method = h.OnePlusOne(h.Binary(n), runs=runs, seed=0)
    took = np.zeros(runs)
    while not took.all():
        method.tell(onemax(method.ask()))
        took[(method.values == 0) & (took == 0)] = method.generation
    assert abs(took.mean() - onemax_time(n)) < 4 * took.std() / np.sqrt(runs)
    for n in (100, 400):
        # Hwang et al. 2018: e n ln n - 1.8925 n + (e / 2) ln n + 0.5978 + O(ln n / n) children
        rest = onemax_time(n) - 1 - np.e * n * np.log(n) + 1.89254 * n - np.e / 2 * np.log(n)
        assert abs(rest - 0.5978) < 4 * np.log(n) / n
    assert onemax_times(1).tolist() == [0, 1]
    with pytest.raises(ValueError, match="n must be at least 1"):
        onemax_times(0)


def test_constriction_and_stability():
    w, c1, c2 = h.constriction()
    assert np.allclose((w, c1, c2), (0.72984, 1.49618, 1.49618), atol=1e-5)
    assert h.stable(w, c1, c2) and not h.stable(1.0, 1, 1) and not h.stable(0.9, 2, 2)


@pytest.mark.parametrize(
    ("w", "c", "calm"), [(0.7, 1.4, True), (0.7, 2.1, False), (0.3, 1.9, True)]
)
def test_swarms_explode_where_theory_says(w, c, calm):
    """A swarm whose targets stand still: spread after 300 steps, inside and outside of Poli's region."""
    assert h.stable(w, c, c) == calm
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 5000))
    for _ in range(300):
        r1, r2 = rng.random((2, 5000))
        v = w * v + c * r1 * (1 - x) + c * r2 * (-1 - x)
        x = x + v
    assert (np.mean(x * x) < 100) == calm


def test_the_update_of_a_swarm_is_the_printed_one():
    method = h.ParticleSwarm(h.Real(2, -9, 9), 3, inertia=0.5, cognitive=1.2, social=0.8, seed=4)
    for _ in range(3):
        method.tell(sphere(method.ask()))
    x, v, p, values = method.x.copy(), method.v.copy(), method.own_x, method.own_values
    state = method.rng.bit_generator.state
    moved = method.ask()
    again = np.random.default_rng()
    again.bit_generator.state = state
    r1, r2 = again.random((2, 3, 2))
    expected = x + 0.5 * v + 1.2 * r1 * (p - x) + 0.8 * r2 * (p[values.argmin()] - x)
    assert np.allclose(moved, expected, atol=1e-12)


def test_takeover_by_tournament_doubles_and_rank_pressure_too():
    """The best's copies under selection alone: 1 of 1024, then all in about log2 n + log2 ln n."""
    rng, values = np.random.default_rng(0), np.arange(1024.0)
    for select, least, most in ((h.tournament, 9, 18), (h.rank, 9, 24)):
        times = []
        for _ in range(40):
            population, generations = values.copy(), 0
            while (population == 0).any() and not (population == 0).all():
                population = population[select(population, 1024, rng)]
                generations += 1
            if (population == 0).all():
                times.append(generations)
        assert least < np.mean(times) < most


def test_es_estimates_the_gradient_of_the_smoothed_function():
    x0 = np.array([1.0, -2.0, 0.5])
    space, slope = h.Real(3), np.array([2.0, -1.0, 3.0])
    mirrored = h.EvolutionStrategy(space, x0, 0.1, 4000, shaping="value", seed=0)
    v = mirrored.ask() @ slope + 100
    assert np.allclose(mirrored.gradient(v), slope, atol=0.25)
    plain = h.EvolutionStrategy(space, x0, 0.1, 4000, shaping="value", antithetic=False, seed=0)
    for scale in (
        0.1,
        10,
    ):  # near the bottom of a bowl mirrored pairs cancel the even part, which is most
        errors = {True: [], False: []}
        for antithetic in errors:
            for seed in range(60):
                es = h.EvolutionStrategy(
                    space, scale * x0, 1.0, 20, shaping="value", antithetic=antithetic, seed=seed
                )
                errors[antithetic].append(es.gradient(sphere(es.ask())) - 2 * scale * x0)
        assert (np.mean(np.square(errors[True])) < 0.5 * np.mean(np.square(errors[False]))) == (
            scale < 1
        )
    assert np.allclose(plain.gradient(plain.ask() @ slope), slope, atol=0.6)


def test_ranks_make_es_blind_to_monotone_changes():
    def run(function):
        es = h.EvolutionStrategy(h.Real(2), [1.0, 2.0], 0.1, 10, seed=0)
        for _ in range(20):
            es.tell(function(es.ask()))
        return es.theta

    assert np.array_equal(run(sphere), run(lambda x: np.exp(3 * sphere(x)) - 7))


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize("n", [3, 10])
def test_cma_es_takes_pycmas_steps(n, active):
    """Fed with pycma's samples and pycma's constants, mean, step size, paths and covariance stay the same."""
    options = {"seed": 7, "verbose": -9, "CMA_active": active, "popsize": 4 + int(3 * np.log(n))}
    theirs = cma.CMAEvolutionStrategy(np.full(n, 1.5), 0.8, options)
    ours = h.CMAES(h.Real(n), np.full(n, 1.5), 0.8, active=active)
    for _ in range(40):
        x = np.array(theirs.ask())
        if ours.generation == 0:
            copy_constants(theirs, ours)
        values = ellipsoid(x, 1e3)
        ours._decompose()
        ours.generation += 1
        ours.update(x[np.argsort(values)])
        theirs.tell(list(x), values)
        scale = theirs.sigma_vec.scaling if np.ndim(theirs.sigma_vec.scaling) else 1.0
        assert np.allclose(ours.mean, theirs.mean, atol=1e-9)
        assert np.isclose(ours.sigma, theirs.sigma, rtol=1e-6)
        assert np.allclose(ours.p_c, theirs.pc, rtol=1e-5, atol=1e-7)
        assert np.allclose(ours.p_s, theirs.adapt_sigma.ps, rtol=1e-5, atol=1e-6)
        assert np.allclose(ours.C, theirs.sm.C * scale, rtol=1e-5, atol=1e-7)


def copy_constants(theirs, ours):
    sp = theirs.sp
    p = theirs.sm.parameters(mueff=sp.weights.mueff, lam=sp.weights.lambda_)
    assert np.allclose(sp.weights.positive_weights, ours.weights[: ours.mu])
    ours.weights = np.array(sp.weights)
    ours.c_1, ours.c_mu = p.get("c1", sp.c1), p.get("cmu", sp.cmu)
    ours.c_c = p.get("cc", sp.cc)
    ours.C = theirs.sm.C.copy()  # the identity, but for some 1e-4 that keep its eigenvalues apart
    ours.expected_length = Mh.chiN(len(ours.mean))  # an approximation, off by about 1e-6
    ours.c_s, ours.d_s = theirs.adapt_sigma.cs, theirs.adapt_sigma.damps


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "n"), [(sphere, 10), (ellipsoid, 10), (rosenbrock, 6), (ackley, 4)]
)
def test_cma_es_needs_no_more_evaluations_than_pycma(function, n):
    """Geometric mean of evaluations to 1e-8 over 15 seeds: no more than pycma's, within a 99 % interval."""
    ours, theirs = [], []
    for seed in range(15):
        start = np.random.default_rng(seed).uniform(-3, 3, n)
        r = h.optimise(h.CMAES(h.Real(n), start, 1.0, popsize=20, seed=seed), function, target=1e-8,
                       evaluations=20_000, vectorised=True)  # fmt: skip
        ours.append(r.evaluations if r.stopped == "target" else np.nan)
        es = cma.CMAEvolutionStrategy(start, 1.0, {"seed": seed + 1, "verbose": -9, "popsize": 20})
        while es.best.f > 1e-8 and es.countevals < 20_000:
            x = es.ask()
            es.tell(x, [float(function(row)) for row in x])
        theirs.append(es.countevals if es.best.f <= 1e-8 else np.nan)
    solved = np.isfinite(ours), np.isfinite(theirs)
    assert solved[0].sum() >= solved[1].sum() - 4
    a, b = np.log(np.array(ours)[solved[0]]), np.log(np.array(theirs)[solved[1]])
    spread = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    assert a.mean() - b.mean() < 2.76 * spread + np.log(1.05)


def test_es_trains_a_network_without_gradients():
    """Two rings that no line parts: 2-16-1 by ES, 95 % right on points it has not seen."""
    rng = np.random.default_rng(0)

    def rings(count):
        angle, label = rng.uniform(0, 2 * np.pi, count), rng.integers(0, 2, count)
        radius = 1 + label + 0.15 * rng.normal(size=count)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), 2 * label - 1

    def logits(weights, x):  # (popsize, 65) and (count, 2) -> (popsize, count)
        W, b, v, c = np.split(weights, [32, 48, 64], axis=1)
        hidden = np.tanh(x @ W.reshape(-1, 2, 16) + b[:, None])
        return np.squeeze(hidden @ v[:, :, None], 2) + c

    x, y = rings(200)
    start = 0.5 * rng.normal(size=65)
    es = h.EvolutionStrategy(h.Real(65), start, 0.1, 40, lr=0.05, seed=0)
    h.optimise(
        es,
        lambda w: np.logaddexp(0, -y * logits(w, x)).mean(axis=1),
        generations=300,
        vectorised=True,
    )
    x, y = rings(1000)
    right = [(np.sign(logits(w[None], x)[0]) == y).mean() for w in (start, es.theta)]
    assert right[0] < 0.8 and right[1] > 0.95
