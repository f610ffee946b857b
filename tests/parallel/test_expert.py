"""Experts on many ranks against the mixture in one process, to the bit where it says so."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.distributed import RankError, run
from lmbook.parallel import ExpertParallel, average_gradients
from lmbook.parallel.expert import route

DIM, HIDDEN, EXPERTS, TOKENS = 5, 7, 8, 24


def data(dtype):
    rng = np.random.default_rng(12)
    return rng.normal(size=(TOKENS, DIM)).astype(dtype), rng.normal(size=(TOKENS, DIM)).astype(
        dtype
    )


class InGroups(nn.Module):
    """A gate that scores each rank's tokens by themselves: BLAS rounds by the number of rows."""

    def __init__(self, gate, ranks):
        super().__init__()
        self.gate, self.ends = gate, [TOKENS * r // ranks for r in range(ranks + 1)]

    def forward(self, x):
        return cat([self.gate(x[a:b]) for a, b in itertools.pairwise(self.ends)])


def one(dtype, k, ranks):
    """The whole layer on all tokens, in one process."""
    with backend.using(np.random.default_rng([0, 0])):
        layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, k).to(dtype)
    layer.gate = InGroups(layer.gate, ranks)
    x, g = data(dtype)
    t = Tensor(x, True)
    y = layer(t)
    y.backward(g)
    grads = {n: p.grad.data for n, p in layer.named_parameters() if p.grad is not None}
    return y.data, t.grad.data, grads, layer.load, layer.balance_loss.item()


def divided(comm, dtype, k, factor=None):
    layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, k).to(dtype)
    layer = ExpertParallel(layer, comm, factor)
    rows = slice(TOKENS * comm.rank // comm.size, TOKENS * (comm.rank + 1) // comm.size)
    x, g = (a[rows].copy() for a in data(dtype))
    t = Tensor(x, True)
    y = layer(t)
    y.backward(g)
    first = layer.ends[comm.rank]
    grads = {
        f"experts.{first + i}.{n}": p.grad.data
        for i, e in enumerate(layer.experts)
        for n, p in e.named_parameters()
        if p.grad is not None
    }
    gate = comm.all_reduce(layer.gate.weight.grad.data)
    return (
        rows,
        y.data,
        t.grad.data,
        grads,
        gate,
        layer.load,
        layer.balance_loss.item(),
        layer.dropped,
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_outputs_and_expert_gradients_have_the_bits_of_one_process(ranks, k, dtype) -> None:
    y, dx, grads, load, balance = one(dtype, k, ranks)
    told = run(divided, ranks, dtype, k)
    found = {}
    for rows, got, dgot, theirs, gate, share, _, dropped in told:
        np.testing.assert_array_equal(got, y[rows])
        np.testing.assert_allclose(dgot, dx[rows], atol=1e-13 if dtype is np.float64 else 1e-5)
        np.testing.assert_allclose(
            gate, grads["gate.gate.weight"], atol=1e-13 if dtype is np.float64 else 1e-5
        )
        np.testing.assert_array_equal(share, load)
        assert dropped == 0
        found |= theirs
    assert found.keys() == {n for n in grads if n.startswith("experts")}
    for n, g in found.items():
        np.testing.assert_array_equal(g, grads[n], err_msg=n)
    if TOKENS % ranks == 0:
        assert np.mean([t[6] for t in told]) == pytest.approx(balance, rel=1e-5)


def test_rendezvous_changes_nothing() -> None:
    sim, rendezvous = (run(divided, 4, np.float32, 2, mode=m) for m in ("buffering", "rendezvous"))
    for a, b in zip(sim, rendezvous):
        np.testing.assert_array_equal(a[1], b[1])


def test_bytes_are_four_all_to_alls_of_what_leaves_its_rank() -> None:
    told = run(divided, 4, np.float64, 2)
    x, _ = data(np.float64)
    with backend.using(np.random.default_rng([0, 0])):
        gate = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 2).double().gate
    chosen = np.argsort(-(x @ gate.weight.data.T), axis=1, kind="stable")[:, :2]
    leave = sum(chosen[i, j] // 2 != i // 6 for i in range(TOKENS) for j in range(2))
    layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 2).double()
    start = 3 * sum(p.data.nbytes for p in layer.parameters())
    counts, loads, gate_sum = 4 * 3 * 2 * 8, 2 * 3 * EXPERTS * 8, 2 * 3 * EXPERTS * DIM * 8
    assert told.log.total_bytes == start + 4 * leave * DIM * 8 + counts + loads + gate_sum


def test_capacity_drops_the_last_of_those_who_come() -> None:
    for ranks in (1, 2, 4):
        t = TOKENS // ranks
        for factor in (0.25, 0.5, 1.0, 100.0):
            capacity = math.ceil(factor * 2 * t / EXPERTS)
            told = run(divided, ranks, np.float64, 2, factor)
            full = run(divided, ranks, np.float64, 2)
            dropped = [x[-1] for x in told]
            if factor == 100.0:
                assert dropped == [0.0] * ranks
                for a, b in zip(told, full):
                    np.testing.assert_array_equal(a[1], b[1])
            places = EXPERTS * capacity / (2 * t)  # at least the rest finds none
            assert min(dropped) >= 1 - places - 1e-12
            if factor == 0.25:
                assert max(dropped) > 0
    chosen = np.array([[0, 1], [0, 2], [0, 1], [1, 2]])
    token, choice, expert = route(chosen, 2)
    # expert 0 is the first choice of 0, 1, 2: 2 is dropped; expert 1: 3 first, then 0; expert 2: 1, 3
    assert list(zip(expert, token, choice)) == [
        (0, 0, 0),
        (0, 1, 0),
        (1, 0, 1),
        (1, 3, 0),
        (2, 1, 1),
        (2, 3, 1),
    ]


def test_a_token_without_a_place_passes_as_zero() -> None:
    def fn(comm):
        layer = ExpertParallel(nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 1).double(), comm, 0.01)
        x = np.tile(data(np.float64)[0][:1], (6, 1))  # all want the same expert, which takes one
        return layer(Tensor(x)).data

    for got in run(fn, 2):
        assert np.abs(got[0]).max() > 0 and not got[1:].any()


