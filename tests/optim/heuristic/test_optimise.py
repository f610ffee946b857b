"""The loop: stopping rules, history, constraints, workers, and the best so far whatever happens."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.optim import heuristic as h
from lmbook.optim.heuristic.problems import sphere

BOX = h.Real(2, -5, 5)


def swarm(seed=0):
    return h.ParticleSwarm(BOX, 10, seed=seed)


def slow_sphere(x):  # at the top of the module, so that a process can find it
    time.sleep(0.002)
    return float((x**2).sum())


def test_each_rule_stops_the_run():
    assert h.optimise(swarm(), sphere, evaluations=55).evaluations == 50
    r = h.optimise(swarm(), sphere, generations=7)
    assert (r.stopped, r.generations, r.evaluations) == ("generations", 7, 70)
    r = h.optimise(swarm(), sphere, target=1e-3, evaluations=5000)
    assert r.stopped == "target" and r.value <= 1e-3 and np.isclose(sphere(r.x), r.value)
    assert r.history["best"][-2] > 1e-3
    r = h.optimise(swarm(), lambda x: 1.0, stagnation=5)
    assert (r.stopped, r.generations) == ("stagnation", 6)
    calls: list[int] = []

    def better_every_fourth_time_until_the_twentieth(x):
        calls.append(1)
        return np.full(len(x), -(min(len(calls), 20) // 4))

    r = h.optimise(
        swarm(), better_every_fourth_time_until_the_twentieth, stagnation=5, vectorised=True
    )
    assert (r.stopped, r.generations) == ("stagnation", 25)
    r = h.optimise(swarm(), sphere, seconds=0.05)
    assert r.stopped == "seconds" and r.generations > 1
    r = h.optimise(swarm(), sphere, callback=lambda method: method.generation == 3)
    assert (r.stopped, r.generations) == ("callback", 3)
    with pytest.raises(ValueError, match="nothing would stop the run"):
        h.optimise(swarm(), sphere)


def test_history_has_a_row_a_generation():
    r = h.optimise(swarm(), sphere, generations=12)
    assert {len(column) for column in r.history.values()} == {12}
    assert r.history["evaluations"] == list(range(10, 130, 10))
    best = np.array(r.history["best"])
    assert (np.diff(best) <= 0).all() and (best <= np.array(r.history["mean"])).all()


def test_vectorised_threads_and_processes_agree():
    runs = [
        h.optimise(swarm(), sphere, generations=5, vectorised=True),
        h.optimise(swarm(), sphere, generations=5),
        h.optimise(swarm(), slow_sphere, generations=5, workers=3),
        h.optimise(swarm(), slow_sphere, generations=2, workers=2, pool="process"),
    ]
    assert runs[0].value == runs[1].value
    assert np.isclose(runs[2].value, runs[0].value, rtol=1e-12)
    assert np.isclose(runs[3].history["best"][1], runs[0].history["best"][1], rtol=1e-12)
    with pytest.raises(ValueError, match="pool must be 'thread' or 'process', not 'gpu'"):
        h.optimise(swarm(), sphere, generations=1, workers=2, pool="gpu")


def test_threads_evaluate_side_by_side():
    meet = threading.Barrier(2, timeout=30)

    def wait_for_another(x):
        meet.wait()  # passes only if two points are evaluated at once
        return float((x**2).sum())

    assert h.optimise(swarm(), wait_for_another, generations=1, workers=2).generations == 1


def test_an_interrupt_keeps_the_best_so_far():
    seen = []

    def impatient(x):
        seen.append(sphere(x))
        if len(seen) == 47:
            raise KeyboardInterrupt
        return seen[-1]

    r = h.optimise(swarm(), impatient, evaluations=1000)
    assert (r.stopped, r.evaluations) == ("interrupted", 40)
    assert r.value == min(seen[:40]) and np.isclose(sphere(r.x), r.value)


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened():
    calls = []

    def interrupted_once(x):
        calls.append(1)
        if len(calls) == 47:
            raise KeyboardInterrupt
        return sphere(x)

    method = swarm()
    h.optimise(method, interrupted_once, evaluations=200)
    again = h.optimise(method, interrupted_once, evaluations=200)
    assert again.value == h.optimise(swarm(), sphere, evaluations=200).value
    with pytest.raises(ValueError, match="asks for 10 points at once"):
        h.optimise(swarm(), sphere, evaluations=9)


def test_a_failing_objective_is_named_and_the_best_so_far_kept():
    seen = []

    def fails(x):
        seen.append(sphere(x))
        if len(seen) == 34:
            raise ZeroDivisionError("one over nothing")
        return seen[-1]

    with pytest.raises(
        h.ObjectiveError, match="raised ZeroDivisionError at point 3: one over"
    ) as caught:
        h.optimise(swarm(), fails, evaluations=1000)
    assert caught.value.result.value == min(seen[:30]) and caught.value.result.stopped == "error"
    assert sphere(caught.value.x) == seen[33]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("number", [np.nan, -np.inf])
@pytest.mark.parametrize("vectorised", [False, True])
def test_no_number_is_an_error(number, vectorised):
    calls = []

    def bad(x):
        calls.append(1)
        v = np.asarray(sphere(x))
        return v if len(calls) < (3 if vectorised else 25) else np.where(v >= 0, number, v)

    with pytest.raises(h.ObjectiveError, match=rf"is {number} at point \d; give \+inf") as caught:
        h.optimise(swarm(), bad, evaluations=1000, vectorised=vectorised)
    assert isinstance(caught.value.__cause__, NonFiniteError)
    assert caught.value.result.evaluations == 20 and np.isfinite(caught.value.result.value)


def test_an_objective_of_another_shape_is_an_error():
    with pytest.raises(
        ShapeError, match=r"one number a point; for points \(10, 2\) it gave \(10, 2\)"
    ):
        h.optimise(swarm(), lambda x: x * x, generations=1)


def test_constraints_are_kept_and_infeasible_points_are_ordered():
    def outside(x):  # x0 + x1 >= 2, and x0 <= 0.5
        return [2 - x[0] - x[1], x[0] - 0.5]

    for method, within in (
        (swarm(), 0.02),
        (h.DifferentialEvolution(BOX, 40, seed=0), 0.02),
        (h.CMAES(BOX, [-4, -4], 1, popsize=12, seed=0), 0.02),
        (h.GeneticAlgorithm(BOX, 40, elite=40, seed=0), 0.1),
    ):
        r = h.optimise(method, sphere, constraints=outside, evaluations=4000)
        assert max(outside(r.x)) <= 0, type(method).__name__
        assert abs(r.value - (0.5**2 + 1.5**2)) < within, type(method).__name__
    order = h.feasible_first([5.0, 1.0, 1.0, 9e99], [[0, -3], [1, 0], [2, 1], [0, 0]])
    assert np.argsort(order).tolist() == [0, 3, 1, 2] and np.isfinite(order).all()
    with pytest.raises(NonFiniteError, match="a violation is NaN"):
        h.feasible_first([1.0], [np.nan])
    with pytest.raises(ShapeError, match="2 points, but violations"):
        h.feasible_first([1.0, 2.0], [1.0])


def test_the_bar_shows_only_if_asked_or_live(capsys, monkeypatch):
    monkeypatch.delenv("LMBOOK_LIVE", raising=False)
    h.optimise(swarm(), sphere, evaluations=40, progress=True)
    assert "evaluation" in capsys.readouterr().err
    h.optimise(swarm(), sphere, evaluations=40, progress=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("LMBOOK_LIVE", "0")
    h.optimise(swarm(), sphere, evaluations=40, progress=True)
    assert capsys.readouterr().err == ""
