"""Inputs for every version of every kernel, and the counters on which two readings must agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook import gpu
from lmbook.gpu.kernels import (
    LADDER,
    Launch,
    Plan,
    Rung,
    copy,
    copy_offset,
    copy_strided,
    matvec,
    quantise4,
    quantise8,
)

SAME = (
    "load_requests", "load_sectors", "load_bytes", "store_requests", "store_sectors", "store_bytes",
    "shared_loads", "shared_load_wavefronts", "shared_stores", "shared_store_wavefronts",
    "atomics", "atomic_requests", "atomic_sectors", "shuffles", "barriers",
)  # fmt: skip

EXCEPTIONS = {
    "embedding1_atomic": (
        {"load_bytes", "load_requests", "load_sectors"},
        "the compiler reads the id only in lanes that have a column",
    )
}
"""Kernel: the counters in which simulator and PTX runner differ, and why they may."""


def inputs(rung: Rung, name: str, size: Any, rng: np.random.Generator) -> tuple[Any, ...]:
    """Sample inputs, with weights of fewer bits where the version wants them."""
    given = rung.sample(rng, size)
    if rung is matvec and name != "matvec1_float32":
        q, scale = (quantise8 if "int8" in name else quantise4)(given[0])
        return q, given[1], scale
    return given


def plans(size: int) -> dict[str, tuple[Rung, Plan]]:
    """A plan for every version, at its `size`-th awkward size, and for the two copies of a part."""
    rng = np.random.default_rng(1)
    found = {
        name: (rung, rung.plan(name, *inputs(rung, name, rung.sizes[size], rng)))
        for rung in LADDER
        for name in rung.versions
    }
    x = rng.standard_normal(1000, np.float32)
    return {
        **found,
        "copy2_offset": (copy, copy_offset(x, 3)),
        "copy3_strided": (copy, copy_strided(x, 7)),
    }


def typed(kernel: gpu.Kernel, launch: Launch, copied: dict[int, np.ndarray]) -> list[Any]:
    """Arguments cast by the signature, arrays replaced by copies (one array stays one array)."""
    return [
        copied.setdefault(id(a), a.copy()) if isinstance(a, np.ndarray) else a
        for a in kernel.check_arguments(launch.args, np.ndarray)
    ]