def test_average_gradients_is_the_gradient_of_the_mean_loss() -> None:
    def fn(comm):
        layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 2).double()
        layer = ExpertParallel(layer, comm)
        rows = slice(TOKENS * comm.rank // comm.size, TOKENS * (comm.rank + 1) // comm.size)
        layer(Tensor(data(np.float64)[0][rows])).square().mean().backward()
        average_gradients(layer, comm)
        experts = comm.all_gather([p.grad.data for p in layer.experts.parameters()])
        return [layer.gate.weight.grad.data, *(g for part in experts for g in part)]

    want = run(fn, 1)[0]
    for ranks in (2, 4):
        for got in run(fn, ranks):
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-15)


def test_errors() -> None:
    with pytest.raises(RankError, match="2 experts for 3 ranks"):
        run(lambda c: ExpertParallel(nn.MixtureOfExperts(4, 4, 2), c), 3)


def test_a_weighted_balance_loss_is_the_loss_added_by_hand() -> None:
    def grads(weight, ranks):
        def fn(comm):
            layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 2, balance_weight=weight).double()
            layer = ExpertParallel(layer, comm)
            rows = slice(TOKENS * comm.rank // comm.size, TOKENS * (comm.rank + 1) // comm.size)
            loss = layer(Tensor(data(np.float64)[0][rows])).square().mean()
            value = loss.item()
            if not weight:
                loss = loss + layer.balance_loss * 0.3
            loss.backward()
            average_gradients(layer, comm)
            return value, layer.gate.weight.grad.data

        return run(fn, ranks)

    for ranks in (1, 2, 4):
        by_hand = grads(0.0, 1)[0][1]
        for _, gate in grads(0.3, ranks):
            np.testing.assert_allclose(gate, by_hand, atol=1e-15)
        assert np.mean([v for v, _ in grads(0.3, ranks)]) == pytest.approx(grads(0.0, 1)[0][0])
    with backend.using(np.random.default_rng(1)):
        layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 2, balance_weight=0.3).double().eval()
    layer(Tensor(data(np.float64)[0])).sum().backward()
    plain = layer.gate.weight.grad.data.copy()
    layer.balance_weight, layer.gate.weight.grad = 0.0, None
    layer(Tensor(data(np.float64)[0])).sum().backward()
    np.testing.assert_array_equal(layer.gate.weight.grad.data, plain)  # none in evaluation


def test_the_bias_evens_the_load_without_a_gradient_and_alike_on_all_ranks() -> None:
    x = data(np.float64)[0]

    def fn(comm, steps):
        layer = nn.MixtureOfExperts(DIM, HIDDEN, EXPERTS, 2, bias_rate=0.02).double()
        layer = ExpertParallel(layer, comm)
        rows = slice(TOKENS * comm.rank // comm.size, TOKENS * (comm.rank + 1) // comm.size)
        loads = []
        for _ in range(steps):
            layer(Tensor(x[rows]))
            loads.append(layer.load.max() * EXPERTS)
            layer.update_bias()
        return loads, layer.expert_bias.data

    want = run(fn, 1, 60)[0]
    assert want[0][0] > 1.5 * min(want[0][-10:])
    for ranks in (2, 4, 8):
        for loads, bias in run(fn, ranks, 60):
            assert loads == want[0]
            np.testing.assert_array_equal(bias, want[1])
    # one update by hand, and the weights of the chosen do not see the bias
    with backend.using(np.random.default_rng(1)):
        layer = nn.MixtureOfExperts(DIM, HIDDEN, 3, 3, bias_rate=0.5).double()
    before = layer(Tensor(x)).data
    layer.counts = np.array([9.0, 3.0, 6.0])
    layer.update_bias()
    np.testing.assert_array_equal(layer.expert_bias.data, [-0.5, 0.5, 0.0])
    np.testing.assert_allclose(layer(Tensor(x)).data, before, atol=1e-15)
    assert "expert_bias" in layer.state_dict()
    with pytest.raises(ValueError, match="the layer has no bias; give it a bias_rate above 0"):
        nn.MixtureOfExperts(2, 2, 2).update_bias()
