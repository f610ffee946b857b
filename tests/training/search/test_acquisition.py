"""Expected improvement is its integral, also where it is too small for a float."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from lmbook.training import search as s
from lmbook.training.search.acquisition import log_h


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3))
def test_is_the_mean_improvement(mean, std, best):
    low = best - 12 * std - abs(mean - best)
    integral, _ = integrate.quad(
        lambda f: (best - f) * stats.norm.pdf(f, mean, std), low, best, epsabs=1e-13
    )
    assert s.expected_improvement(mean, std, best) == pytest.approx(integral, abs=1e-9)


def test_logarithm_against_high_precision():
    """Values from 50-digit arithmetic with mpmath: log(npdf(z) + z ncdf(z))."""
    import mpmath  # comes with sympy, which torch brings

    mpmath.mp.dps = 60
    z = np.array([-1000.0, -100, -30, -8, -3.001, -2.999, -1, 0, 2, 30])
    exact = [
        float(mpmath.log(mpmath.npdf(mpmath.mpf(v)) + mpmath.mpf(v) * mpmath.ncdf(mpmath.mpf(v))))
        for v in z
    ]
    assert np.allclose(log_h(z), exact, rtol=1e-11)


def test_orders_points_where_the_plain_value_is_zero():
    far, farther = s.log_expected_improvement([50.0, 60.0], [1.0, 1.0], 0.0)
    assert s.expected_improvement(50.0, 1.0, 0.0) == 0.0
    assert np.isfinite([far, farther]).all() and far > farther


def test_normal_cdf_and_confidence_bound():
    z = np.linspace(-8, 8, 33).reshape(3, 11)
    assert np.allclose(s.normal_cdf(z), stats.norm.cdf(z), rtol=1e-12)
    assert s.lower_confidence_bound(np.array([1.0]), np.array([2.0]), 3) == 5
    with pytest.raises(ValueError, match="not positive"):
        s.expected_improvement(np.zeros(2), np.array([1.0, 0]), 0)
