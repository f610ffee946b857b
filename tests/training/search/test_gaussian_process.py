"""The process is scikit-learn's to 1e-8: posterior, marginal likelihood and gradient; so is the fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor, kernels

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.training import search as s
from lmbook.training.search.climb import minimise

OURS = {
    "RBF": s.RBF,
    "Matern 1/2": lambda l, v: s.Matern(l, v, nu=0.5),
    "Matern 3/2": lambda l, v: s.Matern(l, v, nu=1.5),
    "Matern 5/2": lambda l, v: s.Matern(l, v, nu=2.5),
}
THEIRS = {
    "RBF": kernels.RBF,
    "Matern 1/2": lambda l: kernels.Matern(l, nu=0.5),
    "Matern 3/2": lambda l: kernels.Matern(l, nu=1.5),
    "Matern 5/2": lambda l: kernels.Matern(l, nu=2.5),
}


def example(seed, n=25, d=3):
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    return (
        x,
        np.sin(5 * x[:, 0]) + x.sum(axis=1) ** 2 + 0.1 * rng.standard_normal(n),
        rng.random((40, d)),
    )


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("each", [True, False], ids=["a scale each", "one scale"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equal_to_scikit_learn(name, each, seed):
    x, y, z = example(seed)
    scale = np.array([0.3, 0.7, 1.5]) if each else 0.6
    mine = s.GaussianProcess(OURS[name](scale, 2.0), 0.01, normalise=False)
    mine.fit(x, y, optimise=False)
    kernel = kernels.ConstantKernel(2.0) * THEIRS[name](scale) + kernels.WhiteKernel(0.01)
    other = GaussianProcessRegressor(kernel, alpha=0, optimizer=None).fit(x, y)
    mean, std = mine.predict(z)
    m, v = other.predict(z, return_std=True)
    assert np.abs(mean - m).max() < 1e-8
    assert np.abs(std**2 + 0.01 - v**2).max() < 1e-8  # theirs is the deviation of a noisy value
    value, slope = mine.log_marginal_likelihood()
    said, gradient = other.log_marginal_likelihood(other.kernel_.theta, eval_gradient=True)
    assert value == pytest.approx(said, abs=1e-8)
    assert np.allclose(slope, gradient, atol=1e-7)


@pytest.mark.parametrize("name", ["RBF", "Matern 5/2"])
def test_fit_is_no_worse_than_scikit_learns(name):
    for seed in range(5):
        x, y, _ = example(seed)
        y = (y - y.mean()) / y.std()
        mine = s.GaussianProcess(OURS[name](np.ones(3), 1.0), 0.1, normalise=False).fit(
            x, y, starts=3
        )
        bounds = (1e-4, 1e4)
        kernel = kernels.ConstantKernel(1.0, bounds) * THEIRS[name](np.ones(3)).set_params(
            length_scale_bounds=bounds
        ) + kernels.WhiteKernel(0.1, (1e-8, 10.0))
        other = GaussianProcessRegressor(
            kernel, alpha=0, n_restarts_optimizer=2, random_state=0
        ).fit(x, y)
        assert mine.log_marginal_likelihood()[0] > other.log_marginal_likelihood_value_ - 0.01


def test_normalised_values_change_nothing_but_the_units():
    x, y, z = example(0)
    a = s.GaussianProcess(s.RBF(0.5), 0.01).fit(x, y, optimise=False)
    b = s.GaussianProcess(s.RBF(0.5), 0.01).fit(x, 1000 * y + 7, optimise=False)
    for p, q, shift in zip(a.predict(z), b.predict(z), (7, 0)):
        assert np.allclose(1000 * p + shift, q)


def test_prior_pulls_the_constants():
    x, y, _ = example(0)
    at = np.log([3.0, 0.2, 0.2, 0.2, 0.05])
    tight = s.GaussianProcess(s.Matern(np.ones(3)), 0.1, prior=(at, np.full(5, 1e-3))).fit(x, y)
    assert np.allclose(tight.theta, at, atol=0.01)


def test_samples_have_the_posterior_moments():
    x, y, z = example(1, n=6)
    process = s.GaussianProcess(s.Matern(0.5), 0.01).fit(x, y, optimise=False)
    drawn = process.sample(z, 4000, np.random.default_rng(0))
    mean, std = process.predict(z)
    assert np.abs(drawn.mean(axis=0) - mean).max() < 5 * std.max() / np.sqrt(4000)
    assert np.allclose(drawn.std(axis=0), std, rtol=0.1)


def test_interpolates_and_doubts_far_away():
    x = np.array([[0.0], [1.0]])
    process = s.GaussianProcess(s.RBF(0.2), 1e-10, normalise=False).fit(
        x, np.array([1.0, 2.0]), optimise=False
    )
    mean, std = process.predict(np.array([[0.0], [1.0], [9.0]]))
    assert np.allclose(mean, [1, 2, 0], atol=1e-6) and np.allclose(std, [0, 0, 1], atol=1e-4)


def test_repeated_points_without_noise():
    x = np.repeat(np.linspace(0, 1, 4)[:, None], 3, axis=0)
    process = s.GaussianProcess(s.RBF(5.0), 1e-18, normalise=False, least_noise=1e-18)
    mean, _ = process.fit(x, np.repeat(np.arange(4.0), 3), optimise=False).predict(x)
    assert np.isfinite(mean).all()


@pytest.mark.parametrize(
    ("run", "error", "says"),
    [
        (lambda: s.GaussianProcess(noise=0), ValueError, "noise must be positive"),
        (lambda: s.RBF(-1), ValueError, "must be positive"),
        (lambda: s.Matern(1, nu=2), ValueError, "nu must be 0.5, 1.5 or 2.5, not 2"),
        (lambda: s.GaussianProcess().predict([[1.0]]), ValueError, "call fit first"),
        (lambda: s.GaussianProcess().fit([[1.0]], [np.nan]), NonFiniteError, "NaN or infinite"),
        (lambda: s.GaussianProcess().fit([1.0], [1.0]), ShapeError, r"got \(1,\) and \(1,\)"),
        (
            lambda: s.GaussianProcess(s.RBF([1, 1])).fit([[1.0]], [1.0]),
            ShapeError,
            r"2 length scales for points of shapes \(1, 1\)",
        ),
    ],
)
def test_bad_input(run, error, says):
    with pytest.raises(error, match=says):
        run()


def test_descent_finds_minima_inside_and_on_the_box():
    def bowl(x):
        a = np.array([1.0, -2.0, 30.0])
        return float(((x - a) ** 2 * [1, 100, 5]).sum()), 2 * (x - a) * [1, 100, 5]

    x, value = minimise(bowl, np.zeros(3), np.full(3, -5.0), np.full(3, 5.0))
    assert np.allclose(x, [1, -2, 5], atol=1e-4) and value == pytest.approx(5 * 25**2)


def test_descent_walks_around_a_wall():
    def half(x):
        return (float((x[0] - 1) ** 2), 2 * (x - 1)) if x[0] < 3 else (np.inf, np.zeros(1))

    x, _ = minimise(half, np.array([2.9]), np.array([-9.0]), np.array([9.0]))
    assert x[0] == pytest.approx(1, abs=1e-4)
