"""Do probabilities mean what they say? Log loss, Brier score, reliability and calibration error."""

from typing import Any, NamedTuple

import numpy as np

from lmbook.backend import ShapeError
from lmbook.training.metrics import checks
from lmbook.training.metrics.interval import (
    Interval,
    bootstrap_interval,
    mean_interval,
    wilson_interval,
)


def _log_losses(name: str, y_true: Any, y_prob: Any) -> np.ndarray:
    true, prob = checks.probabilities(name, y_true, y_prob)
    dtype = np.asarray(y_prob).dtype
    eps = np.finfo(dtype if dtype.kind == "f" else np.float64).eps
    return -np.log(np.clip(prob[np.arange(len(true)), true], eps, 1 - eps))


def log_loss(y_true: Any, y_prob: Any) -> float:
    """Mean of -log p(true class): the cross-entropy in nats.

    `y_prob` is (n, classes), or (n,) for class 1 of two. Probabilities are kept eps (of their type)
    away from 0 and 1, as scikit-learn does: a class that was ruled out but came costs 36 nats
    in float64, not infinitely many.
    """
    return float(_log_losses("log_loss", y_true, y_prob).mean())


def log_loss_interval(y_true: Any, y_prob: Any, level: float = 0.95) -> Interval:
    """Log loss with the interval of a mean."""
    return mean_interval(_log_losses("log_loss_interval", y_true, y_prob), level)


def _brier(name: str, y_true: Any, y_prob: Any) -> np.ndarray:
    true, prob = checks.probabilities(name, y_true, y_prob)
    hot = np.eye(prob.shape[1])[true]
    each = ((prob - hot) ** 2).sum(axis=1)
    return each / 2 if prob.shape[1] == 2 else each


def brier_score_loss(y_true: Any, y_prob: Any) -> float:
    """Mean of (p - y)^2 for two classes; for more, of the sum over classes (Brier 1950).

    0 is perfect; the constant 1/2 has 0.25. Honest probabilities make it least.
    """
    return float(_brier("brier_score_loss", y_true, y_prob).mean())


def brier_score_interval(y_true: Any, y_prob: Any, level: float = 0.95) -> Interval:
    """Brier score with the interval of a mean."""
    return mean_interval(_brier("brier_score_interval", y_true, y_prob), level)


class Reliability(NamedTuple):
    """The bins of a reliability diagram that hold examples; `low` and `high` bound `prob_true`."""

    prob_true: np.ndarray
    prob_pred: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _events(name: str, y_true: Any, y_prob: Any) -> tuple[np.ndarray, np.ndarray]:
    """What was forecast: class 1 with its probability, or with (n, classes) the top class with its."""
    true, prob = checks.probabilities(name, y_true, y_prob)
    if np.ndim(y_prob) == 1:
        return true == 1, prob[:, 1]
    return prob.argmax(axis=1) == true, prob.max(axis=1)


def _bins(prob: np.ndarray, n_bins: int, strategy: str) -> np.ndarray:
    if n_bins < 1:
        raise ValueError(f"calibration: n_bins = {n_bins} must be 1 or more")
    if strategy == "uniform":
        edges = np.linspace(0, 1, n_bins + 1)
    elif strategy == "quantile":
        edges = np.quantile(prob, np.linspace(0, 1, n_bins + 1))
    else:
        raise ValueError(f"calibration: strategy {strategy!r} is neither 'uniform' nor 'quantile'")
    return np.searchsorted(edges[1:-1], prob)


def reliability(
    y_true: Any, y_prob: Any, n_bins: int = 10, strategy: str = "uniform", level: float = 0.95
) -> Reliability:
    """How often came what was forecast with probability p? Bins of p, with Wilson intervals.

    The first two fields are scikit-learn's `calibration_curve`. With (n, classes) the event is that
    the class with the highest probability is the true one.
    """
    event, prob = _events("reliability", y_true, y_prob)
    place = _bins(prob, n_bins, strategy)
    used = np.unique(place)
    number = np.array([(place == b).sum() for b in used])
    hits = np.array([event[place == b].sum() for b in used])
    mean = np.array([prob[place == b].mean() for b in used])
    ends = np.array([wilson_interval(int(h), int(n), level)[1:3] for h, n in zip(hits, number)])
    return Reliability(hits / number, mean, number, ends[:, 0], ends[:, 1])


