"""Intervals cover what they promise, counted on simulated samples whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from lmbook.training import metrics as m
from lmbook.training.metrics import interval

REPEATS = 400  # the share's own deviation is then 1.1 %


def coverage(
    draw: Callable[[np.random.Generator], m.Interval], truth: float, repeats: int = REPEATS
) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([truth in draw(rng) for _ in range(repeats)]))


@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("n", [30, 200])
def test_wilson_covers(p: float, n: int) -> None:
    """By exact sums over the binomial distribution, not by drawing."""
    k = np.arange(n + 1)
    inside = np.array([p in m.wilson_interval(int(i), n) for i in k])
    exact = stats.binom.pmf(k, n, p)[inside].sum()
    assert 0.92 < exact < 0.985
    half = 1.96 * np.sqrt(k / n * (1 - k / n) / n)
    wald = stats.binom.pmf(k, n, p)[np.abs(k / n - p) <= half].sum()
    if p == 0.98:
        assert wald < exact - 0.02  # the plain interval breaks down near 1


def test_wilson_equals_scipy_and_keeps_its_ends() -> None:
    for k, n, level in [(0, 10, 0.95), (10, 10, 0.95), (3, 10, 0.9), (731, 750, 0.99)]:
        want = stats.binomtest(k, n).proportion_ci(level, method="wilson")
        got = m.wilson_interval(k, n, level)
        assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-12)
    assert m.wilson_interval(0, 10).low == 0 and m.wilson_interval(10, 10).high == 1


@pytest.mark.parametrize("freedom", [4, 10, 20, 100, 5000])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_student_s_t(freedom: int, level: float) -> None:
    want = stats.t.ppf((1 + level) / 2, freedom)
    rel = 2e-2 if freedom < 20 else 1e-4
    assert interval.student(level, freedom) == pytest.approx(want, rel=rel)


def test_means_cover() -> None:
    share = coverage(lambda g: m.mean_interval(g.exponential(size=60)), 1.0, 2000)
    assert 0.91 < share < 0.97


def clustered(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Forty documents of 5 to 15 tokens; tokens of one document are alike."""
    size = g.integers(5, 16, 40)
    document = np.repeat(np.arange(40), size)
    return 2 + g.normal(size=40)[document] + 0.5 * g.normal(size=len(document)), document


def test_tokens_of_a_document_are_not_independent() -> None:
    def plain(g: np.random.Generator) -> m.Interval:
        return m.mean_interval(clustered(g)[0])

    def grouped(g: np.random.Generator) -> m.Interval:
        x, document = clustered(g)
        return m.mean_interval(x, groups=document)

    assert coverage(plain, 2.0) < 0.65
    assert 0.91 < coverage(grouped, 2.0) < 0.98


