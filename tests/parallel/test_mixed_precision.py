"""16 bits on many ranks: an overflow on one leaves the step out on all, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import backend
from lmbook.autograd import Tensor
from lmbook.distributed import RankError, run
from lmbook.optim import SGD, Adafactor
from lmbook.parallel import DiLoCo, DistributedDataParallel, LocalSGD, ParameterServer, any_rank
from lmbook.training import GradScaler, MixedPrecision
from tests.parallel.programs import adam, loss, network, part, state
from tests.parallel.test_compression import KINDS

HOOKS = {"none": lambda **o: None, **KINDS}
SCALE = 1024.0


def half(comm, hook, steps=6, bad=2, micro=1):
    """Steps in float16; in step `bad` the last rank's input is far too large for it."""
    model = network(dtype=np.float32)
    net = DistributedDataParallel(model, comm, 200, comm_hook=HOOKS[hook]())
    optimizer, scaler = adam(net.parameters()), GradScaler(SCALE)
    taken, scales, weights = [], [], []
    with MixedPrecision(net, "float16"), np.errstate(over="ignore", invalid="ignore"):
        for s in range(steps):
            optimizer.zero_grad()
            x, y = part(s, comm.rank, comm.size, np.float32)
            if s == bad and comm.rank == comm.size - 1:
                x = x * 1e6
            for i in range(micro):
                if i < micro - 1:
                    with net.no_sync():
                        scaler.scale(loss(net, x, y) / micro).backward()
                else:
                    scaler.scale(loss(net, x, y) / micro).backward()
            taken.append(scaler.step(optimizer))
            scaler.update()
            scales.append(scaler.get_scale())
            weights.append(state(model))
    return taken, scales, weights


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_an_overflow_on_one_rank_leaves_the_step_out_on_all(ranks, hook) -> None:
    told = run(half, ranks, hook)
    for taken, scales, weights in told:
        assert taken == [True, True, False, True, True, True]
        assert scales == [SCALE, SCALE] + [SCALE / 2] * 4
        np.testing.assert_array_equal(weights[2], weights[1])
        for mine, first in zip(weights, told[0][2], strict=True):
            np.testing.assert_array_equal(mine, first)
        assert np.isfinite(weights[-1]).all() and abs(weights[-1] - weights[2]).max() > 1e-3


def test_accumulated_parts_overflow_together_and_scales_are_powers_of_two() -> None:
    for taken, _, _ in run(half, 2, "none", 6, 2, 3):
        assert taken == [True, True, False, True, True, True]
    fine = run(half, 2, "none", 6, None)
    with backend.using(np.random.default_rng([0, 0])):
        model = network(dtype=np.float32)
    optimizer = adam(model.parameters())
    with MixedPrecision(model, "float16"):
        for s in range(6):
            optimizer.zero_grad()
            loss(model, *part(s, 0, 1, np.float32)).backward()
            optimizer.step()
    np.testing.assert_allclose(fine[0][2][-1], state(model), atol=0.02)  # Adam after rounding
    assert abs(fine[0][2][-1] - state(model)).max() > 0


def test_ranks_with_gradients_of_their_own_agree_through_a_communicator() -> None:
    def fn(comm, agree):
        p = Tensor(np.ones(2, np.float32), requires_grad=True)
        optimizer = SGD([p], lr=0.5)
        scaler = GradScaler(SCALE, agree=any_rank(comm) if agree else None)
        taken = []
        for s in range(3):
            p.grad = Tensor(np.full(2, np.inf if (s, comm.rank) == (1, 2) else SCALE, np.float32))
            taken.append(scaler.step(optimizer))
            scaler.update()
        return taken, scaler.get_scale()

    assert run(fn, 3, True) == [([True, False, True], SCALE / 2)] * 3
    assert run(fn, 3, False)[0] == ([True] * 3, SCALE)  # and rank 2 is left behind


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_kept_before_an_overflow_is_kept_after_it(kind) -> None:
    def fn(comm, bad):
        hook, rng = KINDS[kind](), np.random.default_rng([7, comm.rank])
        out = []
        for s in range(4):
            g = rng.normal(size=40)
            if s == 2:
                if not bad:
                    continue
                g[3] = np.nan if comm.rank else g[3]
            out.append(hook(comm, 0, g))
        return out

    with_, without = run(fn, 2, True), run(fn, 2, False)
    for a, b in zip(with_, without, strict=True):
        assert np.isnan(a.pop(2)).any()
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


# --- What does not travel --------------------------------------------------------------------------


def frozen(comm, make):
    model = network()
    model[0].requires_grad_(False)
    first = next(model.parameters()).data.copy()
    model.register_buffer("seen", Tensor(np.zeros(3) + comm.rank))
    make(model, comm)
    return first, next(model.parameters()).data, model.seen.data


def test_frozen_parameters_are_rank_0_s_and_do_not_decay() -> None:
    def serve(model, comm):
        ps = ParameterServer(model, comm, adam)

        def gradient(worker, step):
            value = loss(model, *part(step, worker, 2))
            value.backward()
            return value.item()

        ps.run(gradient, 3)

    def meet(model, comm):
        local = LocalSGD(model, SGD([p for p in model.parameters() if p.requires_grad]), comm, 1)
        model.seen.data += comm.rank
        loss(model, *part(0, comm.rank, 3)).backward()
        local.step()

    for make in (serve, meet):
        told = run(frozen, 3, make)
        for _, end, seen in told:
            np.testing.assert_array_equal(end, told[0][0])
            np.testing.assert_array_equal(seen, 1.0 if make is meet else 0.0)


def test_blocks_of_a_vector_are_refused_to_optimisers_of_matrices() -> None:
    for make in (
        lambda c: ParameterServer(network(), c, lambda ps: Adafactor(ps)),
        lambda c: DiLoCo(m := network(), SGD(m.parameters()), c, outer=lambda ps: Adafactor(ps)),
    ):
        with pytest.raises(RankError, match="Adafactor needs whole tensors"):
            run(make, 2)
