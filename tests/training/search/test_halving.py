"""Plans are those of the papers and of scikit-learn; budgets are spent as planned."""

import math

import numpy as np
import pytest

from lmbook.training import search as s

SPACE = s.SearchSpace({"lr": s.Float(1e-3, 1, log=True)})


def learning(params, budget, memory):
    """A loss that falls with the budget towards a floor set by the rate."""
    memory.setdefault("seen", []).append(budget)
    return abs(math.log10(params["lr"]) + 1) + 1 / budget


def test_plan_of_hyperband():
    """Li et al. 2018 for R = 81, eta = 3, with the rounding of their algorithm 1."""
    plan = [[(r.count, r.budget) for r in bracket] for bracket in s.hyperband_plan(81, 3)]
    assert plan == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


def test_plan_is_scikit_learns():
    from sklearn.datasets import make_classification
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV
    from sklearn.tree import DecisionTreeClassifier

    x, y = make_classification(810, random_state=0)
    other = HalvingRandomSearchCV(
        DecisionTreeClassifier(), {"min_samples_leaf": range(1, 200)}, factor=3, n_candidates=27,
        min_resources=30, max_resources=810, random_state=0, cv=2,
    ).fit(x, y)  # fmt: skip
    plan = s.rungs(27, 30, 810, 3)
    assert [r.count for r in plan] == other.n_candidates_
    assert [r.budget for r in plan] == other.n_resources_


def test_the_best_get_more_and_only_the_difference_is_paid():
    result = s.successive_halving(SPACE, learning, s.rungs(27, 1, 27), seed=0)
    assert [result.budgets.count(b) for b in (1, 3, 9, 27)] == [27, 9, 3, 1]
    assert result.cost == 27 * 1 + 9 * 2 + 3 * 6 + 1 * 18
    rates = [t.params["lr"] for t in result.trials]
    nearest = sorted(rates[:27], key=lambda r: abs(math.log10(r) + 1))
    assert sorted(rates[27:36]) == sorted(nearest[:9]) and result.best.params["lr"] == nearest[0]


def test_forgetful_objective_pays_in_full():
    def forgetful(params, budget, memory):
        return abs(math.log10(params["lr"]) + 1)

    assert s.successive_halving(SPACE, forgetful, s.rungs(9, 1, 9), seed=0).cost == 9 + 9 + 9


def test_best_is_among_those_that_ran_longest():
    """Early values may lie below late ones; what was trained to the end counts."""

    def rising(params, budget, memory):
        return budget + params["lr"]

    result = s.successive_halving(SPACE, rising, s.rungs(9, 1, 9), seed=0)
    assert result.best is result.trials[-1]


def test_failures_drop_out():
    def fragile(params, budget, memory):
        if params["lr"] > 0.1:
            raise OverflowError("loss is infinite")
        return learning(params, budget, memory)

    result = s.successive_halving(SPACE, fragile, s.rungs(27, 1, 27), seed=0)
    assert all(t.params["lr"] <= 0.1 for t in result.trials[27:]) and result.failures
    assert math.isfinite(result.best.value)


def test_no_survivors_and_interruption():
    def broken(params, budget, memory):
        raise ValueError("no")

    result = s.successive_halving(SPACE, broken, s.rungs(9, 1, 9), seed=0)
    assert len(result.trials) == 9
    with pytest.raises(s.SearchFailed, match="none of 9 trials"):
        _ = result.best
    calls = []

    def slow(params, budget, memory):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return learning(params, budget, memory)

    result = s.hyperband(SPACE, slow, 9, seed=0)
    assert result.stopped == "interrupted" and len(result.trials) == 11
    assert math.isfinite(result.best.value)


def test_hyperband_runs_all_brackets():
    result = s.hyperband(SPACE, learning, 9, 3, seed=0)
    planned = [
        r.budget for bracket in s.hyperband_plan(9, 3) for r in bracket for _ in range(r.count)
    ]
    assert sorted(result.budgets) == sorted(planned)
    assert np.isclose(math.log10(result.best.params["lr"]), -1, atol=0.4)


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda: s.rungs(9, 0, 9), "1 <= least <= most"),
        (lambda: s.rungs(9, 10, 9), "least=10, most=9"),
        (lambda: s.rungs(9, 1, 9, eta=1), "eta must be a whole number from 2, not 1"),
        (lambda: s.successive_halving(SPACE, learning, []), "the plan is empty"),
    ],
)
def test_bad_plans(run, says):
    with pytest.raises(ValueError, match=says):
        run()
