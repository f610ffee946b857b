"""Every version of every rung equals NumPy at awkward sizes, free of races and faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agreement import inputs, plans, typed

from lmbook import gpu
from lmbook.backend import ShapeError
from lmbook.gpu.kernels import LADDER, Rung, matvec, quantise4, quantise8, reduction
from lmbook.gpu.simulator.launch import launch

PLANS = plans(1)
CASES = [(rung, name, size) for rung in LADDER for name in rung.versions for size in rung.sizes]


@pytest.mark.parametrize(("rung", "name", "size"), CASES, ids=[f"{n}-{s}" for _, n, s in CASES])
def test_every_version_equals_numpy(
    rung: Rung, name: str, size: Any, rng: np.random.Generator
) -> None:
    given = inputs(rung, name, size, rng)
    races = rung.name != "attention" or size == (2, 40)  # that one has two tiles, and takes seconds
    outcome = rung.run(name, *given, races=races)
    assert rung.agrees(outcome.outputs, *given)
    assert all(r is not None and r.total.operations for r in outcome.reports)


def test_every_kernel_belongs_to_a_version_with_a_reason() -> None:
    used = set()
    for rung in LADDER:
        for name, version in rung.versions.items():
            assert len(version.why) > 30 and version.why.endswith("."), (name, version.why)
            given = inputs(rung, name, rung.sizes[0], np.random.default_rng(0))
            used |= {launch.kernel for launch in rung.plan(name, *given).launches}
    kernels = {k for rung in LADDER for k in rung.kernels}
    assert kernels - used == {"copy2_offset", "copy3_strided"}  # these copy only a part
    assert len({rung.title for rung in LADDER}) == len(LADDER) == 15
    assert sum(len(rung.versions) for rung in LADDER) == 48


def test_quantised_weights_are_near_the_real_ones(rng: np.random.Generator) -> None:
    w, x = matvec.sample(rng, (64, 256))
    for quantise, name, bound in (
        (quantise8, "matvec2_int8", 0.02),
        (quantise4, "matvec3_int4", 0.2),
        (quantise4, "matvec4_repacked", 0.2),
    ):
        q, scale = quantise(w)
        (y,) = matvec.run(name, q, x, scale).outputs
        assert np.linalg.norm(y - w @ x) < bound * np.linalg.norm(w @ x)


def test_what_a_version_cannot_do_is_said(rng: np.random.Generator) -> None:
    from lmbook.gpu.kernels import attention, softmax, topk

    wide = rng.standard_normal((1, 1025)).astype(np.float32)
    with pytest.raises(gpu.LaunchError, match=r"rows of 1025.*use softmax3_online"):
        softmax.run("softmax4_registers", wide)
    with pytest.raises(gpu.LaunchError, match="needs 1 <= k <= n <= 1024"):
        topk.run("topk1_rounds", wide, 2)
    with pytest.raises(ShapeError, match=r"expected \(heads, S, 64\), got \(1, 1025\)"):
        attention.run("attention2_flash", wide, wide, wide)
    with pytest.raises(ValueError, match="no version 'reduce9'; there are reduce1_interleaved"):
        reduction.run("reduce9", wide)


def test_a_wrong_answer_does_not_agree(rng: np.random.Generator) -> None:
    for rung in LADDER:
        given = rung.sample(rng, rung.sizes[1])
        right = [np.array(r) for r in rung.reference(*given)]
        assert rung.agrees(right, *given)
        right[0].flat[-1] += 0.1
        assert not rung.agrees(right, *given)


@pytest.mark.parametrize("name", PLANS)
def test_blocks_run_alike_alone_and_together(name: str) -> None:
    """One block at a time, and all at once with shared rows and columns: same results, same counters."""
    rung, plan = PLANS[name]
    for x in plan.launches:
        k = rung.kernel(x.kernel)
        grid, block = k.check_launch(x.grid, x.block, x.shared_mem)
        found = []
        for lanes in (1, 1 << 16):
            copies: dict[int, np.ndarray] = {}
            args = typed(k, x, copies)
            result = launch(k.program, grid, block, args, x.shared_mem, False, batch_lanes=lanes)
            found.append((result, copies))
        (alone, ours), (together, theirs) = found
        assert alone.lines == together.lines and alone.traffic == together.traffic
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-6, atol=1e-6)
        for array in plan.outputs:  # the next launch of the plan goes on from here
            if id(array) in ours:
                array[...] = ours[id(array)].reshape(array.shape)
