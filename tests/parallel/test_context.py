"""Attention over sequences that lie on many ranks, against attention in one process."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import run
from lmbook.parallel import causal_work, gathered_attention, positions, ring_attention

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


def test_large_scores_do_not_overflow() -> None:
    def fn(comm):
        own = positions(6, comm.size)[comm.rank]
        x = np.random.default_rng(0).normal(size=(1, 1, 6, 2)).astype(np.float32) * 40
        return own, ring_attention(*(Tensor(x[:, :, own]) for _ in range(3)), comm, own).data

    x = Tensor(np.random.default_rng(0).normal(size=(1, 1, 6, 2)).astype(np.float32) * 40)
    want = F.scaled_dot_product_attention(x, x, x, is_causal=True).data
    for own, got in run(fn, 3):
        np.testing.assert_allclose(got, want[:, :, own], rtol=1e-5)
