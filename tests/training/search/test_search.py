"""Searches find what they should, count what they do, and outlive bad objectives and Ctrl-C."""

import math

import numpy as np
import pytest

from lmbook.optim import heuristic as h
from lmbook.training import search as s

BRANIN = next(f for f in s.FUNCTIONS if f.name == "branin")
LINE = s.SearchSpace({"x": s.Float(-2, 2)})


def bowl(p):
    return (p["x"] - 0.7) ** 2


@pytest.mark.parametrize("f", s.FUNCTIONS, ids=lambda f: f.name)
def test_functions_have_the_minimum_they_say(f):
    from scipy.optimize import minimize

    rng, low, high = np.random.default_rng(0), *np.array(f.box, dtype=float).T
    starts = low + (high - low) * rng.random((3000, len(low)))
    best = starts[np.argsort(f.function(starts))[:10]]
    found = min(minimize(f.function, x, bounds=f.box, tol=1e-14).fun for x in best)
    assert found == pytest.approx(f.minimum, abs=2e-5) and found > f.minimum - 1e-8


def test_bayesian_beats_random_at_equal_evaluations():
    """Over paired seeds; Wilcoxon's test, corrected for two functions by Holm's method."""
    from scipy.stats import wilcoxon

    p = []
    for f in (f for f in s.FUNCTIONS if f.name in ("branin", "hartmann-3")):
        regret = {s.BayesianSearch: [], s.RandomSearch: []}
        for method, values in regret.items():
            for seed in range(8):
                result = s.search(method(f.space, seed=seed), f, evaluations=30, progress=False)
                values.append(math.log(result.best.value - f.minimum))
        p.append(wilcoxon(*regret.values(), alternative="less").pvalue)
    assert max(min(p) * 2, max(p)) < 0.05


def test_no_worse_than_optuna_in_a_few_runs():
    """The full comparison is `python -m benchmarks.search`; here 8 pairs from the same first points."""
    optuna = __import__("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ours, theirs = [], []
    for seed in range(8):
        first = s.latin_hypercube(np.random.default_rng(seed), 8, 2)
        method = s.BayesianSearch(BRANIN.space, initial=first, seed=seed)
        ours.append(s.search(method, BRANIN, evaluations=30, progress=False).best.value)
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
        )
        for u in first:
            study.enqueue_trial(BRANIN.space.decode(u))
        study.optimize(
            lambda t: BRANIN(
                {f"x{i}": t.suggest_float(f"x{i}", *b) for i, b in enumerate(BRANIN.box)}
            ),
            n_trials=30,
        )
        theirs.append(study.best_value)
    assert sum(a < b for a, b in zip(ours, theirs)) >= 7


def test_same_seed_same_search_and_ask_tell():
    results = [s.search(s.BayesianSearch(BRANIN.space, seed=3), BRANIN, evaluations=15, progress=False)
               for _ in range(2)]  # fmt: skip
    assert [t.params for t in results[0].trials] == [t.params for t in results[1].trials]
    method = s.BayesianSearch(BRANIN.space, seed=3)
    for trial in results[0].trials:
        (u,) = method.ask()
        assert BRANIN.space.decode(u) == trial.params
        method.tell([trial.value])
    assert method.best_value == results[0].best.value and method.evaluations == 15


def test_whole_numbers_and_names_are_not_tried_twice():
    space = s.SearchSpace({"n": s.Int(1, 4), "act": s.Categorical("abc")})
    worth = {"a": 0, "b": 3, "c": 1}
    method = s.BayesianSearch(space, initial=3, seed=0)
    result = s.search(
        method, lambda p: p["n"] * worth[p["act"]] + p["n"], evaluations=12, progress=False
    )
    seen = [tuple(t.params.values()) for t in result.trials]
    assert len(set(seen[3:])) == 9 and result.best.params == {"n": 1, "act": "a"}
    again = s.search(method, lambda p: 0.0, evaluations=2, progress=False)  # nothing new is left
    assert len(again.trials) == 2


def test_batches_differ_and_search_on():
    method = s.BayesianSearch(BRANIN.space, popsize=4, seed=0)
    result = s.search(method, BRANIN, evaluations=34, progress=False)
    assert len(result.trials) == 32 and result.best.value < 0.5
    points = np.array([list(t.params.values()) for t in result.trials[-4:]])
    assert np.linalg.norm(points[:, None] - points, axis=-1)[~np.eye(4, dtype=bool)].min() > 1e-3