def test_perplexity_and_bits_per_byte_cover() -> None:
    def nats(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, document = clustered(g)
        return np.abs(x), document

    x, _ = nats(np.random.default_rng(99))
    rng, total, number = np.random.default_rng(7), 0.0, 0
    for _ in range(3000):
        x, _ = nats(rng)
        total, number = total + x.sum(), number + len(x)
    truth = total / number

    def ppl(g: np.random.Generator) -> m.Interval:
        x, document = nats(g)
        return m.perplexity_interval(x, groups=document)

    def bpb(g: np.random.Generator) -> m.Interval:
        x, document = nats(g)
        return m.bits_per_byte_interval(np.bincount(document, x), 4 * np.bincount(document))

    assert 0.91 < coverage(ppl, float(np.exp(truth))) < 0.98
    assert 0.91 < coverage(bpb, float(truth / np.log(2) / 4)) < 0.98


def binormal(
    g: np.random.Generator, positives: int, negatives: int, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    true = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
    return true, g.normal(size=len(true)) + gap * true


@pytest.mark.parametrize("method", ["delong", "hanley-mcneil"])
@pytest.mark.parametrize(("gap", "positives"), [(0.0, 40), (1.0, 40), (2.5, 30)])
def test_auc_covers(method: str, gap: float, positives: int) -> None:
    truth = float(stats.norm.cdf(gap / np.sqrt(2)))
    share = coverage(
        lambda g: m.roc_auc_interval(*binormal(g, positives, 80, gap), method=method), truth, 1000
    )
    # Hanley's and McNeil's exponential scores spread wider than these near 1: it is careful there
    assert 0.925 < share < (0.985 if method == "delong" else 0.997)


def test_auc_of_tied_scores_covers() -> None:
    def draw(g: np.random.Generator) -> m.Interval:
        true = np.repeat([1, 0], [40, 60])
        return m.roc_auc_interval(true, g.binomial(4, np.where(true, 0.6, 0.4)))

    k = np.arange(5)
    p, q = stats.binom.pmf(k, 4, 0.6), stats.binom.pmf(k, 4, 0.4)
    joint = np.outer(p, q)
    truth = float(np.tril(joint, -1).sum() + np.trace(joint) / 2)
    assert 0.925 < coverage(draw, truth, 1000) < 0.98


def test_delong_s_variance_by_its_definition() -> None:
    rng = np.random.default_rng(3)
    true, score = binormal(rng, 7, 9, 1.0)
    score = np.round(score, 0)
    above = score[true == 1][:, None] - score[true == 0][None]
    psi = (above > 0) + 0.5 * (above == 0)
    area = psi.mean()
    variance = psi.mean(1).var(ddof=1) / 7 + psi.mean(0).var(ddof=1) / 9
    got = m.roc_auc_interval(true, score)
    logit = lambda a: np.log(a / (1 - a))  # noqa: E731
    half = 1.959964 * np.sqrt(variance) / (area * (1 - area))
    assert logit(got.high) - logit(area) == pytest.approx(half, rel=1e-6)
    assert logit(area) - logit(got.low) == pytest.approx(half, rel=1e-6)


def test_perfect_ranking_has_a_lower_end_below_1() -> None:
    true, score = np.repeat([0, 1], [50, 10]), np.arange(60.0)
    value, low, high, _ = m.roc_auc_interval(true, score)
    assert value == high == 1 and 0.6 < low < 0.8
    turned = m.roc_auc_interval(true, -score)
    assert turned.value == turned.low == 0 and turned.high == pytest.approx(1 - low)


def test_two_scores_of_the_same_examples() -> None:
    """The paired interval covers, and is far narrower than two unpaired ones."""

    def pair(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        true, shared = binormal(g, 60, 60, 1.2)
        return true, shared + 0.2 * g.normal(size=120), shared + 0.6 * g.normal(size=120)

    truth = stats.norm.cdf(1.2 / np.sqrt(2 * 1.04)) - stats.norm.cdf(1.2 / np.sqrt(2 * 1.36))
    share = coverage(lambda g: m.roc_auc_difference(*pair(g)), float(truth), 1000)
    assert 0.92 < share < 0.975
    true, a, b = pair(np.random.default_rng(1))
    paired, alone = m.roc_auc_difference(true, a, b), m.roc_auc_interval(true, a)
    assert paired.high - paired.low < 0.8 * (alone.high - alone.low)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_bootstrap_covers(method: str) -> None:
    """The standard deviation of skewed numbers: hard for the percentiles, better with the correction."""

    def draw(g: np.random.Generator) -> m.Interval:
        return m.bootstrap_interval(
            np.median, g.exponential(size=50), n_resamples=200, method=method
        )

    assert 0.91 < coverage(draw, float(np.log(2)), 300) < 0.985


def test_bca_equals_scipy_s_up_to_chance() -> None:
    x = np.random.default_rng(5).exponential(size=40)
    got = m.bootstrap_interval(np.std, x, n_resamples=6000, method="bca")
    want = stats.bootstrap(
        (x,), np.std, n_resamples=6000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    plain = m.bootstrap_interval(np.std, x, n_resamples=6000)
    assert got.low == pytest.approx(want.low, rel=0.03)
    assert got.high == pytest.approx(want.high, rel=0.03)
    assert got.high - plain.high > 3 * abs(got.high - want.high)  # the correction is no chance


def test_groups_are_drawn_whole_and_strata_keep_their_numbers() -> None:
    x, document = clustered(np.random.default_rng(0))
    narrow = m.bootstrap_interval(np.mean, x)
    wide = m.bootstrap_interval(np.mean, x, groups=document)
    exact = m.mean_interval(x, groups=document)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.high - wide.low == pytest.approx(exact.high - exact.low, rel=0.1)
    kind = np.repeat([0, 1], [90, 10])
    same = m.bootstrap_interval(np.mean, kind, stratify=kind)
    assert same.low == same.high == 0.1


def test_the_bootstrap_repeats_with_its_seed() -> None:
    x = np.random.default_rng(0).normal(size=30)
    one, same, other = (m.bootstrap_interval(np.mean, x, seed=s) for s in (1, 1, 2))
    assert one == same != other


@pytest.mark.slow
def test_f1_covers() -> None:
    def sample(g: np.random.Generator, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
        true = g.choice(3, n, p=[0.6, 0.3, 0.1])
        return true, np.where(g.random(n) < 0.75, true, g.integers(0, 3, n))

    big = sample(np.random.default_rng(9), 2_000_000)
    for average in ("macro", "micro"):
        truth = m.f1_score(*big, average=average)
        share = coverage(
            lambda g, a=average: m.f1_interval(*sample(g), average=a, n_resamples=200), truth, 200
        )
        assert 0.9 < share < 0.985, average
    truth = m.f1_score(big[0] == 2, big[1] == 2)

    def rare(g: np.random.Generator) -> m.Interval:
        true, pred = sample(g)
        return m.f1_interval((true == 2).astype(int), (pred == 2).astype(int), n_resamples=200)

    assert 0.89 < coverage(rare, truth, 200) < 0.985


@pytest.mark.slow
def test_average_precision_covers() -> None:
    def sample(g: np.random.Generator, n: int = 1) -> tuple[np.ndarray, np.ndarray]:
        return binormal(g, 60 * n, 180 * n, 1.5)

    truth = m.average_precision_score(*sample(np.random.default_rng(1), 3000))
    share = coverage(
        lambda g: m.average_precision_interval(*sample(g), n_resamples=200), truth, 150
    )
    assert 0.89 < share < 0.99


def events(g: np.random.Generator, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident forecasts: what happens with 30 % is forecast with 12 %."""
    p = g.uniform(0.05, 0.95, n)
    odds = (p / (1 - p)) ** 2.3
    return (g.random(n) < p).astype(int), odds / (1 + odds)


def test_proper_scores_and_calibration_error_cover() -> None:
    big = events(np.random.default_rng(4), 1_000_000)
    for score, draw in [
        (m.log_loss, lambda g: m.log_loss_interval(*events(g))),
        (m.brier_score_loss, lambda g: m.brier_score_interval(*events(g))),
    ]:
        assert 0.92 < coverage(draw, score(*big)) < 0.98

    def ece(g: np.random.Generator) -> m.Interval:
        return m.expected_calibration_error_interval(*events(g), n_bins=10, n_resamples=200)

    assert 0.9 < coverage(ece, m.expected_calibration_error(*big, n_bins=10), 300) < 0.99


def test_perfect_probabilities_have_a_calibration_error_above_zero() -> None:
    """...and stay below `calibrated_level` as often as it says, while overconfident ones do not."""
    below, wrong = [], []
    for seed in range(200):
        g = np.random.default_rng(seed)
        p = g.uniform(size=200)
        level = m.calibrated_level(p, n_draws=200, seed=seed)
        below.append(m.expected_calibration_error((g.random(200) < p).astype(int), p) <= level)
        if seed < 30:
            true, q = events(g)
            wrong.append(m.expected_calibration_error(true, q) > m.calibrated_level(q, n_draws=200))
    assert 0.9 < np.mean(below) < 0.99 and np.mean(wrong) > 0.9
    assert level > 0.03


def test_precision_and_recall_use_their_own_numbers() -> None:
    true, pred = np.repeat([1, 1, 0, 0], [8, 2, 5, 85]), np.repeat([1, 0, 1, 0], [8, 2, 5, 85])
    assert m.recall_interval(true, pred) == m.wilson_interval(8, 10)
    assert m.precision_interval(true, pred) == m.wilson_interval(8, 13)
    assert m.accuracy_interval(true, pred) == m.wilson_interval(93, 100)
    assert m.recall_interval(true, pred, pos_label=0) == m.wilson_interval(85, 90)


def test_an_interval_reads_as_text_and_knows_what_it_holds() -> None:
    x = m.Interval(0.5, 0.25, 0.75)
    assert str(x) == "0.500 [0.250, 0.750]" and 0.3 in x and 0.8 not in x and "a" not in x
