"""Compressed gradients: bytes in closed form, nothing lost with error feedback, and a loss that falls."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmbook.distributed import cost, run
from lmbook.parallel import Compression, DistributedDataParallel, Int8, OneBit, PowerSGD, TopK
from tests.parallel.programs import adam, full_batch, loss, network, part, state

KINDS = {
    "topk": lambda **o: TopK(0.1, **o),
    "int8": lambda **o: Int8(**o),
    "onebit": lambda **o: OneBit(**o),
    "powersgd": lambda **o: PowerSGD(2, **o),
}


def vectors(comm, kind, feedback, steps, n):
    hook = KINDS[kind](error_feedback=feedback)
    rng = np.random.default_rng([3, comm.rank])
    given, got = np.zeros(n), np.zeros(n)
    for _ in range(steps):
        g = rng.normal(size=n) * np.linspace(0.1, 2, n)
        given += g
        got += hook(comm, 0, g)
    left = hook.residual.get(0, np.zeros(n))
    return given, got, left


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_with_error_feedback_what_was_not_sent_is_in_the_residual(kind, ranks) -> None:
    told = run(vectors, ranks, kind, True, 12, 50)
    want = np.mean([given - left for given, _, left in told], axis=0)
    for _, got, _ in told:
        np.testing.assert_array_equal(got, told[0][1])  # the same on all ranks
        np.testing.assert_allclose(got, want, atol=1e-12)
    lost = np.mean([given for given, _, _ in run(vectors, ranks, kind, False, 12, 50)], axis=0)
    without = run(vectors, ranks, kind, False, 12, 50)[0][1]
    assert abs(without - lost).max() > (0.01 if kind == "int8" else 1)  # without it, something is


@pytest.mark.parametrize("ranks", [2, 4])
def test_bytes(ranks) -> None:
    n, pairs = 101, ranks * (ranks - 1)
    k, side = math.ceil(0.1 * n), math.ceil(math.sqrt(n))
    want = {
        "topk": pairs * k * (4 + 8),
        "int8": pairs * (n + 8),
        "onebit": pairs * (math.ceil(n / 8) + 8),
        "powersgd": 2 * cost("all_reduce", "ring", ranks, side * 2 * 8).bytes,
    }
    for kind, nbytes in want.items():
        assert run(vectors, ranks, kind, True, 3, n).log.total_bytes == 3 * nbytes
        assert nbytes < cost("all_reduce", "ring", ranks, n * 8).bytes / 2


def test_powersgd_sends_a_matrix_of_low_rank_exactly_and_top_everything_is_the_mean() -> None:
    def fn(comm):
        rng = np.random.default_rng(5)
        u, v = rng.normal(size=(10, 2)), rng.normal(size=(10, 2))
        g = (u @ v.T).reshape(-1)
        exact = [PowerSGD(2)(comm, 0, g), PowerSGD(3)(comm, 0, g), TopK(1.0)(comm, 0, g)]
        return g, exact

    for g, exact in run(fn, 3):
        for got in exact:
            np.testing.assert_allclose(got, g, atol=1e-12)


def test_one_bit_without_feedback_misses_the_minimum_that_it_finds_with_it() -> None:
    """f_r(x) = |x - c_r|^2 / 2 with one large coordinate: signs alone move all coordinates alike."""

    def descend(comm, feedback):
        hook, x = OneBit(feedback), np.zeros(4)
        c = np.array([100.0, 1.0, -1.0, 0.5]) + np.array([0.0, 3.0, 3.0, 0.0]) * (-1) ** comm.rank
        for t in range(400):
            x = x - 0.5 / (1 + t / 20) * hook(comm, 0, x - c)
        return x

    want = np.array([100.0, 1.0, -1.0, 0.5])
    errors = [abs(run(descend, 2, f)[0] - want).max() for f in (True, False)]
    assert errors[0] < 0.2 < 10 * errors[0] < errors[1]


@pytest.mark.parametrize("kind", KINDS)
def test_models_train_under_compression(kind) -> None:
    def train(comm):
        model = DistributedDataParallel(network(), comm, 200, comm_hook=KINDS[kind]())
        optimizer = adam(model.parameters())
        first = loss(model, *part(0, 0, 1)).item()
        for _ in range(30):
            optimizer.zero_grad()
            loss(model, *part(0, comm.rank, comm.size)).backward()
            optimizer.step()
        return first, loss(model, *part(0, 0, 1)).item(), state(model)

    told = run(train, 2)
    for first, last, end in told:
        assert last < 0.75 * first
        np.testing.assert_array_equal(end, told[0][2])
    assert abs(told[0][2] - full_batch(30)).max() > 1e-6  # it is another path, though


def test_int8_of_nothing_and_of_whole_steps() -> None:
    def fn(comm):
        whole = np.arange(-127.0, 128.0) * 2
        return Int8()(comm, 0, np.zeros(3)), Int8()(comm, 0, whole) - whole

    for zero, off in run(fn, 2):
        assert not zero.any() and not off.any()


def test_errors() -> None:
    for ratio in (0, 1.5):
        with pytest.raises(ValueError, match=r"TopK: ratio .* above 0 and at most 1"):
            TopK(ratio)
    with pytest.raises(ValueError, match="PowerSGD: rank 0"):
        PowerSGD(0)
    with pytest.raises(NotImplementedError, match="Compression has no exchange"):
        Compression()(None, 0, np.ones(2))
