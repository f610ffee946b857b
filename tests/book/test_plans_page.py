"""The page of published runs is what the planner computes, and its misses are computed from its figures."""

from __future__ import annotations

import re
from pathlib import Path

from book.tools import plan_checks, plans

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_in_step() -> None:
    assert plans.page() == (ROOT / "book" / "plans.md").read_text(encoding="utf-8"), (
        "run `python -m book.tools.plans`"
    )


def test_all_checks_and_regions_are_there_but_what_a_chosen_cost_decides() -> None:
    wanted = {str(n) for n in range(1, 17) if n != 14} | {""}
    assert {one.number for one in plan_checks.checks()} == wanted
    assert f"{100 * plan_checks.kept_work():.1f} % if a checkpoint costs 30 s" in plans.page()


def test_what_is_assumed_decides_how_many_runs_are_met() -> None:
    found = {share: plans.hits(share) for share in (0.45, 0.6, 0.7)}
    assert found[0.6] > 2 * max(found[0.45], found[0.7])
    row = next(line for line in plans.page().splitlines() if line.startswith("| Runs of 17"))
    assert row.split(" | ")[1] == str(found[0.45])
    chunks = [
        line
        for line in plans.page().splitlines()
        if line.startswith("| Llama 3 405B, 16,384 GPUs, 8K")
    ]
    assert any("\N{MINUS SIGN}37.0 % | \N{MINUS SIGN}17.8 %" in line for line in chunks)


def test_misses_follow_from_the_figures() -> None:
    one = plan_checks.Check("1", "x", [(100, 98.5), (10, 10.2)], "{:.1f}", "")
    assert one.cells() == ["x", "100.0 / 10.0", "98.5 / 10.2", "−1.5 to +2.0 %", ""]
    assert plan_checks.Check("1", "x", [(7, 7)], "{:d}", "").miss() == "0.0 %"
    assert plan_checks.Check("1", "x", [(1000, 999.99)], "{}", "").miss() == "0.0 %"


def test_a_check_that_misses_by_more_than_rounding_says_why() -> None:
    for one in plan_checks.checks():
        if any(abs(model / reported - 1) > 0.005 for reported, model in one.pairs):
            assert one.why, one.what


def test_a_stale_page_is_named(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(plans, "FILE", tmp_path / "plans.md")
    assert plans.main(["--check"]) == 1
    assert "book/plans.md is out of step" in capsys.readouterr().out
    assert plans.main([]) == 0 == plans.main(["--check"])
    (tmp_path / "plans.md").write_text("old", encoding="utf-8")
    assert plans.main(["--check"]) == 1


def test_sources_are_in_the_bibliography() -> None:
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"\{cite\}`([^`]+)`", plans.page()))
    assert len(keys) > 8 and all(f"{{{one}," in bibliography for one in keys)
