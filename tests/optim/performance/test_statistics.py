"""Rank tests and corrections: equal to SciPy's where it has them, to published tables elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from lmbook.backend import ShapeError
from lmbook.optim import performance as p
from lmbook.optim.performance import distributions as d


def samples(seed, n, ties=False, shift=0.4):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(n), rng.standard_normal(n) + shift
    return (np.round(x), np.round(y)) if ties else (x, y)


def test_distributions_are_scipys():
    for z in (-3, 0, 0.7, 6):
        assert d.normal_sf(z) == pytest.approx(stats.norm.sf(z), rel=1e-12)
    for df, x in itertools.product((1, 2, 3, 6, 9, 24), (0.1, 1, 7, 40)):
        assert d.chi2_sf(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-10)
    assert d.chi2_sf(0, 3) == 1
    for k, q in itertools.product((2, 3, 6, 10), (0.5, 2, 3.5, 5)):
        expected = stats.studentized_range.sf(q, k, np.inf)
        assert d.studentized_range_sf(q, k) == pytest.approx(expected, abs=1e-9)


def test_ranks_share_ties_and_take_infinity():
    assert p.rankdata([3, 1, 3, np.inf, np.inf, 2]).tolist() == [3.5, 1, 3.5, 5.5, 5.5, 2]
    x = samples(0, 40, ties=True)[0]
    assert np.array_equal(p.rankdata(x), stats.rankdata(x))


@pytest.mark.parametrize("seed", range(4))
def test_mann_whitney_is_scipys(seed):
    for n, m, ties in (
        (5, 7, False),
        (8, 30, False),
        (15, 15, False),
        (12, 9, True),
        (40, 25, True),
    ):
        x, y = samples(seed, n, ties)[0], samples(seed + 50, m, ties)[1]
        ours, theirs = p.mannwhitneyu(x, y), stats.mannwhitneyu(x, y)
        assert ours.statistic == theirs.statistic
        assert ours.pvalue == pytest.approx(theirs.pvalue, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_is_scipys(seed):
    for n in (6, 20, 50):
        x, y = samples(seed, n)
        theirs = stats.wilcoxon(x, y, method="exact")
        np.testing.assert_allclose(p.wilcoxon(x, y), (theirs.statistic, theirs.pvalue), rtol=1e-10)
    for n, ties in ((60, False), (90, True)):
        x, y = samples(seed, n, ties)
        theirs = stats.wilcoxon(x, y, method="asymptotic", zero_method="wilcox")
        np.testing.assert_allclose(p.wilcoxon(x, y), (theirs.statistic, theirs.pvalue), rtol=1e-10)


def test_wilcoxon_with_ties_counts_all_signs():
    x = np.array([1.0, 2, 2, 4, 5, 5, 7, 7])
    y = np.array([2.0, 1, 4, 4, 3, 9, 5, 5])
    diff = (x - y)[x != y]
    ranks = stats.rankdata(np.abs(diff))
    sums = [ranks[np.array(s)].sum() for s in itertools.product([False, True], repeat=len(diff))]
    smaller = min(ranks[diff > 0].sum(), ranks[diff < 0].sum())
    expected = min(1, 2 * np.mean([s <= smaller for s in sums]))
    assert p.wilcoxon(x, y) == (smaller, pytest.approx(expected, rel=1e-12))


def test_sign_test_is_the_binomial():
    for seed in range(5):
        x, y = samples(seed, 25, ties=True)
        wins, n = int((x > y).sum()), int((x != y).sum())
        expected = stats.binomtest(wins, n).pvalue
        assert p.sign_test(x, y) == (wins, pytest.approx(expected, rel=1e-12))


def test_runs_that_never_arrive_lose_to_those_that_do():
    never = np.full(6, np.inf)
    assert p.mannwhitneyu(never, np.arange(6)).statistic == 36
    assert p.mannwhitneyu(never, never).pvalue == 1
    assert p.wilcoxon(never, never) == (0, 1) and p.sign_test(never, never).pvalue == 1
    assert p.wilcoxon(never, np.arange(6)).pvalue == pytest.approx(2 / 2**6)


def test_friedman_is_scipys():
    for seed, ties in itertools.product(range(3), (False, True)):
        table = np.random.default_rng(seed).standard_normal((12, 5)) + 0.3 * np.arange(5)
        table = np.round(table) if ties else table
        ours, theirs = p.friedmanchisquare(table), stats.friedmanchisquare(*table.T)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    assert p.friedmanchisquare(np.ones((4, 3))) == (0, 1)
    assert p.average_ranks([[1, 2, 3], [1, 3, 2]]).tolist() == [1, 2.5, 2.5]


def test_critical_differences_are_demsars():
    """Demsar 2006, table 5(a): q for alpha 0.05 and 0.10; the last of the three digits is cut in places."""
    for k, five, ten in (
        (2, 1.960, 1.645),
        (3, 2.343, 2.052),
        (5, 2.728, 2.459),
        (10, 3.164, 2.920),
    ):
        scale = np.sqrt(k * (k + 1) / (6 * 14))
        assert p.critical_difference(k, 14) / scale == pytest.approx(five, abs=1e-3)
        assert p.critical_difference(k, 14, 0.10) / scale == pytest.approx(ten, abs=1e-3)


def test_corrections():
    raw = np.array([0.01, 0.04, 0.03, 0.005, 0.8])
    np.testing.assert_allclose(p.holm(raw), [0.04, 0.09, 0.09, 0.025, 0.8])
    for seed in range(3):
        raw = np.random.default_rng(seed).random(20) ** 3
        np.testing.assert_allclose(p.benjamini_hochberg(raw), stats.false_discovery_control(raw))
        m = len(raw)  # Holm by its definition: reject while p_(i) <= alpha / (m - i + 1)
        for alpha in (0.01, 0.05, 0.3):
            ordered = np.sort(raw)
            passed = ordered <= alpha / (m - np.arange(m))
            count = m if passed.all() else int(np.argmin(passed))
            assert (p.holm(raw) <= alpha).sum() == count


def test_no_difference_is_called_one_as_often_as_promised():
    rng = np.random.default_rng(1)
    alarms = [p.mannwhitneyu(*rng.standard_normal((2, 15))).pvalue < 0.05 for _ in range(2000)]
    assert 0.03 < np.mean(alarms) < 0.05


def test_errors_name_the_way_out():
    with pytest.raises(ShapeError, match="mannwhitneyu: needs two samples"):
        p.mannwhitneyu([], [1.0])
    with pytest.raises(ShapeError, match="wilcoxon: needs pairs"):
        p.wilcoxon([1, 2], [1, 2, 3])
    with pytest.raises(ShapeError, match="two columns or more"):
        p.average_ranks([1, 2, 3])
    with pytest.raises(ValueError, match="holm: needs one row of probabilities"):
        p.holm([0.1, 1.2])
    with pytest.raises(ValueError, match="without NaN"):
        p.rankdata([1, np.nan])
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1, not 5"):
        p.critical_difference(4, 10, 5)
    with pytest.raises(ValueError, match="at least one problem"):
        p.critical_difference(4, 0)
    with pytest.raises(ValueError, match="at least 2 numbers"):
        d.studentized_range_sf(1.0, 1)
    with pytest.raises(ValueError, match="degrees of freedom"):
        d.chi2_sf(1.0, 0)
