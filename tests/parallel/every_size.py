"""Every kind of parallelism on 2, 3, 4 and 8 ranks in one run of eight, and a run that goes on with fewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lmbook import backend
from lmbook.autograd import Tensor
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.parallel import (
    full_tensors,
    gpt_plan,
    parallelize_module,
    vocab_parallel_cross_entropy,
)
from tests.parallel import (
    test_context,
    test_data_parallel,
    test_elastic,
    test_expert,
    test_pipeline,
    test_sharded,
)
from tests.parallel.programs import adam
from tests.parallel.same_file import every_kind

SIZES = (2, 3, 4, 8)
STEPS = {8: 3, 4: 6, 3: 9, 2: 12}
"""Where each number of ranks ends its part of the run that goes on with fewer."""


def tensor_parallel(comm: Any, dtype: Any, heads: int = 0) -> dict[str, np.ndarray]:
    """Gradients of a GPT with a head for each rank; 13 words divide among none of 2, 3, 4, 8."""
    heads = heads or comm.size
    model = GPT(GPTConfig(13, 5, 1, heads, 2 * heads)).to(dtype)
    parallelize_module(model, comm, gpt_plan(heads, comm.size > 1))
    x = np.random.default_rng(4).integers(0, 13, (2, 6))
    vocab_parallel_cross_entropy(model(Tensor(x[:, :-1])), Tensor(x[:, 1:]), comm).backward()
    return full_tensors(model, comm, lambda p: p.grad.data)


def kinds(comm: Any, brief: bool) -> dict[str, Any]:
    """A step or two of each kind that this number of ranks allows; `brief`: in float32 alone."""
    found: dict[str, Any] = {}
    for name, dtype in (("32", np.float32), ("64", np.float64))[: 1 if brief else 2]:
        found |= {
            f"ring {name}": test_data_parallel.ddp(comm, dtype, 2, bucket_bytes=400)[1],
            f"logical {name}": test_data_parallel.logical(comm, dtype, 8, 2),
            f"zero 1 {name}": test_sharded.zero(comm, 1, dtype, 400, 2, adam)[0],
            f"zero 2 {name}": test_sharded.zero(comm, 2, dtype, None, 2, adam)[0],
            f"zero 3 {name}": test_sharded.fsdp(comm, dtype, "root", 2)[0],
            f"tensor {name}": tensor_parallel(comm, dtype),
            f"context {name}": test_context.divided(comm, "ring", dtype, True, True)[1],
            f"experts {name}": list(test_expert.divided(comm, dtype, 2)[1:3]),
        }
        for schedule, chunks in test_pipeline.KINDS:
            if comm.size * chunks <= 8:
                train = test_pipeline.train(
                    comm,
                    2 * comm.size if comm.size < 4 else comm.size,
                    dtype,
                    schedule,
                    chunks,
                    steps=1,
                )
                found[f"{schedule} {name}"] = train[1]
    return found | (every_kind(comm) if comm.size == 4 else {})


def every_size(comm: Any, brief: bool) -> dict[str, Any]:
    """What `kinds` gives on the first 2, 3, 4 and 8 ranks; each group's ranks start differently."""
    found: dict[str, Any] = {}
    for size in SIZES:
        if comm.rank < size <= comm.size:
            with backend.using(np.random.default_rng([5, size, comm.rank])):
                group = comm.group(range(size))
                found |= {f"{size}: {name}": x for name, x in kinds(group, brief).items()}
    return found


def fewer_and_fewer(comm: Any, folder: Path) -> dict[str, Any]:
    """Training that begins on 8 ranks and goes on, from checkpoints, on 4, 3 and 2."""
    state: dict[str, Any] = {}
    for size, steps in STEPS.items():
        if comm.rank < size <= comm.size:
            # rank 0's generator is that of a run on one rank
            with backend.using(np.random.default_rng([0, comm.rank])):
                group = comm.group(range(size))
                state, _ = test_elastic.train(group, folder, 2, np.float32, steps)
        comm.barrier()
    return state


def everything(comm: Any, folder: Path, brief: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    return every_size(comm, brief), fewer_and_fewer(comm, folder)
