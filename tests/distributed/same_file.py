"""One file for every launcher: alone, `torchrun same_file.py`, `mpirun python same_file.py`.

Prints one line on rank 0: the backend, the number of ranks, and a fingerprint of all results. With the word
`fail`, rank 1 raises.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np

from lmbook.distributed import run
from tests.distributed.programs import tour


def fingerprint(results: Any) -> str:
    """A hash of every bit of nested results."""
    h = hashlib.sha256()

    def walk(x: Any) -> None:
        if isinstance(x, dict):
            for key in sorted(x):
                h.update(key.encode())
                walk(x[key])
        elif isinstance(x, (list, tuple)):
            for y in x:
                walk(y)
        elif x is not None:
            h.update(f"{x.dtype}{x.shape}".encode() + np.ascontiguousarray(x).tobytes())

    walk(list(results))
    return h.hexdigest()[:16]


def failing(comm: Any) -> None:
    comm.barrier()
    if comm.rank == 1:
        raise LookupError("rank 1 has lost it")
    comm.recv(1)


def main() -> None:
    if "fail" in sys.argv:
        run(failing, None)
    for seed in (5, 6):  # twice in one program: the second run must find nothing of the first
        results = run(tour, None, seed=seed)
        if results.rank == 0:
            print("same_file", results.backend, len(results), fingerprint(results), flush=True)


if __name__ == "__main__":
    main()
