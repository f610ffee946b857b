"""The BBOB functions: equal to the published program, and with the properties that the definition states."""

from __future__ import annotations

import numpy as np
import pytest
from cma import bbobbenchmarks

from lmbook.backend import ShapeError
from lmbook.optim import bbob
from lmbook.optim.bbob import generator, transforms

NUMBERS = list(bbob.FUNCTIONS)


def test_there_are_24_in_five_groups():
    assert list(range(1, 25)) == NUMBERS
    groups = [bbob.FUNCTIONS[i].group for i in NUMBERS]
    sizes = {group: groups.count(group) for group in bbob.GROUPS}
    assert sizes == {"separable": 5, "moderate": 4, "conditioned": 5, "structured": 5, "weak": 5}
    assert [p.id for p in bbob.suite(3, instance=2)] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_values_are_those_of_the_published_program(number):
    """On the same instances, to 1e-10 of the excess: inside the box, beyond it, and near the optimum."""
    rng = np.random.default_rng(number)
    for n, instance in ((2, 1), (3, 7), (5, 2), (10, 1), (20, 5), (40, 3)):
        ours = bbob.problem(number, n, instance)
        theirs, f_opt = bbobbenchmarks.instantiate(number, instance)
        assert ours.f_opt == f_opt
        near = ours.x_opt + 1e-2 * rng.standard_normal((10, n))
        x = np.concatenate([rng.uniform(-5, 5, (20, n)), rng.uniform(-7, 7, (10, n)), near])
        expected = np.array([float(theirs(row)) for row in x])
        # f19 takes cosines of numbers of 10^7, of which rounding leaves nine digits
        tolerance = 1e-7 if number == 19 else 1e-10
        error = np.abs(ours(x) - expected)
        assert (error <= tolerance * (np.abs(expected - f_opt) + np.abs(f_opt) * 1e-4)).all()


