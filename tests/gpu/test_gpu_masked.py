"""Masked numbers, which are -INFINITY, have no share in a softmax, wherever in the row they stand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbook import gpu
from lmbook.gpu.kernels import attention, softmax, topk

N = 200


def masked_rows(rng: np.random.Generator) -> np.ndarray:
    """Masked to the left, to the right, at random, in every lane's first round, and but for one number."""
    x = 3 * rng.standard_normal((8, N), np.float32) - 100
    x[0, : N // 2] = x[1, N // 2 :] = x[3, :32] = -np.inf
    x[2, rng.random(N) < 0.5] = -np.inf
    x[4, :-1] = x[5, 1:] = -np.inf
    x[6, ::2] = -np.inf
    return x


def wanted(x: np.ndarray) -> np.ndarray:
    return torch.softmax(torch.tensor(x, dtype=torch.float64), dim=1).numpy()


@pytest.mark.parametrize("name", softmax.versions)
def test_masked_numbers_get_nothing(name: str, rng: np.random.Generator) -> None:
    x = masked_rows(rng)
    (y,) = softmax.run(name, x, races=True).outputs
    np.testing.assert_allclose(y, wanted(x), rtol=1e-5)
    assert (y[np.isinf(x)] == 0).all() and y[4, -1] == y[5, 0] == 1


@pytest.mark.parametrize("name", softmax.versions)
def test_a_row_without_numbers_is_no_number(name: str, rng: np.random.Generator) -> None:
    """As in PyTorch; the rows beside it, and those with a NaN, are each for themselves."""
    x = rng.standard_normal((5, N), np.float32)
    x[1], x[3, 7] = -np.inf, np.nan
    (y,) = softmax.run(name, x, races=True).outputs
    np.testing.assert_allclose(y, wanted(x), rtol=1e-5)
    assert list(np.isnan(y).sum(axis=1)) == [0, N, 0, N, 0]


def test_without_its_guard_the_online_version_is_no_number(rng: np.random.Generator) -> None:
    guard = "if (v == -INFINITY) continue;"
    source, x = softmax.source.replace(guard, ""), masked_rows(rng)
    assert source != softmax.source
    (launch,) = softmax.plan("softmax3_online", x).launches
    gpu.Kernel(source, launch.kernel).simulate(launch.grid, launch.block, launch.args)
    spoilt = np.isnan(launch.args[1]).all(axis=1)
    assert list(np.flatnonzero(~spoilt)) == [
        1,
        7,
    ]  # there each lane has a number before a masked one


def test_masked_scores_of_attention(rng: np.random.Generator) -> None:
    p = masked_rows(rng)
    expected = wanted(p)
    attention.kernel("attention1_softmax").simulate(len(p), 32, (p, N), races=True)
    np.testing.assert_allclose(p, expected, rtol=1e-5)


@pytest.mark.parametrize("name", attention.versions)
def test_attention_does_not_see_the_future(name: str, rng: np.random.Generator) -> None:
    """Whatever comes later, in the same tile or the next, changes no earlier row."""
    q, k, v = (rng.standard_normal((1, 40, 64), np.float32) for _ in range(3))
    (o,) = attention.run(name, q, k, v).outputs
    np.testing.assert_allclose(o[:, 0], v[:, 0], rtol=1e-6)
    for first in (1, 31, 33):
        later_k, later_v = k.copy(), v.copy()
        later_k[:, first:] *= 1000
        later_v[:, first:] = 1e6
        (other,) = attention.run(name, q, later_k, later_v).outputs
        assert np.isfinite(other).all()
        np.testing.assert_array_equal(other[:, :first], o[:, :first])


@pytest.mark.parametrize("name", topk.versions)
def test_top_k_goes_on_to_masked_numbers(name: str) -> None:
    """With fewer than k numbers left, masked ones follow from left to right."""
    x = np.full((2, 300), -np.inf, np.float32)
    x[0, [5, 290]] = 1, 2
    values, indices = topk.run(name, x, 5, races=True).outputs
    assert values.tolist() == [[2, 1, *[-np.inf] * 3], [-np.inf] * 5]
    assert indices.tolist() == [[290, 5, 0, 1, 2], [0, 1, 2, 3, 4]]