def test_a_flat_objective_does_no_harm():
    result = s.search(s.BayesianSearch(LINE, seed=0), lambda p: 1.0, evaluations=12, progress=False)
    assert len({t.params["x"] for t in result.trials}) == 12


@pytest.mark.parametrize("method", [s.BayesianSearch, s.RandomSearch])
def test_failures_are_recorded_and_the_search_goes_on(method):
    def fragile(p):
        if p["x"] < -1:
            raise MemoryError("too large")
        return math.nan if p["x"] > 1.8 else bowl(p)

    search = method(LINE, seed=1)
    result = s.search(search, fragile, evaluations=40, progress=False)
    assert len(result.trials) == 40 and result.stopped == "evaluations"
    assert result.best.value < (0.01 if method is s.BayesianSearch else 0.1)
    errors = {t.error for t in result.failures}
    assert errors <= {"MemoryError: too large", "the objective gave nan"} and errors
    if method is s.BayesianSearch:  # it learns to stay away
        assert np.mean([bool(t.error) for t in result.trials[-20:]]) < 0.25


def test_only_failures():
    def broken(p):
        raise KeyError("lr")

    result = s.search(s.BayesianSearch(LINE, seed=0), broken, evaluations=9, progress=False)
    assert len(result.failures) == 9
    with pytest.raises(
        s.SearchFailed, match="none of 9 trials gave a number; the last: KeyError: 'lr'"
    ):
        _ = result.best
    with pytest.raises(s.SearchFailed, match="none of 0 trials"):
        _ = s.SearchResult().best
    with pytest.raises(KeyError, match="lr"):
        s.search(s.RandomSearch(LINE, seed=0), broken, evaluations=9, catch=False, progress=False)


def test_interruption_keeps_the_best_and_the_search_can_go_on():
    calls = []

    def slow(p):
        calls.append(p)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return bowl(p)

    method = s.BayesianSearch(LINE, seed=0)
    result = s.search(method, slow, evaluations=20, progress=False)
    assert result.stopped == "interrupted" and len(result.trials) == 7
    assert result.best.value == min(bowl(p) for p in calls[:7])
    more = s.search(method, slow, evaluations=10, progress=False)
    assert len(more.trials) == 10 and more.trials[0].params == calls[7]  # the one that was cut off
    assert method.evaluations == 17


def test_grid_covers_all_and_ends():
    space = s.SearchSpace({"x": s.Float(-2, 2), "n": s.Int(1, 3)})
    for shuffle in (False, True):
        method = s.GridSearch(space, {"x": 5, "n": 3}, shuffle=shuffle, seed=0)
        result = s.search(method, bowl, evaluations=99, progress=False)
        assert result.stopped == "exhausted" and len(result.trials) == len(method) == 15
        assert len({tuple(t.params.values()) for t in result.trials}) == 15
    assert [t.params["x"] for t in result.trials] != sorted(t.params["x"] for t in result.trials)
    with pytest.raises(s.Exhausted, match="all 15 points"):
        method.ask()


def test_latin_hypercube():
    points = s.latin_hypercube(np.random.default_rng(0), 20, 3)
    for column in points.T:
        assert sorted((column * 20).astype(int)) == list(range(20))


@pytest.mark.parametrize(
    ("run", "error", "says"),
    [
        (lambda: s.BayesianSearch(LINE, initial=1), ValueError, "initial must be at least 2, not 1"),
        (lambda: s.BayesianSearch(LINE, initial=[[3.0]]), ValueError, "is no point of SearchSpace"),
        (lambda: s.BayesianSearch(LINE, candidates=3), ValueError, "candidates must be at least 10"),
        (lambda: s.BayesianSearch(LINE, popsize=0), ValueError, "popsize must be a whole number from 1"),
        (
            lambda: s.search(s.RandomSearch(LINE, 5), bowl, evaluations=3),
            ValueError,
            "evaluations=3, but RandomSearch wants 5 at once",
        ),
        (
            lambda: s.search(h.CMAES(h.Real(2), [0, 0], 1.0), bowl, evaluations=99),
            TypeError,
            r"must search a SearchSpace, not Real\(2\)",
        ),
    ],
)  # fmt: skip
def test_bad_input(run, error, says):
    with pytest.raises(error, match=says):
        run()
