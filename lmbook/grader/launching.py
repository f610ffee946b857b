"""Answers that are kernels: what goes wrong in the simulator is told to the learner in its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmbook import gpu
from lmbook.grader.expect import CheckFailed, NotAnswered, shown


def kernel(source: Any, name: str) -> gpu.Kernel:
    """The kernel `name` of the learner's CUDA C."""
    if source is Ellipsis:
        raise NotAnswered(f"`{name}` is still `...`")
    if not isinstance(source, str):
        raise CheckFailed(f"`{name}` should be a string of CUDA C, and is {shown(source)}")
    try:
        return gpu.Kernel(source, name)
    except gpu.SubsetError as error:
        raise CheckFailed(f"{name}, {error}") from None


def launched(
    k: gpu.Kernel, grid: Any, block: Any, args: Sequence[Any], races: bool = True
) -> gpu.Report:
    """Run in the simulator with all checks; faults, races and wrong signatures fail the answer."""
    try:
        return k.simulate(grid, block, args, races=races, max_iterations=10_000)
    except (gpu.KernelFault, gpu.LaunchError, gpu.SubsetError, TypeError, ValueError) as error:
        raise CheckFailed(str(error)) from None
