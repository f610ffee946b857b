"""Attention over sequences that lie on many ranks, against attention in one process."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import Network, RankError, run
from lmbook.parallel import (
    causal_work,
    gathered_attention,
    merge,
    positions,
    ring_attention,
    ring_work,
)

SHAPE = (2, 3, 13, 4)
TOL = {np.float64: 1e-14, np.float32: 2e-6}
KINDS = {"ring": ring_attention, "gathered": gathered_attention}


def draws(dtype, length=13):
    rng = np.random.default_rng(6)
    return [rng.normal(size=(2, 3, length, 4)).astype(dtype) for _ in range(4)]


def one(dtype, causal, length=13):
    *qkv, g = draws(dtype, length)
    q, k, v = (Tensor(x, True) for x in qkv)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    y.backward(g)
    return [y.data, *(t.grad.data for t in (q, k, v))]


def divided(comm, kind, dtype, causal, balanced, length=13):
    own = positions(length, comm.size, balanced)[comm.rank]
    *qkv, g = (x[:, :, own] for x in draws(dtype, length))
    q, k, v = (Tensor(np.ascontiguousarray(x), True) for x in qkv)
    y = KINDS[kind](q, k, v, comm, own, causal)
    y.backward(g)
    return own, [y.data, *(t.grad.data for t in (q, k, v))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_outputs_and_gradients_are_those_of_one_process(ranks, dtype, kind) -> None:
    for causal in (True, False):
        want = one(dtype, causal)
        for balanced in (True, False):
            for mode in ("buffering", "rendezvous"):
                for own, got in run(divided, ranks, kind, dtype, causal, balanced, mode=mode):
                    for a, b in zip(got, want):
                        np.testing.assert_allclose(a, b[:, :, own], atol=TOL[dtype])


def test_two_pieces_a_rank_balance_the_work_exactly() -> None:
    for ranks in (2, 3, 4, 8):
        length = 6 * 2 * ranks
        even, uneven = (causal_work(positions(length, ranks, b)) for b in (True, False))
        assert len(set(even)) == 1 and sum(even) == sum(uneven) == length * (length + 1) // 2
        c = length // ranks  # the last rank against the mean: (2p - 1) / p, up to the diagonal
        assert max(uneven) == c * c * (ranks - 1) + c * (c + 1) // 2
    parts = positions(13, 4)
    assert sorted(np.concatenate(parts).tolist()) == list(range(13))


def test_bytes_are_the_closed_forms() -> None:
    length = 24
    n = 2 * 2 * 3 * length * 4 * 8  # keys and values of all ranks, float64
    for ranks in (2, 3, 4):
        index = length * 8
        ring = run(divided, ranks, "ring", np.float64, True, True, length).log.total_bytes
        gathered = run(divided, ranks, "gathered", np.float64, True, True, length).log.total_bytes
        assert ring == (ranks - 1) * (n + index) + (ranks - 1) * (2 * n + index) + n
        assert gathered == (ranks - 1) * n * 2 + (ranks - 1) * index


@pytest.mark.parametrize("ranks", [2, 3, 4, 8])
def test_what_the_mask_hides_is_not_computed(ranks) -> None:
    length = 4 * 2 * ranks
    c = length // ranks
    even, uneven = (ring_work(positions(length, ranks, b)) for b in (True, False))
    assert (even[:, 0] == c * c).all() and (even[:, 1:] == c * c // 2).all()
    assert (uneven.sum(1) == c * c * np.arange(1, ranks + 1)).all()
    assert even.sum(1).tolist() == [c * c * (ranks + 1) // 2] * ranks
    # the slowest rank of each step: half of the contiguous time, in the limit
    assert even.max(0).sum() * 2 == uneven.max(0).sum() + c * c
    assert ring_work(positions(length, ranks), causal=False).sum() == length**2


def test_sending_hides_behind_computing_and_balanced_shares_take_half_the_time() -> None:
    def timed(balanced, beta):
        def fn(comm):
            own = positions(32, comm.size, balanced)[comm.rank]
            q, k, v = (Tensor(np.ones((1, 1, len(own), 2)), True) for _ in range(3))
            y = ring_attention(q, k, v, comm, own, pair_seconds=1e-6)
            forward = comm.clock
            y.backward(np.ones(y.shape))
            return forward, comm.clock

        return np.max(run(fn, 4, network=Network(0.0, beta)), axis=0)

    work = {b: ring_work(positions(32, 4, b)) for b in (True, False)}
    for b in (True, False):
        assert timed(b, 0.0)[0] == pytest.approx(work[b].max(0).sum() * 1e-6)
    free, hidden, slow = (timed(True, beta)[0] for beta in (0.0, 30e-6 / 320, 1e-6))
    assert hidden == pytest.approx(free)  # 320 bytes in 30 microseconds beside work of 32
    assert slow > 2 * free
    assert timed(False, 0.0)[1] == pytest.approx(1.6 * timed(True, 0.0)[1])  # 4 c^2 against 2.5 c^2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_two_partial_softmaxes_merge_into_one(dtype) -> None:
    rng = np.random.default_rng(2)

    def part(s, v):
        top = s.max(-1, keepdims=True)
        e = np.exp(s - top)
        return (e @ v) / e.sum(-1, keepdims=True), top + np.log(e.sum(-1, keepdims=True))

    for scale in (1, 300):
        s, v = (
            (rng.normal(size=(5, 8)) * scale).astype(dtype),
            rng.normal(size=(8, 3)).astype(dtype),
        )
        for cut in (1, 4, 7):
            got, log_sum = merge(*part(s[:, :cut], v[:cut]), *part(s[:, cut:], v[cut:]))
            want, both = part(s, v)
            np.testing.assert_allclose(got, want, atol=3 * TOL[dtype])
            np.testing.assert_allclose(log_sum, both, rtol=2 * TOL[dtype])
            assert got.dtype == dtype
    nothing = np.zeros((5, 3), dtype), np.full((5, 1), -np.inf, dtype)
    for pair in ((*nothing, want, both), (want, both, *nothing)):
        np.testing.assert_array_equal(merge(*pair)[0], want)
    np.testing.assert_array_equal(merge(*nothing, *nothing)[0], nothing[0])


def test_positions_must_ascend() -> None:
    def fn(comm):
        x = Tensor(np.ones((1, 1, 3, 2)))
        ring_attention(x, x, x, comm, np.array([0, 2, 1]))

    with pytest.raises(
        RankError, match=r"3 queries need as many positions, ascending; got \[0, 2, 1\]"
    ):
        run(fn, 1)


def test_large_scores_do_not_overflow() -> None:
    def fn(comm):
        own = positions(6, comm.size)[comm.rank]
        x = np.random.default_rng(0).normal(size=(1, 1, 6, 2)).astype(np.float32) * 40
        return own, ring_attention(*(Tensor(x[:, :, own]) for _ in range(3)), comm, own).data

    x = Tensor(np.random.default_rng(0).normal(size=(1, 1, 6, 2)).astype(np.float32) * 40)
    want = F.scaled_dot_product_attention(x, x, x, is_causal=True).data
    for own, got in run(fn, 3):
        np.testing.assert_allclose(got, want[:, :, own], rtol=1e-5)
