"""Schedules against closed forms, and pipelines against the same microbatches in one process, to the bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import DeadlockError, Network, RankError, run
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.optim import AdamW
from lmbook.parallel import (
    Action,
    Pipeline,
    gpipe,
    gpt_layers,
    interleaved,
    one_f_one_b,
    simulate,
    zero_bubble,
)

SIZES = [(1, 3), (2, 4), (3, 6), (4, 8), (4, 4), (8, 16), (5, 20)]


# --- Schedules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "m"), SIZES)
def test_the_bubble_has_its_closed_form(p, m) -> None:
    for make in (gpipe, one_f_one_b):
        for f, b in ((1.0, 2.0), (1.0, 1.0), (0.5, 3.0)):
            line = simulate(make(p, m), f, b)
            assert line.time == pytest.approx((m + p - 1) * (f + b))
            assert line.bubble == pytest.approx((p - 1) / m)
            assert line.idle == pytest.approx((p - 1) / (m + p - 1))
    for v in (2, 3):
        line = simulate(interleaved(p, m, v), 1.0, 2.0)
        assert line.bubble == pytest.approx((p - 1) / (v * m))
        assert line.idle == pytest.approx((p - 1) / (v * m + p - 1))
    line = simulate(zero_bubble(p, m), 1.0, 1.0, 1.0)
    assert line.time == pytest.approx(3 * m + p - 1)
    assert line.bubble == pytest.approx(simulate(one_f_one_b(p, m), 1.0, 1.0, 1.0).bubble / 3)


@pytest.mark.parametrize(("p", "m"), SIZES)
def test_activations_that_are_kept(p, m) -> None:
    assert simulate(gpipe(p, m)).peak == [m] * p
    assert simulate(one_f_one_b(p, m)).peak == [min(p - r, m) for r in range(p)]
    assert max(simulate(zero_bubble(p, m), 1.0, 1.0, 1.0).peak) <= p
    for v in (2, 3, 4):
        if m > p:  # in units of a whole rank: p (1 + (p - 1) / (p v)), Korthikanti et al. 2022
            peak = simulate(interleaved(p, m, v)).peak[0] / v
            assert peak == pytest.approx(p * (1 + (p - 1) / (p * v)))


@pytest.mark.parametrize(("p", "m"), SIZES)
def test_everything_is_done_once_and_in_the_order_of_the_microbatches(p, m) -> None:
    for schedule, v, kinds in (
        (gpipe(p, m), 1, "FB"), (one_f_one_b(p, m), 1, "FB"), (zero_bubble(p, m), 1, "FBW"),
        (interleaved(p, m, 3), 3, "FB"),
    ):  # fmt: skip
        for actions in schedule:
            for c in range(v):
                for kind in kinds:
                    order = [a.microbatch for a in actions if a.kind == kind and a.chunk == c]
                    assert order == list(range(m))
            assert len(actions) == len(kinds) * m * v


def test_times_that_differ_and_schedules_that_cannot_run() -> None:
    slow = simulate(one_f_one_b(3, 6), [1.0, 2.0, 1.0], [1.0, 2.0, 1.0])
    assert slow.time == pytest.approx(1 + 6 * 4 + 1)  # the slow stage sets the pace
    assert (
        simulate(one_f_one_b(3, 6), 1.0, 1.0, message=0.5).time
        > simulate(one_f_one_b(3, 6), 1.0, 1.0).time
    )
    with pytest.raises(ValueError, match=r"every rank waits: rank 0 at Action\(kind='B'"):
        simulate([[Action("B", 0), Action("F", 0)], [Action("F", 0), Action("B", 0)]])
    with pytest.raises(ValueError, match="5 microbatches are no multiple of 2 stages"):
        interleaved(2, 5, 2)


# --- Real pipelines --------------------------------------------------------------------------------


def layers(dtype):
    sizes = [4, 6, 5, 7, 6, 4, 5, 6, 3]
    return [
        nn.Sequential(nn.Linear(a, b), nn.Tanh()).to(dtype) for a, b in itertools.pairwise(sizes)
    ]


def data(step, m, dtype):
    rng = np.random.default_rng([8, step])
    return [Tensor(rng.normal(size=(2, 4)).astype(dtype)) for _ in range(m)], rng.integers(
        0, 3, (m, 2)
    )


def train(comm, m, dtype, schedule, chunks=1, blocking=False, steps=3):
    pipe = Pipeline(layers(dtype), comm, schedule, chunks, blocking)
    optimizer = AdamW(pipe.parameters(), lr=0.01)
    losses = []
    for s in range(steps):
        x, t = data(s, m, dtype)
        losses.append(pipe.step(x, lambda y, i, t=t: F.cross_entropy(y, t[i])))
        optimizer.step()
        optimizer.zero_grad()
    parts = comm.all_gather(
        [p.data for chunk in pipe.parts for layer in chunk for p in layer.parameters()]
    )
    counts = comm.all_gather([len(list(chunk.parameters())) for chunk in pipe.parts])
    order = []
    for c in range(chunks):
        for r in range(comm.size):
            start = sum(counts[r][:c])
            order += parts[r][start : start + counts[r][c]]
    return losses, np.concatenate([x.reshape(-1) for x in order])


def serial(m, dtype, steps=3):
    """One process: the microbatches one after the other."""
    with backend.using(np.random.default_rng([0, 0])):
        model = nn.Sequential(*layers(dtype))
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        x, t = data(s, m, dtype)
        losses = [F.cross_entropy(model(x[i]), t[i]) for i in range(m)]
        for loss in losses:
            loss.backward(np.asarray(1 / m, dtype))
        optimizer.step()
        optimizer.zero_grad()
    return sum(loss.item() for loss in losses) / m, np.concatenate(
        [p.data.reshape(-1) for p in model.parameters()]
    )


KINDS = [("gpipe", 1), ("1f1b", 1), ("zero_bubble", 1), ("interleaved", 2)]


@pytest.mark.parametrize("mode", ["buffering", "rendezvous"])
@pytest.mark.parametrize(("schedule", "chunks"), KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pipelines_have_the_bits_of_one_process_in_both_modes(
    dtype, schedule, chunks, mode
) -> None:
    for ranks, m in ((1, 3), (2, 4), (3, 6), (4, 8), (4, 2), (8, 8)):
        if schedule == "interleaved" and (m % ranks or ranks * chunks > 8):
            continue
        loss, want = serial(m, dtype)
        told = run(train, ranks, m, dtype, schedule, chunks, mode=mode)
        for _, got in told:
            np.testing.assert_array_equal(got, want)
        assert told[-1][0][-1] == loss
        assert all(x is None for losses, _ in told[:-1] for x in losses)


def test_more_chunks() -> None:
    want = serial(4, np.float32)[1]
    np.testing.assert_array_equal(run(train, 2, 4, np.float32, "interleaved", 4)[0][1], want)


def test_blocking_sends_pass_where_messages_are_buffered_and_deadlock_where_they_are_not() -> None:
    want = serial(4, np.float64)[1]
    np.testing.assert_array_equal(run(train, 2, 4, np.float64, "1f1b", 1, True)[0][1], want)
    with pytest.raises(DeadlockError, match="rank 0") as error:
        run(train, 2, 4, np.float64, "1f1b", 1, True, mode="rendezvous")
    assert sorted(error.value.waiting) == [0, 1]
    run(train, 2, 4, np.float64, "gpipe", 1, True, mode="rendezvous")  # goes one way at a time


@pytest.mark.parametrize(("schedule", "chunks"), KINDS)
def test_bytes_are_activations_and_their_gradients(schedule, chunks) -> None:
    widths, rows, m, p = [6, 5, 7, 6, 4, 5, 6], 2, 4, 2
    few, more = (run(train, p, m, np.float64, schedule, chunks, False, k) for k in (1, 3))
    parts = p * chunks
    cut = [widths[8 * i // parts - 1] for i in range(1, parts)]  # width at each boundary
    assert (more.log.total_bytes - few.log.total_bytes) / 2 == 2 * m * rows * 8 * sum(cut)


def test_the_simulator_sees_the_same_bubble_as_the_timeline() -> None:
    class Busy(nn.Module):
        """A layer that takes a second forwards and a second backwards."""

        def __init__(self, comm):
            super().__init__()
            self.linear, self.comm = nn.Linear(3, 3), comm
            self.linear.weight.register_post_accumulate_grad_hook(lambda _: comm.compute(1.0))

        def forward(self, x):
            self.comm.compute(1.0)
            return self.linear(x)

    def fn(comm, schedule):
        pipe = Pipeline([Busy(comm) for _ in range(comm.size)], comm, schedule)
        comm.barrier()
        start = comm.clock
        pipe.step([np.ones((1, 3), np.float32)] * 6, lambda y, i: y.sum())
        return comm.clock - start

    for name, make in (("gpipe", gpipe), ("1f1b", one_f_one_b)):
        got = max(run(fn, 3, name, network=Network(0.0, 0.0)))
        assert got == pytest.approx(simulate(make(3, 6), 1.0, 1.0).time)


def test_a_gpt_with_tied_weights() -> None:
    config = GPTConfig(vocab_size=11, block_size=5, n_layer=3, n_head=2, n_embd=6)
    tokens = np.random.default_rng(1).integers(0, 11, (4, 2, 6))

    def fn(comm, schedule):
        model = GPT(config).double()
        pipe = Pipeline(gpt_layers(model), comm, schedule)
        optimizer = AdamW(pipe.parameters(), lr=0.01)
        for _ in range(2):
            optimizer.zero_grad()
            pipe.step(
                [Tensor(x[:, :-1]) for x in tokens],
                lambda y, i: F.cross_entropy(
                    y.reshape(-1, 11), Tensor(tokens[i, :, 1:].reshape(-1))
                ),
            )
            optimizer.step()
        names = {id(p): n for n, p in model.named_parameters()}
        return {names[id(p)]: p.data for p in pipe.parameters()}

    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(config).double()
    optimizer = AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        for x in tokens:
            (
                F.cross_entropy(
                    model(Tensor(x[:, :-1])).reshape(-1, 11), Tensor(x[:, 1:].reshape(-1))
                )
                / 4
            ).backward()
        optimizer.step()
    want = model.state_dict()
    for schedule in ("gpipe", "1f1b", "zero_bubble"):
        for ranks in (2, 4, 5):
            told = run(fn, ranks, schedule)
            assert {n for t in told for n in t} == set(want)
            np.testing.assert_array_equal(told[0]["wte.weight"], told[-1]["wte.weight"])
            for t in told:
                for n, x in t.items():
                    np.testing.assert_allclose(x, want[n], atol=1e-12, err_msg=n)


def test_errors() -> None:
    for options, match in (
        (("2f2b",), "schedule '2f2b' is unknown"),
        (("1f1b", 2), "2 chunks want the schedule 'interleaved'"),
        (("interleaved", 5), "8 layers for 10 parts"),
    ):
        with pytest.raises(RankError, match=match):
            run(lambda c, o=options: Pipeline(layers(np.float32), c, *o), 2)
