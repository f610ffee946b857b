"""Fixed point and int8 against Python's whole numbers, fractions and PyTorch."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from lmbook.accelerators import FixedPoint, int_matmul, multiply_accumulate, quantise, wrap


def test_encode_is_the_nearest_number():
    rng = np.random.default_rng(0)
    for bits, fraction in [(8, 7), (8, 4), (16, 12), (12, -2), (4, 9)]:
        form = FixedPoint(bits, fraction)
        x = rng.uniform(form.low, form.high, 200)
        assert np.abs(form.round(x) - x).max() <= form.step / 2
        for value, q in zip(
            x[:50], form.encode(x[:50])
        ):  # exact, by fractions; round() has ties to even
            assert q == round(Fraction(float(value)) / Fraction(form.step))


def test_beyond_the_ends_it_stays():
    form = FixedPoint(8, 4)
    assert (form.low, form.high, form.step) == (-8.0, 7.9375, 0.0625)
    assert np.array_equal(form.round([100.0, -100.0, 8.0]), [7.9375, -8.0, 7.9375])
    assert np.array_equal(form.encode([0.03125, 0.09375]), [0, 2])  # ties to even


def test_encode_as_pytorch():
    x = np.random.default_rng(1).normal(0, 3, 500)
    theirs = torch.fake_quantize_per_tensor_affine(
        torch.tensor(x, dtype=torch.float32), 1 / 16, 0, -128, 127
    )
    x32 = x.astype(np.float32)
    assert np.array_equal(FixedPoint(8, 4).round(x32), theirs.numpy())


def test_wrap_is_modulo():
    for bits in (4, 8, 16):
        for value in (*range(-300, 300, 7), 2 ** (bits - 1), -(2 ** (bits - 1)) - 1):
            got = int(wrap(value, bits))
            assert -(2 ** (bits - 1)) <= got < 2 ** (bits - 1)
            assert (got - value) % 2**bits == 0
    assert np.array_equal(
        wrap([127, 128, 255, 256], 8), np.array([127, 128, 255, 256]).astype(np.int8)
    )


def test_accumulator():
    a, b = np.array([100, 100, -100]), np.array([100, 100, 100])
    assert multiply_accumulate(a, b) == 10_000
    assert multiply_accumulate(a, b, 16) == 10_000
    assert multiply_accumulate(a, b, 15, "saturate") == 16_383 - 10_000
    assert multiply_accumulate(a, b, 15, "wrap") == 10_000  # wraps there and back
    with pytest.raises(OverflowError, match=r"after product 2 of 3 .* 15 bits"):
        multiply_accumulate(a, b, 15)


def test_accumulator_on_matrices():
    rng = np.random.default_rng(2)
    a, b = rng.integers(-128, 128, (5, 40)), rng.integers(-128, 128, (40, 3))
    got = multiply_accumulate(a[:, None, :], b.T[None])
    assert np.array_equal(got, a @ b)
    assert np.array_equal(
        multiply_accumulate(a[:, None, :], b.T[None], 16, "wrap"), (a @ b).astype(np.int16)
    )


def test_accumulator_refuses():
    with pytest.raises(ValueError, match="'error', 'wrap' or 'saturate'"):
        multiply_accumulate(np.array([1]), np.array([1]), overflow="ignore")
    with pytest.raises(TypeError, match="encode them"):
        multiply_accumulate(np.array([1.0]), np.array([1]))


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_quantise_within_half_a_step(bits, axis):
    x = np.random.default_rng(3).normal(size=(7, 9))
    q, scale = quantise(x, bits, axis)
    assert np.all(np.abs(q * scale - x) <= scale / 2 * (1 + 1e-12))
    assert np.abs(q).max() == 2 ** (bits - 1) - 1
    assert q.dtype == (np.int8 if bits <= 8 else np.int32)


def test_quantise_as_pytorch():
    x = np.random.default_rng(4).normal(size=(6, 5))
    q, scale = quantise(x, 8, axis=1)
    theirs = torch.fake_quantize_per_channel_affine(
        torch.tensor(x, dtype=torch.float32), torch.tensor(scale[:, 0], dtype=torch.float32),
        torch.zeros(6, dtype=torch.int32), 0, -127, 127,
    )  # fmt: skip
    assert np.allclose(q * scale, theirs.numpy(), atol=1e-6)


def test_zeros_have_a_scale():
    q, scale = quantise(np.zeros((2, 3)), axis=1)
    assert not q.any() and np.all(scale > 0)


def test_int_matmul_within_its_bound():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(8, 64)), rng.normal(size=(64, 6))
    for bits in (4, 8):
        (_, sa), (_, sb) = quantise(a, bits, 1), quantise(b, bits, 0)
        bound = sa / 2 * np.abs(b).sum(0) + np.abs(a).sum(1)[:, None] * sb / 2 + 64 * sa * sb / 4
        assert np.all(np.abs(int_matmul(a, b, bits) - a @ b) <= bound)
    assert np.abs(int_matmul(a, b, 16) - a @ b).max() < 1e-3


def test_refusals():
    with pytest.raises(ValueError, match="2 to 48"):
        FixedPoint(1, 0)
    with pytest.raises(ValueError, match="2 to 24"):
        quantise(np.ones(2), 1)
    with pytest.raises(ValueError, match="not finite"):
        FixedPoint(8, 4).encode([np.nan])
    with pytest.raises(ValueError, match=r"give \(m, k\) and \(k, n\)"):
        int_matmul(np.ones((2, 3)), np.ones((2, 3)))
