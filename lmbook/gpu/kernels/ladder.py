"""A rung of the ladder: one task, its NumPy reference, and kernels from naive to good."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from lmbook.gpu.errors import WrongResult
from lmbook.gpu.kernel import Kernel
from lmbook.gpu.report import Report

Array = Any  # of NumPy or CuPy


class Launch(NamedTuple):
    """One kernel launch of a version."""

    kernel: str
    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    args: tuple[Any, ...]
    shared_mem: int = 0


class Plan(NamedTuple):
    """What a version does with given inputs: launches in order, and the arrays that hold its results."""

    launches: list[Launch]
    outputs: tuple[Array, ...]


class Version(NamedTuple):
    """A way to do a rung's task. `why` says in a line what it changes."""

    name: str
    why: str
    plan: Callable[..., Plan]


class Outcome(NamedTuple):
    """Outputs of a run, and the report of each launch (None for a launch on a GPU)."""

    outputs: tuple[Array, ...]
    reports: list[Report | None]


class Rung:
    """A task with its kernels.

        rung.reference(*inputs)                 # what NumPy says
        rung.run("transpose3_padded", *inputs)  # outputs and counters

    `sample(rng, size)` draws inputs; `sizes` are awkward ones, for tests.
    """

    def __init__(
        self, name: str, title: str, reference: Callable[..., tuple[Any, ...]],
        sample: Callable[..., tuple[Any, ...]], sizes: Sequence[Any], tolerance: float = 1e-5,
    ) -> None:  # fmt: skip
        self.name, self.title, self.reference, self.sample = name, title, reference, sample
        self.sizes, self.tolerance = sizes, tolerance
        self.source = (files("lmbook.gpu.kernels") / f"{name}.cu").read_text(encoding="utf-8")
        self.versions: dict[str, Version] = {}

    def version(self, name: str) -> Callable[[Callable[..., Plan]], Callable[..., Plan]]:
        """Register the plan of a version; its reason is the comment above its first kernel."""

        def register(plan: Callable[..., Plan]) -> Callable[..., Plan]:
            self.versions[name] = Version(name, self.why(name), plan)
            return plan

        return register

    def why(self, name: str) -> str:
        """The comment above a version's kernels, without their numbers."""
        number = re.search(r"\d+", name)
        assert number is not None
        return " ".join(re.findall(rf"^// {number[0]}[a-z]?\. (.*)$", self.source, re.MULTILINE))

    @property
    def kernels(self) -> list[str]:
        """Names of all kernels of the source."""
        return re.findall(r"__global__ void\s+(?:__launch_bounds__\(\d+\)\s*)?(\w+)", self.source)

    def kernel(self, name: str) -> Kernel:
        """A kernel of the source, compiled once."""
        return compiled(self.source, name)

    def plan(self, version: str, *inputs: Any) -> Plan:
        """The launches of a version for these inputs; `ValueError` if there is no such version."""
        if version not in self.versions:
            raise ValueError(
                f"{self.name}: no version {version!r}; there are {', '.join(self.versions)}"
            )
        return self.versions[version].plan(*inputs)

    def run(self, version: str, *inputs: Any, races: bool = False) -> Outcome:
        """Carry out a version: simulated on NumPy arrays, on the GPU for CuPy's."""
        return self.launch(self.plan(version, *inputs), races)

    def launch(self, plan: Plan, races: bool = False) -> Outcome:
        """Carry out a plan."""
        reports: list[Report | None] = []
        for launch in plan.launches:
            k = self.kernel(launch.kernel)
            if races:
                reports.append(
                    k.simulate(launch.grid, launch.block, launch.args, shared_mem=launch.shared_mem,
                               races=True)
                )  # fmt: skip
            else:
                reports.append(
                    k(launch.grid, launch.block, launch.args, shared_mem=launch.shared_mem)
                )
        return Outcome(plan.outputs, reports)

    def agrees(self, outputs: Sequence[Any], *inputs: Any) -> bool:
        """Whether outputs equal the reference within the rung's tolerance."""
        return all(
            np.allclose(got, want, rtol=self.tolerance, atol=self.tolerance)
            for got, want in zip(outputs, self.reference(*inputs), strict=True)
        )

    def verify(self, version: str, *inputs: Any) -> None:
        """Run with all checks and compare with the reference.

        Raises `KernelFault` for what is undefined on a GPU, `WrongResult` with the line that stored it
        for the first number that is wrong.
        """
        plan = self.plan(version, *inputs)
        reports = []
        for x in plan.launches:
            k = self.kernel(x.kernel)
            reports.append(
                k.simulate(x.grid, x.block, x.args, shared_mem=x.shared_mem, races=True,
                           max_iterations=2000)
            )  # fmt: skip
        for got, want in zip(plan.outputs, self.reference(*inputs), strict=True):
            wrong = ~np.isclose(got, want, rtol=self.tolerance, atol=self.tolerance)
            if wrong.any():
                self._report_wrong(version, plan, reports, got, want, int(np.argmax(wrong)))

    def _report_wrong(
        self, version: str, plan: Plan, reports: list[Report], got: Array, want: Array, at: int
    ) -> None:
        """Say which number is wrong, and which line stored it."""
        place = tuple(int(i) for i in np.unravel_index(at, got.shape))
        number = f"{version}: element {place} is {got[place]:.6g}, NumPy has {want[place]:.6g}"
        writers = [
            (self.kernel(launch.kernel), report.writers[name])
            for launch, report in reversed(list(zip(plan.launches, reports)))
            for (name, _), a in zip(self.kernel(launch.kernel).parameters, launch.args)
            if a is got and name in report.writers
        ]
        for k, lines in writers:
            if lines[at]:
                raise _wrong(number, "stored it", k, int(lines[at]))
        for k, lines in writers:
            if lines.any():
                raise _wrong(
                    number, "stores others, but nothing was stored there", k, int(lines.max())
                )
        raise WrongResult(f"{number}; no kernel stores anything there", plan.launches[-1].kernel, 0)


def _wrong(number: str, what: str, k: Kernel, line: int) -> WrongResult:
    text = k.program.source[line - 1].strip()
    return WrongResult(f"{number}; {k.name}, line {line} {what}\n    {text}", k.name, line)


@cache
def compiled(source: str, name: str) -> Kernel:
    """A kernel, read once."""
    return Kernel(source, name)


def blocks(n: int, size: int) -> int:
    """How many blocks of `size` cover n things: n / size, rounded up, and at least one."""
    return max(1, -(-n // size))


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard normal numbers in float32."""
    return rng.standard_normal(shape, np.float32)