def _ece(event: np.ndarray, prob: np.ndarray, n_bins: int, strategy: str) -> float:
    place = _bins(prob, n_bins, strategy)
    gaps = np.bincount(place, event.astype(float), n_bins) - np.bincount(place, prob, n_bins)
    return float(np.abs(gaps).sum() / len(prob))


def expected_calibration_error(
    y_true: Any, y_prob: Any, n_bins: int = 15, strategy: str = "uniform"
) -> float:
    """sum_b n_b/n |share that came in bin b - mean probability in bin b| (Naeini et al. 2015).

    Chance differences within a bin count, too, so the value lies above 0 even for perfect
    probabilities, the more the fewer examples a bin holds: compare with `calibrated_level`.
    """
    return _ece(*_events("expected_calibration_error", y_true, y_prob), n_bins, strategy)


def expected_calibration_error_interval(
    y_true: Any, y_prob: Any, n_bins: int = 15, strategy: str = "uniform", level: float = 0.95,
    n_resamples: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """Calibration error with a bootstrap interval, reflected: [2 e - q_high, 2 e - q_low], not below 0.

    Resampling adds as much upward bias again as sampling did, and the reflection takes it off. It is
    sound where the error is clearly above `calibrated_level`; near perfect calibration it is wide.
    """
    event, prob = _events("expected_calibration_error_interval", y_true, y_prob)
    value, low, high, _ = bootstrap_interval(
        lambda e, p: _ece(e, p, n_bins, strategy), event, prob, level=level,
        n_resamples=n_resamples, seed=seed,
    )  # fmt: skip
    return Interval(value, max(0.0, 2 * value - high), max(0.0, 2 * value - low), level)


def calibrated_level(
    y_prob: Any, n_bins: int = 15, strategy: str = "uniform", level: float = 0.95,
    n_draws: int = 1000, seed: int = 0,
) -> float:  # fmt: skip
    """The calibration error that perfect probabilities stay below in `level` of all samples.

    Draws the outcomes from the probabilities themselves (Broecker and Smith 2007).
    """
    zeros = np.zeros(len(checks.array("calibrated_level", "y_prob", y_prob)), np.intp)
    _, prob = _events("calibrated_level", zeros, y_prob)
    rng = np.random.default_rng(seed)
    draws = [_ece(rng.random(len(prob)) < prob, prob, n_bins, strategy) for _ in range(n_draws)]
    return float(np.quantile(draws, level))


def fit_temperature(y_true: Any, logits: Any) -> float:
    """The T > 0 for which softmax(logits / T) has the least log loss: temperature scaling.

    Fit it on examples that the model was not trained on. The loss is convex in 1 / T, so the place where
    its slope, mean(sum_k p_k z_k - z_true), is 0 is found by halving. T is kept between 1/100 and 100: scores
    that make no error would have it 0. No answer changes, only how sure it is. Source: Guo et al. 2017.
    """
    z = checks.array("fit_temperature", "logits", logits).astype(np.float64)
    true = np.asarray(y_true)
    if z.ndim != 2 or true.shape != (len(z),):
        raise ShapeError(
            f"fit_temperature: logits {z.shape} for labels {true.shape}, want (n, classes) and (n,)"
        )
    z = z - z.max(axis=1, keepdims=True)
    own = z[np.arange(len(z)), true]
    low, high = np.log(0.01), np.log(100)  # of 1 / T
    for _ in range(60):
        middle = (low + high) / 2
        p = np.exp(np.exp(middle) * z)
        p /= p.sum(axis=1, keepdims=True)
        if ((p * z).sum(axis=1) - own).mean() < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))
