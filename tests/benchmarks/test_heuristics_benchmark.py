"""The benchmark of optimisers: its rows, its verdicts, and a small comparison with the libraries."""

import csv
import sys

import numpy as np
import pytest

from benchmarks import heuristics, optimisers


def row(algorithm, hits, function=1, instance=1, dimension=2):
    return {"dimension": dimension, "function": function, "instance": instance,
            "algorithm": algorithm, "evaluations": 2000, "hits": hits}  # fmt: skip


def test_areas_are_those_of_the_hits():
    rows = [row("CMA-ES", "1 2000 -"), row("CMA-ES", "2000 - -", instance=2), row("pycma", "1 1 1")]
    assert heuristics.areas(rows, 2, "CMA-ES") == {1: pytest.approx(1 / 6)}
    assert heuristics.areas(rows, 2, "pycma") == {1: 1}
    assert heuristics.areas(rows, 5, "pycma") == {}


def test_worse_is_said_where_it_is_worse_and_not_elsewhere():
    fast, slow = "10 20 30", "100 400 -"
    numbers = range(1, 11)
    rows = [row("CMA-ES", slow, i) for i in numbers] + [row("pycma", fast, i) for i in numbers]
    assert [r["verdict"] for r in heuristics.compare(rows)] == ["worse"]
    rows = [row("CMA-ES", fast, i) for i in numbers] + [row("pycma", slow, i) for i in numbers]
    (verdict,) = heuristics.compare(rows)
    assert verdict["verdict"] == "better" and verdict["low"] > 0 and verdict["holm"] < 0.05
    mixed = [row("CMA-ES", (fast, slow)[i % 2], i) for i in numbers]
    mixed += [row("pycma", (slow, fast)[i % 2], i) for i in numbers]
    (verdict,) = heuristics.compare(mixed)
    assert verdict["verdict"] == "no difference shown" and verdict["low"] < 0 < verdict["high"]


def test_new_runs_replace_old_ones_and_are_read_as_written(tmp_path, monkeypatch):
    monkeypatch.setattr(heuristics, "FACTS", tmp_path)
    old = [row("pycma", "1 - -"), row("random", "5 - -")]
    heuristics.save("runs.csv", heuristics.merge(heuristics.load("runs.csv"), old))
    heuristics.save(
        "runs.csv", heuristics.merge(heuristics.load("runs.csv"), [row("pycma", "2 - -")])
    )
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert [r["hits"] for r in csv.DictReader(file)] == ["2 - -", "5 - -"]


def test_every_method_of_ours_makes_progress_and_seeds_decide(monkeypatch):
    monkeypatch.setitem(heuristics.BUDGETS, 3, 600)
    ours = [name for name in optimisers.ALGORITHMS if "pymoo" not in name]
    rows = heuristics.runs_of(3, ours, (1,), 1)
    assert [r["algorithm"] for r in rows] == ours
    assert rows == heuristics.runs_of(3, ours, (1,), 1)
    for r in rows:
        assert r["hits"].split()[0] != "-", r  # within 10 of the sphere's minimum
        assert r["evaluations"] <= 600


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pymoo"):
        optimisers.ALGORITHMS["pymoo swarm"](2, 100)


@pytest.mark.slow
@pytest.mark.parametrize("ours", ["CMA-ES", "differential", "annealing", "L-BFGS"])
def test_ours_are_not_shown_to_be_worse_than_the_libraries(ours, monkeypatch):
    """Ten functions, two instances, 1500 evaluations in 4 dimensions."""
    monkeypatch.setitem(heuristics.BUDGETS, 4, 1500)
    rows = heuristics.runs_of(4, (ours, optimisers.PAIRS[ours]), range(2, 22, 2), 2)
    (verdict,) = heuristics.compare(rows)
    assert verdict["functions"] == 10 and verdict["verdict"] != "worse", verdict


@pytest.mark.slow
def test_speed_has_a_row_a_pair(monkeypatch):
    monkeypatch.setattr(heuristics, "PAIRS", {"CMA-ES": "pycma", "L-BFGS": "scipy L-BFGS-B"})
    rows = heuristics.speed(3, 300, 1)
    assert [r["library"] for r in rows] == ["pycma", "scipy L-BFGS-B"]
    assert all(np.isclose(r["ratio"], r["ours_us"] / r["library_us"]) for r in rows)
