"""One training step of a large Transformer on a mesh, with its messages and times and without its numbers.

Thousands of ranks fit into one process when arrays shrink: a byte of the simulation stands for `unit` bytes.
Nothing overlaps but the stages of the pipeline. Sources for the messages: Narayanan et al. 2021; Liu et al.
2023; Lepikhin et al. 2020.
"""

from dataclasses import dataclass

import numpy as np

from lmbook.distributed import Communicator, Regions
from lmbook.parallel.mesh import Mesh

BYTES = 2
"""Of an activation or a gradient, in 16 bits."""


@dataclass(frozen=True)
class Workload:
    """A model and its microbatch of one sequence; `flops` is what an accelerator reaches in a second."""

    parameters: float = 70e9
    layers: int = 80
    width: int = 8192
    kv_width: int = 1024
    tokens: int = 8192
    microbatches: int = 4
    experts_per_token: int = 2
    flops: float = 400e12
    unit: int = 2**20

    def messages(self, axes: dict[str, int]) -> dict[str, float]:
        """Bytes of one message on each axis.

        pp: an activation. tp: what one all-reduce sums, two for each layer of a stage together. cp: keys
        and values of a stage's layers. ep: what one rank has for all others, out and back. dp: the gradient.
        """
        n = {"dp": 1, "pp": 1, "cp": 1, "ep": 1, "tp": 1, **axes}
        mine = self.tokens / n["cp"] * BYTES
        layers = self.layers / n["pp"]
        return {
            "pp": mine * self.width,
            "tp": 2 * layers * mine * self.width,
            "cp": 2 * layers * mine * self.kv_width,
            "ep": 2 * layers * mine * self.width * self.experts_per_token,
            "dp": self.parameters * BYTES / (n["pp"] * n["tp"]),
        }

    def seconds(self, axes: dict[str, int]) -> float:
        """Forward computation of a microbatch on one rank: 2 FLOP for each parameter and token."""
        n = {"pp": 1, "cp": 1, "tp": 1, **axes}
        return 2 * self.parameters * self.tokens / (n["pp"] * n["tp"] * n["cp"]) / self.flops


def virtual_step(comm: Communicator, axes: dict[str, int], work: Workload) -> None:
    """All forwards, all backwards (GPipe's order), then the gradients' all-reduce.

        run(virtual_step, 64, {"dp": 4, "pp": 2, "tp": 8}, Workload(), network=nodes(64))

    `axes` in the order of `Mesh`: the last one has neighbours.
    """
    mesh = Mesh(comm, **axes)
    size = work.messages(axes)

    def block(axis: str, parts: int = 1) -> np.ndarray:
        return np.zeros(round(size[axis] / parts / work.unit), np.uint8)

    groups = {a: mesh[a] for a, n in axes.items() if n > 1}

    def compute(passes: int) -> None:
        comm.compute(passes * work.seconds(axes), "forward" if passes == 1 else "backward")
        if tp := groups.get("tp"):
            tp.all_reduce(block("tp"), algorithm="recursive_doubling")
        if cp := groups.get("cp"):
            held = block("cp")
            for _ in range(cp.size - 1):
                held = cp.sendrecv(held, (cp.rank + 1) % cp.size, (cp.rank - 1) % cp.size)
        if ep := groups.get("ep"):
            ep.all_to_all([block("ep", ep.size)] * ep.size)

    pp = groups.get("pp")
    first, last = pp is None or pp.rank == 0, pp is None or pp.rank == pp.size - 1
    for i in range(work.microbatches):
        if not first:
            pp.recv(pp.rank - 1, i)  # type: ignore[union-attr]
        compute(1)
        if not last:
            pp.isend(block("pp"), pp.rank + 1, i)  # type: ignore[union-attr]
    for i in range(work.microbatches):
        if not last:
            pp.recv(pp.rank + 1, i)  # type: ignore[union-attr]
        compute(2)
        if not first:
            pp.isend(block("pp"), pp.rank - 1, i)  # type: ignore[union-attr]
    if dp := groups.get("dp"):
        dp.all_reduce(block("dp"), algorithm="halving_doubling")


def nodes(
    ranks: int, size: int = 8, inside: float = 400e9, between: float = 50e9, unit: int = 2**20
) -> Regions:
    """Machines of `size` accelerators: bytes a second inside, and through each one's adapter between them."""
    if ranks % size:
        raise ValueError(f"nodes: {ranks} ranks do not fill nodes of {size}")
    return Regions(
        [size] * (ranks // size), (2e-6, unit / inside), (5e-6, unit / between), lanes=size
    )
