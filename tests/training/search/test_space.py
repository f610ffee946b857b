"""Points go to parameters and back; every value has its share; bad spaces are refused by name."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbook.optim import heuristic as h
from lmbook.training import search as s

SPACE = s.SearchSpace(
    {
        "lr": s.Float(1e-4, 1, log=True),
        "momentum": s.Float(0, 0.99),
        "depth": s.Int(1, 6),
        "width": s.Int(8, 1024, log=True),
        "act": s.Categorical(["relu", "tanh", None]),
    }
)


@given(st.lists(st.floats(0, 1), min_size=SPACE.size, max_size=SPACE.size))
def test_there_and_back(u):
    params = SPACE.decode(np.array(u))
    assert (
        1e-4 <= params["lr"] <= 1
        and params["depth"] in range(1, 7)
        and 8 <= params["width"] <= 1024
    )
    again = SPACE.decode(SPACE.encode(params))
    assert again.pop("lr") == pytest.approx(params.pop("lr"))
    assert again.pop("momentum") == pytest.approx(params.pop("momentum"), abs=1e-12)
    assert again == params
    snapped = SPACE.snap([u])
    assert np.allclose(SPACE.snap(snapped), snapped)


def test_uniform_on_the_scale_of_each():
    points = [SPACE.decode(u) for u in SPACE.sample(np.random.default_rng(0), 6000)]
    assert np.mean([p["lr"] < 1e-2 for p in points]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([p["momentum"] < 0.495 for p in points]) == pytest.approx(0.5, abs=0.03)
    depths = np.bincount([p["depth"] for p in points])
    assert len(depths) == 7 and np.allclose(depths[1:] / 6000, 1 / 6, atol=0.02)
    below = (math.log(90.5) - math.log(7.5)) / (math.log(1024.5) - math.log(7.5))
    assert np.mean([p["width"] <= 90 for p in points]) == pytest.approx(below, abs=0.03)
    assert np.mean([p["act"] is None for p in points]) == pytest.approx(1 / 3, abs=0.03)


def test_grid():
    assert s.Float(1e-4, 1, log=True).grid(5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert s.Int(1, 3).grid(9) == [1, 2, 3] and s.Int(1, 100, log=True).grid(3) == [1, 10, 100]
    assert s.Float(0, 4).grid(1) == [2] and s.Int(1, 5).grid(1) == [3]
    counts = {"lr": 2, "momentum": 1, "depth": 3, "width": 1}
    assert len(SPACE.grid(counts)) == 2 * 1 * 3 * 1 * 3
    with pytest.raises(ValueError, match=r"no dimension \['rate'\]"):
        SPACE.grid({"rate": 3})
    for dimension in (s.Float(0, 1), s.Int(0, 9)):
        with pytest.raises(ValueError, match="at least 1 value, not 0"):
            dimension.grid(0)


def test_any_heuristic_can_search_it():
    def objective(p):
        return (math.log10(p["lr"]) + 2) ** 2 + abs(p["depth"] - 4) + (p["act"] != "tanh")

    found = s.search(
        h.DifferentialEvolution(SPACE, 20, seed=0), objective, evaluations=1500, progress=False
    )
    assert found.best.value < 0.1 and found.best.params["depth"] == 4


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: s.SearchSpace({}), ValueError, "empty; name at least one dimension"),
        (lambda: s.SearchSpace({"a": 3}), TypeError, "'a' is 3; want Float, Int or Categorical"),
        (lambda: s.Float(2, 1), ValueError, "low is 2 and high is 1.*are the two swapped"),
        (lambda: s.Int(5, 2), ValueError, "are the two swapped"),
        (lambda: s.Float(0, math.inf), ValueError, "bounds must be finite"),
        (lambda: s.Float(0, 1, log=True), ValueError, "needs low above 0, not 0"),
        (lambda: s.Int(0, 1.5), ValueError, "whole numbers, not 0 and 1.5"),
        (lambda: s.Int(3, 3), ValueError, "only 3 is left"),
        (lambda: s.Categorical(["a"]), ValueError, "at least 2 options"),
        (lambda: SPACE.encode({"lr": 1}), ValueError, "want a value for each of"),
        (lambda: s.Float(0, 1).encode(2), ValueError, r"2 is not in Float\(0, 1\)"),
        (lambda: s.Categorical("ab").encode("c"), ValueError, "'c' is not in Categorical"),
    ],
)  # fmt: skip
def test_bad_spaces(make, error, says):
    with pytest.raises(error, match=says):
        make()
