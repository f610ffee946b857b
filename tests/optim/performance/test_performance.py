"""Run lengths: what is counted, what the expected running time and its interval mean, and who runs."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.optim import bbob
from lmbook.optim import heuristic as h
from lmbook.optim import performance as p


def sphere(x):
    return (x**2).sum(axis=-1)


def test_a_recorder_notes_the_evaluation_of_each_target():
    r = p.Recorder(lambda x: x[:, 0], [10, 5, 1], budget=8)
    assert r(np.array([[30.0], [9.0], [9.5]])).tolist() == [30, 9, 9.5]
    assert r.hits.tolist() == [2, np.inf, np.inf]
    assert r(np.array([4.0])) == 4.0  # one point
    assert r.hits.tolist() == [2, 4, np.inf] and r.evaluations == 4 and r.best == 4
    with pytest.raises(p.Finished):  # four are left, the fifth is not evaluated
        r(np.array([[7.0], [6.0], [7.0], [2.0], [0.0]]))
    assert r.evaluations == 8 and r.best == 2 and r.hits[2] == np.inf
    with pytest.raises(p.Finished):
        r(np.array([0.0]))
    assert r.evaluations == 8 and r.best_x.tolist() == [2]


def test_a_recorder_ends_at_the_last_target():
    r = p.Recorder(lambda x: x[:, 0], [10, 5], budget=100)
    r(np.array([[12.0], [3.0]]))
    assert r.hits.tolist() == [2, 2]
    with pytest.raises(p.Finished):
        r(np.array([[1.0]]))


def test_expected_running_time_is_by_the_definition():
    hits = np.array([[10, 50], [20, np.inf], [np.inf, np.inf]], dtype=float)
    runs = p.RunLengths(np.array([1.0, 0.1]), hits, np.array([50.0, 100, 100]))
    assert runs.ert.tolist() == [(10 + 20 + 100) / 2, 50 + 100 + 100]
    assert runs.success_rate == pytest.approx([2 / 3, 1 / 3])
    never = p.RunLengths(np.array([1.0]), np.full((2, 1), np.inf), np.array([5.0, 5.0]))
    assert never.ert[0] == np.inf and np.isinf(never.restarted(10)).all()
    assert np.isinf(never.interval()).all()


def test_expected_running_time_is_the_mean_of_restarted_runs():
    rng = np.random.default_rng(0)
    hits = np.where(rng.random(40) < 0.3, rng.integers(10, 90, 40), np.inf)[:, None]
    runs = p.RunLengths(np.array([0.0]), hits, np.full(40, 100.0))
    simulated = runs.restarted(20_000, seed=1)[:, 0]
    assert simulated.mean() == pytest.approx(runs.ert[0], rel=0.03)


def test_the_interval_covers_as_often_as_promised():
    """Geometric waiting: hits uniform with success 1/2, whose true expected running time is known."""
    rng, covered = np.random.default_rng(0), 0
    truth = 50.5 + 100
    for i in range(200):
        hits = np.where(rng.random(30) < 0.5, rng.integers(1, 101, 30), np.inf)[:, None]
        low, high = p.RunLengths(np.array([0.0]), hits, np.full(30, 100.0)).interval(0.9, 300, i)
        covered += bool(low[0] <= truth <= high[0])
    assert 0.8 < covered / 200 < 0.96


def test_ecdf_and_area():
    lengths = [1, 10, 10, np.inf]
    assert p.ecdf(lengths, [0.5, 1, 9, 10, 1e9]).tolist() == [0, 0.25, 0.25, 0.75, 0.75]
    assert p.area(lengths, 1, 100) == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)
    grid = np.geomspace(1, 100, 20_001)
    fine = p.ecdf(lengths, grid).mean()  # the area is the mean height on a logarithmic axis
    assert p.area(lengths, 1, 100) == pytest.approx(fine, abs=1e-3)


SPACE = h.Real(4, -5, 5)
SOLVERS = {
    "cma-es": p.ask_tell(lambda rng, k: h.CMAES(SPACE, rng.uniform(-4, 4, 4), 2.0, seed=rng)),
    "differential": p.ask_tell(lambda rng, k: h.DifferentialEvolution(SPACE, 20, seed=rng)),
    "swarm": p.ask_tell(lambda rng, k: h.ParticleSwarm(SPACE, 20, seed=rng)),
    "l-bfgs": p.descend(lambda rng: rng.uniform(-4, 4, 4)),
}


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_solvers_solve_the_sphere_and_seeds_decide(solver):
    f = bbob.problem(1, 4, 1)
    runs = p.record(solver, f.excess, [10, 1e-2, 1e-6], 6000, range(3))
    assert (runs.success_rate == 1).all()
    assert (np.diff(runs.hits, axis=1) >= 0).all() and (
        runs.hits <= runs.evaluations[:, None]
    ).all()
    again = p.record(solver, f.excess, [10, 1e-2, 1e-6], 6000, range(3))
    assert np.array_equal(runs.hits, again.hits)
    assert len(set(runs.hits[:, -1])) > 1


def test_everyone_beats_random_search_and_random_search_is_uniform():
    f = bbob.problem(2, 4, 1)
    target = [1e2]
    chance = p.record(p.random_search(-5, 5, 4), f.excess, target, 20_000, range(3))
    for solver in SOLVERS.values():
        assert p.record(solver, f.excess, target, 20_000, range(3)).ert[0] < chance.ert[0]


def test_restarts_follow_stagnation_and_solve_what_one_run_cannot():
    f = bbob.problem(21, 2, 1)
    one_valley = p.descend(lambda rng: rng.uniform(-4, 4, 2))
    runs = p.record(one_valley, f.excess, [1e-3], 20_000, range(5))
    assert runs.success_rate[0] == 1
    seen = []
    p.record(
        p.ask_tell(lambda rng, k: seen.append(k) or h.ParticleSwarm(SPACE, 20, seed=rng)),
        lambda x: np.ones(len(x)), [0.5], 2000, [0],
    )  # fmt: skip
    assert seen == list(range(7))  # 16 generations of 20 each


def test_difference_gradients():
    x = np.array([1.0, -3.0, 40.0])
    value, g = p.difference_gradient(sphere, x)
    assert value == sphere(x)
    np.testing.assert_allclose(g, 2 * x, rtol=1e-5)


def test_errors_name_the_way_out():
    with pytest.raises(ValueError, match="targets must fall"):
        p.Recorder(sphere, [1, 2], 10)
    with pytest.raises(ValueError, match="budget must be a whole number"):
        p.Recorder(sphere, [1], 0)
    with pytest.raises(ShapeError, match=r"one number a row; for \(2, 3\) it gave \(2, 3\)"):
        p.Recorder(lambda x: x, [1], 10)(np.zeros((2, 3)))
    with pytest.raises(NonFiniteError, match="NaN at row 1"):
        p.Recorder(lambda x: np.array([0.5, np.nan]), [0.1], 10)(np.zeros((2, 3)))
    with pytest.raises(RuntimeError, match="without an evaluation"):
        p.record(lambda f, rng, k: None, sphere, [1], 10, [0])
    with pytest.raises(ValueError, match="no seeds"):
        p.record(SOLVERS["swarm"], sphere, [1], 10, [])
    with pytest.raises(ValueError, match="patience above 0; got 1e-12 and 0"):
        p.ask_tell(lambda rng, k: None, patience=0)
    with pytest.raises(ShapeError, match=r"hits of shape \(1, 2\)"):
        p.RunLengths(np.array([1.0, 0.1]), np.zeros((1, 3)), np.ones(1))
    with pytest.raises(ValueError, match="confidence must lie between"):
        p.RunLengths(np.ones(1), np.ones((1, 1)), np.ones(1)).interval(95)
    with pytest.raises(ValueError, match="write inf for never"):
        p.ecdf([1, np.nan], [1])
    with pytest.raises(ValueError, match="0 < low < high"):
        p.area([1], 10, 1)
