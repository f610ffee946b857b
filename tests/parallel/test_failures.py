"""How often to save: the closed form against ten million failures, Daly's figures, Llama 3's table."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.parallel.planner import daly, goodput, young

LLAMA = 54 * 86_400 / 419
"""Seconds between unexpected interruptions of Llama 3's training."""


@pytest.mark.parametrize(
    "case",
    [(800.0, 30.0, 300.0, LLAMA), (500.0, 120.0, 600.0, LLAMA), (300.0, 20.0, 60.0, 2_000.0)],
)
def test_goodput_is_that_of_ten_million_failures(case) -> None:
    t, save, restart, mtbf = case
    gaps = np.random.default_rng(1).exponential(mtbf, 10_000_000)
    pieces = np.floor(np.maximum(gaps - restart, 0) / (t + save))
    assert t * pieces.sum() / gaps.sum() == pytest.approx(goodput(*case), abs=1e-4)


@pytest.mark.parametrize(("hours", "minutes"), [(24, 117), (6, 57), (0.25, 9.1)])
def test_the_best_interval_is_daly_s(hours, minutes) -> None:
    """Daly 2006, figures 3 to 5: 5 minutes to save; his is a series, ours is solved."""
    assert daly(5.0, 60 * hours) == pytest.approx(minutes, rel=0.01)
    assert daly(5.0, 60 * hours) < young(5.0, 60 * hours)


@pytest.mark.parametrize(("save", "mtbf"), [(30.0, LLAMA), (300.0, 900.0), (1.0, 1e6)])
def test_no_interval_is_better_than_daly_s(save, mtbf) -> None:
    best = daly(save, mtbf)
    top = goodput(best, save, 60.0, mtbf)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert goodput(best * factor, save, 60.0, mtbf) < top
    if mtbf / save > 1e5:  # failures are rare: Young's rule, and its loss
        assert best == pytest.approx(young(save, mtbf), rel=0.002)
        assert 1 - goodput(best, save, 0.0, mtbf) == pytest.approx(
            np.sqrt(2 * save / mtbf), rel=0.01
        )


def test_llama_3_s_table_5() -> None:
    """18 causes; the counts sum to 419, and one printed share is not its count's."""
    counts = [148, 72, 54, 35, 32, 19, 17, 7, 7, 6, 6, 3, 3, 2, 2, 2, 2, 2]
    shares = [30.1, 17.2, 12.9, 8.4, 7.6, 4.5, 4.1, 1.7, 1.7, 1.4, 1.4] + [0.7] * 2 + [0.5] * 5
    assert sum(counts) == 419 and len(counts) == len(shares)
    off = [i for i, (n, s) in enumerate(zip(counts, shares)) if abs(100 * n / 419 - s) > 0.06]
    assert off == [0] and round(100 * 148 / 419, 1) == 35.3


def test_a_hundred_thousand_accelerators_of_that_reliability() -> None:
    large = LLAMA * 16_384 / 100_000
    assert large / 60 == pytest.approx(30.4, abs=0.1)
    kept = {
        (save, restart): goodput(daly(save, large), save, restart, large)
        for save, restart in ((30.0, 300.0), (5.0, 60.0), (3.0, 60.0))
    }
    assert kept[30.0, 300.0] == pytest.approx(0.704, abs=0.001)
    assert kept[5.0, 60.0] < 0.9 < kept[3.0, 60.0]
