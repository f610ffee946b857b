"""The comparison of searches: p-values corrected, regrets in pairs, a verdict that can go either way."""

import csv
import sys

import numpy as np
import pytest

from benchmarks import search as b
from lmbook.training import search as s


def test_holm_by_hand():
    """Three tests: 0.01 x 3, 0.02 x 2, 0.04 x 1; never falling, at most 1."""
    assert b.holm(np.array([0.04, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])
    assert b.holm(np.array([0.6, 0.9])) == pytest.approx([1, 1])


def table(factor):
    ours = np.geomspace(1e-3, 1e-1, 12)
    return {
        "bowl": {"ours": ours, "peer": ours * factor},
        "flat": {"ours": ours * 0, "peer": ours * 0},
    }


@pytest.mark.parametrize(
    ("factor", "verdict"), [(10, "better"), (0.1, "worse"), (1, "no difference shown")]
)
def test_verdicts(factor, verdict):
    rows = b.compare(table(factor))
    assert [row["verdict"] for row in rows] == [verdict, "no difference shown"]
    assert rows[0]["pairs"] == 12 and rows[0]["won"] == (12 if factor == 10 else 0)


def test_pairs_share_their_first_points_and_all_evaluations_count():
    f = next(f for f in s.FUNCTIONS if f.name == "branin")
    first = s.latin_hypercube(np.random.default_rng(0), b.FIRST, 2)
    head = [f.space.decode(u) for u in first]
    for run in (b.ours, b.random, b.optuna_tpe, b.optuna_gp):
        seen = []

        def objective(params, seen=seen):
            seen.append(params)
            return f(params)

        value = run(f.space, first, objective, 12, 0)
        assert len(seen) == 12 and value == pytest.approx(min(f(p) for p in seen)), run.__name__
        for params, wanted in zip(seen, head):
            assert params == pytest.approx(wanted), run.__name__


def test_program_writes_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search", "--seeds", "2", "--evaluations", "11", "--peers", "random",
                                      "--csv", str(tmp_path / "table.csv")])  # fmt: skip
    monkeypatch.setattr(
        b, "svr", lambda: ("line", s.SearchSpace({"x": s.Float(0, 1)}), lambda p: p["x"], np.nan)
    )
    assert b.main() == 0
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [row["function"] for row in rows] == [*(f.name for f in s.FUNCTIONS), "line"]
    assert "branin" in capsys.readouterr().out
