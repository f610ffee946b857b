"""Every kind of parallelism in one file, for every launcher: alone, `torchrun`, `mpirun`.

Prints one line on rank 0: the backend, the number of ranks, and a fingerprint of all results.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.distributed import run
from tests.distributed.same_file import fingerprint
from tests.parallel import (
    test_context,
    test_data_parallel,
    test_expert,
    test_mesh,
    test_mixture,
    test_pipeline,
    test_sharded,
    test_tensor_parallel,
)
from tests.parallel.programs import adam


def every_kind(comm: Any) -> dict[str, Any]:
    """Short trainings on four ranks."""
    f32 = np.float32
    found: dict[str, Any] = {
        "data": test_data_parallel.ddp(comm, f32, 2, bucket_bytes=200)[1],
        "logical": test_data_parallel.logical(comm, f32, 8, 2),
        "zero 2": test_sharded.zero(comm, 2, f32, 200, 2, adam)[0],
        "zero 3": test_sharded.fsdp(comm, f32, "linear", 2)[0],
        "gpt, zero 3": test_sharded.gpt(comm, 2, f32)[0],
        "tensor": test_tensor_parallel.parallel(comm, 2, f32, True)[2],
        "ring": test_context.divided(comm, "ring", f32, True, True)[1],
        "experts": list(test_expert.divided(comm, f32, 2)[1:3]),
        "mesh": test_mesh.three_d(comm, 2, 1, 2, 2, True, "1f1b"),
        "experts on a mesh": test_mixture.composed(
            comm, 2, {"pp": 2, "ep": 2}, 2, f32, "bfloat16", True
        ),
    }
    for schedule, chunks in test_pipeline.KINDS:
        found[schedule] = test_pipeline.train(comm, 4, f32, schedule, chunks, steps=2)[1]
    return found


def main() -> None:
    results = run(every_kind, None, seed=5)
    if results.rank == 0:
        print("same_file", results.backend, len(results), fingerprint(results), flush=True)


if __name__ == "__main__":
    main()