def test_the_optimum_is_where_the_published_program_puts_it():
    for number in NUMBERS:
        theirs, f_opt = bbobbenchmarks.instantiate(number, 4)
        ours = bbob.problem(number, 6, 4)
        assert float(theirs(ours.x_opt)) == pytest.approx(f_opt, abs=1e-9)


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_lies_below_the_optimum(number):
    rng = np.random.default_rng(0)
    for n in (2, 6):
        f = bbob.problem(number, n, 3)
        assert abs(f.excess(f.x_opt)) < 1e-10
        assert (np.abs(f.x_opt) <= 5).all()
        far = rng.uniform(-5, 5, (20_000 // n, n))
        near = f.x_opt + rng.standard_normal((5_000, n)) * 10 ** rng.uniform(-6, 0, (5_000, 1))
        assert f.excess(far).min() > 0
        assert f.excess(near).min() > -1e-10


@pytest.mark.parametrize("number", NUMBERS)
def test_rows_are_independent_and_any_shape_will_do(number):
    f = bbob.problem(number, 4, 1)
    x = np.random.default_rng(1).uniform(-6, 6, (3, 5, 4))
    values = f(x)
    assert values.shape == (3, 5)
    one_by_one = np.array([[f(row) for row in part] for part in x])
    np.testing.assert_allclose(values, one_by_one, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(f.excess(x), values - f.f_opt, atol=1e-9)


def test_an_instance_moves_the_optimum_and_turns_the_axes():
    a, b = bbob.problem(10, 5, 1), bbob.problem(10, 5, 2)
    assert not np.allclose(a.x_opt, b.x_opt) and a.f_opt != b.f_opt
    assert not np.allclose(a.R, b.R)
    assert np.array_equal(a.x_opt, bbob.problem(10, 5, 1).x_opt)


def test_rotations_are_rotations():
    for n in (2, 7, 40):
        r = generator.rotation(10003, n)
        np.testing.assert_allclose(r @ r.T, np.eye(n), atol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        r[0, 0] = 1.0


def test_conditioning_is_as_published():
    """Second differences along the turned axes: 10^6 between the first and last."""
    n = 6
    f = bbob.problem(10, n, 1)
    along = [f.excess(f.x_opt + 1e-3 * axis) for axis in f.R]
    assert 3e5 < along[-1] / along[0] < 3e6  # T_osz moves each by a small factor
    f = bbob.problem(11, n, 1)
    along = [f.excess(f.x_opt + 1e-3 * axis) for axis in f.R]
    assert 3e5 < along[0] / np.median(along) < 3e6


def test_separable_functions_are_sums_over_coordinates():
    rng = np.random.default_rng(2)
    for number in NUMBERS:
        f = bbob.problem(number, 4, 1)
        x, y = rng.uniform(-4, 4, (2, 4))
        mixed = [np.where(np.arange(4) == i, y, x) for i in range(4)]
        total = sum(f.excess(m) - f.excess(x) for m in mixed)
        additive = np.isclose(total, f.excess(y) - f.excess(x), rtol=1e-9)
        assert additive == (f.group == "separable"), number


def test_the_linear_slope_ends_at_its_corner():
    f = bbob.problem(5, 3, 1)
    beyond = f.x_opt * 1.3
    assert f.excess(beyond) == 0 and set(np.abs(f.x_opt)) == {5.0}


def test_the_step_ellipsoid_is_flat_almost_everywhere():
    f = bbob.problem(7, 5, 1)
    x = np.random.default_rng(3).uniform(-4, 4, (300, 5))
    assert (f(x) == f(x + 1e-7)).mean() > 0.95


def test_transforms():
    x = np.array([-3.0, -0.2, 0.0, 0.4, 2.0])
    z = transforms.oscillate(x)
    assert z[2] == 0 and (np.sign(z) == np.sign(x)).all()
    assert (np.abs(np.log(np.abs(z[x != 0] / x[x != 0]))) <= 2 * 0.049).all()
    h = np.log(2.0)
    assert z[4] == pytest.approx(np.exp(h + 0.049 * (np.sin(10 * h) + np.sin(7.9 * h))), rel=1e-14)
    a = transforms.asymmetric(x, 0.5)
    assert np.array_equal(a[:3], x[:3]) and a[4] == pytest.approx(2 ** (1 + 0.5 * 2**0.5))
    np.testing.assert_allclose(transforms.scales(100, 3), [1, 10**0.5, 10])
    assert transforms.outside(np.array([[5.0, -5.0], [7.0, -6.0]])).tolist() == [0, 5]


def test_the_uniform_numbers_are_park_and_millers():
    """The 10,000th state from seed 1 is 1043618065: the check that Park and Miller printed in 1988."""
    assert generator._park_miller(10_000, 1)[-1] == 1043618065
    u = generator.uniform(50_000, 5)
    assert u.min() > 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.005
    np.testing.assert_allclose(u[:30], bbobbenchmarks.unif(30, 5), rtol=1e-15)


def test_a_thousand_dimensions_are_usable():
    for number in (1, 8, 10):
        f = bbob.problem(number, 1000, 1)
        assert abs(f.excess(f.x_opt)) < 1e-9 and f.excess(np.zeros((2, 1000))).shape == (2,)


def test_errors_name_the_way_out():
    with pytest.raises(ValueError, match="there are 1 to 24"):
        bbob.problem(25, 3)
    with pytest.raises(ValueError, match="whole number from 2, not 1"):
        bbob.problem(1, 1)
    with pytest.raises(ValueError, match="instance must be a whole number from 1, not 0"):
        bbob.problem(1, 2, 0)
    with pytest.raises(ShapeError, match=r"sphere.*\(\.\.\., 3\), not \(4, 2\)"):
        bbob.problem(1, 3)(np.zeros((4, 2)))
    with pytest.raises(NotImplementedError, match="write one"):
        type("Empty", (bbob.Problem,), {"id": 1, "name": "empty"})(2).excess([0, 0])
