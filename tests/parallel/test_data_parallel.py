"""Data parallel against one process: bits where the order of addition is the same, rounding elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook.autograd import Tensor, no_grad
from lmbook.distributed import Network, RankError, cost, run
from lmbook.parallel import (
    DistributedDataParallel,
    LogicalShards,
    broadcast_parameters,
    buckets,
    flatten,
    unflatten,
)
from lmbook.training import Trainer
from tests.parallel.programs import (
    WIDTH,
    adam,
    full_batch,
    gradients,
    loss,
    network,
    part,
    ring_sum,
    state,
    step_with,
)

STEPS = 20


def ddp(comm, dtype=np.float64, steps=STEPS, **options):
    model = network(dtype=dtype)
    start = state(model)
    model = DistributedDataParallel(model, comm, **options)
    optimizer = adam(model.parameters())
    for s in range(steps):
        optimizer.zero_grad()
        loss(model, *part(s, comm.rank, comm.size, dtype)).backward()
        optimizer.step()
    return start, state(model)


def oracle(ranks, nbytes, dtype, steps=STEPS):
    """One process that adds the ranks' gradients in the ring's order, bucket by bucket."""
    with backend.using(np.random.default_rng([0, 0])):
        model = network(dtype=dtype)
    optimizer = adam(model.parameters())
    parameters = list(model.parameters())
    place = {id(p): i for i, p in enumerate(parameters)}
    for s in range(steps):
        each = [gradients(model, *part(s, r, ranks, dtype)) for r in range(ranks)]
        mean = [np.empty(0)] * len(parameters)
        for bucket in buckets(parameters, nbytes):
            of = [place[id(p)] for p in bucket]
            flat = ring_sum([flatten(g[i] for i in of) for g in each]) / dtype(ranks)
            for i, g in zip(of, unflatten(flat, bucket)):
                mean[i] = g
        step_with(model, optimizer, mean)
    return state(model)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("ranks", "nbytes"), [(2, 0), (3, None), (4, 200), (8, 200)])
def test_the_ring_has_the_bits_of_a_serial_oracle_and_the_full_batch_is_near(ranks, nbytes, dtype):
    told = run(lambda c: ddp(c, dtype, bucket_bytes=nbytes), ranks)
    starts = [s for s, _ in told]
    assert all(
        (starts[0] != s).mean() > 0.5 for s in starts[1:]
    )  # they start from different weights
    want = oracle(ranks, nbytes, dtype)
    for _, got in told:
        np.testing.assert_array_equal(got, want)
    exact = full_batch(STEPS, dtype)
    np.testing.assert_allclose(want, exact, atol=1e-12 if dtype is np.float64 else 2e-4)
    assert abs(want - starts[0]).max() > 0.05  # and it moved


@pytest.mark.parametrize("overlap", [True, False])
def test_overlap_changes_no_bit(overlap) -> None:
    def fn(comm):
        return ddp(comm, steps=5, bucket_bytes=200, overlap=overlap)[1]

    for got in run(fn, 2):
        np.testing.assert_array_equal(got, oracle(2, 200, np.float64, 5))


@pytest.mark.parametrize("mode", ["buffering", "rendezvous"])
@pytest.mark.parametrize("nbytes", [0, 200, None])
def test_bytes_are_those_of_the_ring(nbytes, mode) -> None:
    n = sum(p.data.nbytes for p in network().parameters())

    def fn(comm, steps):
        ddp(comm, steps=steps, bucket_bytes=nbytes)

    for ranks in (2, 3, 4):
        without, with_two = (run(fn, ranks, s, mode=mode).log.total_bytes for s in (0, 2))
        assert without == cost("broadcast", "tree", ranks, n).bytes == (ranks - 1) * n
        assert with_two - without == 2 * cost("all_reduce", "ring", ranks, n).bytes
        assert with_two - without == 2 * 2 * (ranks - 1) * n


def timed(comm, overlap, nbytes):
    """The backward pass of each layer takes a second, a bucket of a layer nearly as long."""
    model = nn.Sequential(*(nn.Linear(10, 10, bias=False) for _ in range(4))).double()
    for p in model.parameters():
        p.register_post_accumulate_grad_hook(lambda p: comm.compute(1.0, "backward"))
    model = DistributedDataParallel(model, comm, bucket_bytes=nbytes, overlap=overlap)
    comm.barrier()
    start = comm.clock
    model(Tensor(np.ones((2, 10)))).sum().backward()
    return comm.clock - start


def test_overlap_hides_all_but_the_last_bucket() -> None:
    network = Network(alpha=0.0, beta=1 / 1000)  # 800 bytes, two ranks: 0.8 s for an all-reduce
    apart, beside, flat = (
        max(run(timed, 2, *options, network=network))
        for options in ((False, 0), (True, 0), (True, None))
    )
    assert apart == pytest.approx(4 + 4 * 0.8)
    assert beside == pytest.approx(4 + 0.8)
    assert flat == pytest.approx(4 + 4 * 0.8)  # one bucket is complete only at the end


def accumulate(comm, micro):
    model = DistributedDataParallel(network(), comm, bucket_bytes=200)
    parts = comm.size * micro
    for i in range(micro):
        this = part(0, comm.rank * micro + i, parts)
        if i < micro - 1:
            with model.no_sync():
                (loss(model, *this) / micro).backward()
        else:
            (loss(model, *this) / micro).backward()
    return [p.grad.data for p in model.parameters()]


def test_accumulation_sends_once_and_gives_the_mean() -> None:
    with backend.using(np.random.default_rng([0, 0])):
        want = gradients(network(), *part(0, 0, 1))
    for micro in (1, 3):
        told = run(accumulate, 4, micro)
        for grads in told:
            for got, g in zip(grads, want):
                np.testing.assert_allclose(got, g, atol=1e-15)
        assert told.log.total_bytes == 3 * 3 * sum(g.nbytes for g in want)


def test_buffers_and_buckets() -> None:
    def fn(comm):
        model = nn.Sequential(nn.Linear(WIDTH, 3), nn.BatchNorm1d(3)).double()
        model = DistributedDataParallel(model, comm)
        for s in range(2):
            model(part(s, comm.rank, comm.size)[0]).sum().backward()
        model(part(9, 0, 1)[0])
        return [b.data.copy() for _, b in model.named_buffers()]

    first, second = run(fn, 2)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    ps = list(network().parameters())
    assert [len(b) for b in buckets(ps, 0)] == [1] * len(ps) and len(buckets(ps, None)) == 1
    assert [p for b in buckets(ps, 300) for p in b][::-1] == ps
    assert all(sum(p.data.nbytes for p in b) <= 300 or len(b) == 1 for b in buckets(ps, 300))
    mixed = [*ps, *nn.Linear(2, 2).parameters()]
    assert all(len({p.dtype for p in b}) == 1 for b in buckets(mixed, None))
    with pytest.raises(ValueError, match="unflatten: 4 entries, but the shapes given take"):
        unflatten(np.ones(4), ps[:1])


def test_errors_name_what_is_wrong() -> None:
    def unused(comm):
        class Spare(nn.Module):
            def __init__(self):
                super().__init__()
                self.net, self.spare = network(), nn.Linear(2, 2)

            def forward(self, x):
                return self.net(x)

        model = DistributedDataParallel(Spare(), comm)
        for s in range(2):
            loss(model, *part(s, comm.rank, comm.size)).backward()

    with pytest.raises(RankError, match=r"gave no gradient to \['spare.weight', 'spare.bias'\]"):
        run(unused, 2)
    with pytest.raises(RankError, match="no parameter to train"):
        run(lambda c: DistributedDataParallel(network().requires_grad_(False), c), 2)

    def evaluates(comm):
        model = DistributedDataParallel(network(), comm)
        loss(model, *part(0, 0, 1))  # a forward pass without a backward one
        with no_grad():
            loss(model, *part(0, 0, 1))
        loss(model, *part(0, 0, 1)).backward()

    run(evaluates, 2)


# --- Logical shards --------------------------------------------------------------------------------


def logical(comm, dtype, shards=8, steps=6):
    model = network(dtype=dtype)
    broadcast_parameters(model, comm)
    optimizer = adam(model.parameters())
    order = LogicalShards(model.parameters(), comm, shards)
    for s in range(steps):
        for i in order.mine:
            loss(model, *part(s, i, shards, dtype)).backward()
            order.add(i)
        order.all_reduce()
        optimizer.step()
        optimizer.zero_grad()
    return state(model)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shards", [8, 6])
def test_no_number_of_ranks_changes_a_bit(dtype, shards) -> None:
    want = run(logical, 1, dtype, shards)[0]
    for ranks in (2, 3, 4, 5, 8):
        if ranks <= shards:
            for got in run(logical, ranks, dtype, shards):
                np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(
        want, full_batch(6, dtype), atol=1e-13 if dtype is np.float64 else 1e-4
    )


def test_logical_shards_are_recursive_doubling_and_cost_no_more_than_a_ring() -> None:
    def doubling(comm):
        model = DistributedDataParallel(network(), comm, None, algorithm="recursive_doubling")
        optimizer = adam(model.parameters())
        for s in range(3):
            optimizer.zero_grad()
            loss(model, *part(s, comm.rank, 8)).backward()
            optimizer.step()
        return state(model)

    np.testing.assert_array_equal(run(doubling, 8)[0], run(logical, 1, np.float64, 8, 3)[0])
    n = state(network()).nbytes
    for ranks in (2, 4, 8):
        log = run(logical, ranks, np.float64, 8, 1).log
        assert log.total_bytes == (ranks - 1) * n + 2 * (ranks - 1) * n


def test_logical_shards_refuse_gaps() -> None:
    def skips(comm):
        order = LogicalShards(network().parameters(), comm, 4)
        order.add(1)

    with pytest.raises(RankError, match="shard 1 given, 0 comes next"):
        run(skips, 1)
    with pytest.raises(RankError, match="3 ranks for 2 shards"):
        run(lambda c: LogicalShards(network().parameters(), c, 2), 3)
    with pytest.raises(RankError, match="has no gradient in shard 0"):
        run(lambda c: LogicalShards(network().parameters(), c, 2).add(0), 1)


def test_the_books_trainer_needs_one_more_line() -> None:
    def fn(comm):
        model = DistributedDataParallel(network(), comm, 200)  # this one
        trainer = Trainer(model, adam(model.parameters()), progress=False, clip_norm=0.5)
        trainer.fit([part(s, comm.rank, comm.size) for s in range(4)])
        return state(model)

    with backend.using(np.random.default_rng([0, 0])):
        model = network()
    Trainer(model, adam(model.parameters()), progress=False, clip_norm=0.5).fit(
        [part(s, 0, 1) for s in range(4)]
    )
    for ranks in (2, 3):
        for got in run(fn, ranks):
            np.testing.assert_allclose(got, state(model), atol=1e-13)
