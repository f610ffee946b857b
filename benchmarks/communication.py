"""All-reduce beside gloo and MPI, and the simulator's speed: `python -m benchmarks.communication`.

Contenders take turns, each in fresh processes: sockets, shared memory, gloo and MPI. Every rank checks the
sum before a time is taken, and a time is that of the slowest rank, from a barrier on. Registers:
`communication.csv`, `communication_simulator.csv`, `communication_start.csv`; figure: `communication.png`.
"""

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import FACTS, save
from lmbook.distributed import Communicator, Network, run

REGISTER = FACTS.with_name("communication.csv")
SIMULATOR = FACTS.with_name("communication_simulator.csv")
START = FACTS.with_name("communication_start.csv")
SIZES = [1 << k for k in range(10, 27, 2)]
CONTENDERS = {
    "sockets": "lmbook, sockets", "shared": "lmbook, shared memory", "gloo": "gloo", "mpi": "MPI",
}  # fmt: skip
OURS = ("sockets", "shared")


# --- All-reduce ------------------------------------------------------------------------------------


def seconds(comm: Communicator, reduce: Callable[[], Any], calls: int) -> list[float]:
    """Seconds of each call, after one to warm up."""
    reduce()
    times = []
    for _ in range(calls):
        comm.barrier()
        start = time.perf_counter()
        reduce()
        times.append(time.perf_counter() - start)
    return times


def calls(nbytes: int) -> int:
    """How often a size is timed."""
    return max(5, min(40, 30_000_000 // nbytes))


def checked(y: Any, x: np.ndarray, size: int) -> None:
    """Raise unless y is the sum of what the ranks gave: rank r the vector x (r + 1)."""
    if not np.allclose(y, x * (size * (size + 1) // 2)):
        raise RuntimeError("the sum is wrong; no time is worth printing")


def ours(comm: Communicator, sizes: list[int], algorithm: str) -> list[list[float]]:
    """Times of `comm.all_reduce` for each size; the algorithm "native" is that of MPI."""
    found = []
    for n in sizes:
        x = np.arange(n // 4, dtype=np.float32) % 7
        mine = x * np.float32(comm.rank + 1)
        checked(comm.all_reduce(mine, algorithm=algorithm), x, comm.size)

        def reduce(mine: np.ndarray = mine) -> None:
            comm.all_reduce(mine, algorithm=algorithm)

        found.append(seconds(comm, reduce, calls(n)))
    return found


def gloo(comm: Communicator, sizes: list[int], store: str) -> list[list[float]]:
    """Times of PyTorch's own all-reduce over gloo, in processes where nothing else runs."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=store, rank=comm.rank, world_size=comm.size)
    found = []
    for n in sizes:
        x = torch.arange(n // 4, dtype=torch.float32) % 7
        y = x * (comm.rank + 1)
        dist.all_reduce(y)
        checked(y.numpy(), x.numpy(), comm.size)
        zero = torch.zeros_like(x)
        found.append(seconds(comm, lambda zero=zero: dist.all_reduce(zero), calls(n)))  # type: ignore[misc]
    comm.barrier()
    dist.destroy_process_group()
    return found


def turn(contender: str, ranks: int, sizes: list[int]) -> list[list[float]]:
    """One run of a contender: for each size the times of the calls, each that of the slowest rank."""
    if contender == "gloo":
        with tempfile.TemporaryDirectory(prefix="lmbook-gloo-") as folder:
            told = run(gloo, ranks, sizes, (Path(folder) / "store").as_uri(), backend="proc")
    elif contender == "mpi":
        told = run(ours, ranks, sizes, "native", backend="mpi")
    else:
        told = run(ours, ranks, sizes, "auto", backend="proc", shared=contender == "shared")
    return [
        [max(each) for each in zip(*by_rank, strict=True)] for by_rank in zip(*told, strict=True)
    ]


def all_reduce(
    counts: list[int], sizes: list[int], contenders: list[str], rounds: int
) -> list[dict[str, Any]]:
    """A row for each number of ranks, size and contender: microseconds, median and quartiles."""
    rows = []
    for ranks in counts:
        times: dict[str, list[list[float]]] = {c: [[] for _ in sizes] for c in contenders}
        for _ in range(rounds):
            for c in contenders:
                for kept, new in zip(times[c], turn(c, ranks, sizes), strict=True):
                    kept += new
        for i, n in enumerate(sizes):
            for c in contenders:
                low, middle, high = (1e6 * t for t in statistics.quantiles(times[c][i], n=4))
                rows.append(
                    {"ranks": ranks, "bytes": n, "contender": c, "us": f"{middle:.0f}",
                     "low_us": f"{low:.0f}", "high_us": f"{high:.0f}", "calls": len(times[c][i])}
                )  # fmt: skip
    return rows


def behind(rows: list[dict[str, Any]], rival: str = "gloo") -> list[str]:
    """Where shared memory is slower than a rival, in words."""
    by = {(r["ranks"], r["bytes"], r["contender"]): float(r["us"]) for r in rows}
    return [
        f"{ranks} ranks, {n} bytes: {us / by[ranks, n, rival]:.2f} times {rival}"
        for (ranks, n, c), us in by.items()
        if c == "shared" and (ranks, n, rival) in by and us > by[ranks, n, rival]
    ]


# --- The simulator ---------------------------------------------------------------------------------


def ping_pong(comm: Communicator, rounds: int) -> None:
    """Even and odd neighbours answer each other."""
    x, other = np.ones(1), comm.rank ^ 1
    for _ in range(rounds):
        if comm.rank % 2:
            comm.recv(other)
            comm.send(x, other)
        else:
            comm.send(x, other)
            comm.recv(other)


def ring(comm: Communicator) -> float:
    """An all-reduce round the ring."""
    return float(comm.all_reduce(np.ones(comm.size))[0])


def step(comm: Communicator, layers: int = 2, microbatches: int = 4) -> float:
    """A training step on a mesh of 64 x 8 x 8: tensor parallel layers in a pipeline, gradients over data.

    Activations and gradients are short vectors; what is simulated is who talks to whom, and when.
    """
    from lmbook.parallel.mesh import Mesh

    mesh = Mesh(comm, dp=comm.size // 64, pp=8, tp=8)
    tp, pp, dp = mesh["tp"], mesh["pp"], mesh["dp"]
    x = np.ones(8, np.float32)
    for seconds_each, ahead in (
        (1e-3, 1),
        (2e-3, -1),
    ):  # forward down the pipeline, then backward up
        for _ in range(microbatches):
            if 0 <= pp.rank - ahead < pp.size:
                x = pp.recv(pp.rank - ahead)
            for _ in range(layers):
                comm.compute(seconds_each)
                x = tp.all_reduce(x, "mean", "recursive_doubling")
            if 0 <= pp.rank + ahead < pp.size:
                pp.send(x, pp.rank + ahead)
    return float(dp.all_reduce(np.full(dp.size, comm.rank, np.float32), "mean")[0])


PROGRAMS: dict[str, tuple[Callable[..., Any], int, tuple]] = {
    "100,000 messages between 8 ranks": (ping_pong, 8, (12_500,)),
    "all-reduce round a ring of 256 ranks": (ring, 256, ()),
    "all-reduce round a ring of 1,024 ranks": (ring, 1024, ()),
    "training step of 4,096 ranks, data x pipeline x tensor = 64 x 8 x 8": (step, 4096, ()),
}


def simulate(name: str) -> dict[str, Any]:
    """Time one program, in a process of its own, since memory is counted too."""
    fn, ranks, args = PROGRAMS[name]

    def alone(comm: Communicator) -> tuple[float, int, float, int]:
        start = time.perf_counter()
        log = run(fn, ranks, *args, backend="sim", network=Network()).log
        spent = time.perf_counter() - start
        assert log is not None
        scale = 1 if platform.system() == "Darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        return spent, log.total_messages, log.time, peak

    spent, messages, virtual, peak = run(alone, 1, backend="proc")[0]
    return {"program": name, "ranks": ranks, "messages": messages, "seconds": f"{spent:.2f}",
            "us_a_message": f"{1e6 * spent / messages:.1f}", "virtual_ms": f"{1e3 * virtual:.3g}",
            "peak_mb": f"{peak / 1e6:.0f}"}  # fmt: skip


# --- Start-up --------------------------------------------------------------------------------------


def nothing(comm: Communicator) -> int:
    """A rank function that only tells who it is."""
    return comm.rank


def start(backend: str, ranks: int, rounds: int) -> dict[str, Any]:
    """Seconds of a run that does nothing: the median."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        if run(nothing, ranks, backend=backend) != [*range(ranks)]:
            raise RuntimeError(f"{backend} returned nonsense")
        times.append(time.perf_counter() - begin)
    return {"backend": backend, "ranks": ranks, "seconds": f"{statistics.median(times):.3g}",
            "low": f"{min(times):.3g}", "high": f"{max(times):.3g}"}  # fmt: skip


# --- The figure and the program --------------------------------------------------------------------


def draw(rows: list[dict[str, Any]], path: Path) -> Path:
    """Time over size, one panel for each number of ranks."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from lmbook.viz import figsize, style
    from lmbook.viz.colours import BLUE, GREEN, INK, ORANGE

    style()
    counts = sorted({int(r["ranks"]) for r in rows})
    fig, axes = plt.subplots(1, len(counts), figsize=figsize(1, 0.48), sharey=True, squeeze=False)
    looks = {
        "sockets": (ORANGE, "o"),
        "shared": (BLUE, "D"),
        "gloo": (INK, "s"),
        "mpi": (GREEN, "^"),
    }
    for ax, ranks in zip(axes[0], counts):
        for c, (colour, mark) in looks.items():
            mine = [r for r in rows if int(r["ranks"]) == ranks and r["contender"] == c]
            if mine:
                ax.plot([int(r["bytes"]) for r in mine], [float(r["us"]) / 1e3 for r in mine],
                        color=colour, marker=mark, label=CONTENDERS[c])  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ticks = [1 << k for k in (10, 16, 20, 26)]
        ax.set_xticks(ticks, ["1K", "64K", "1M", "64M"])
        ax.set_title(f"{ranks} ranks")
        ax.set_xlabel("Bytes of the vector")
    axes[0][0].set_ylabel("Milliseconds")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4,
               columnspacing=1.2, handletextpad=0.4)  # fmt: skip
    fig.savefig(path, dpi=200, metadata={"Software": None})
    plt.close(fig)
    return path


def main() -> int:
    """Measure, write the registers and the figure; exit code 1 where gloo was quicker."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.communication", description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="in bytes")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=[*CONTENDERS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="+", choices=("all_reduce", "simulator", "start"),
        default=("all_reduce", "simulator", "start"),
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    slower: list[str] = []
    if "all_reduce" in arguments.only:
        rows = all_reduce(arguments.ranks, arguments.sizes, arguments.contenders, arguments.rounds)
        for r in rows:
            print(f"{r['ranks']} ranks {r['bytes']:>9} bytes  {CONTENDERS[r['contender']]:22}"
                  f"{r['us']:>8} us  ({r['low_us']} to {r['high_us']})", flush=True)  # fmt: skip
        slower = behind(rows)
        print(*[f"slower: {line}" for line in slower], sep="\n")
        if not arguments.quick:
            save(REGISTER, rows)
            draw(rows, FACTS.parents[1] / "_static" / "communication.png")
    if "simulator" in arguments.only:
        found = [simulate(name) for name in PROGRAMS]
        print(*found, sep="\n")
        if not arguments.quick:
            save(SIMULATOR, found)
    if "start" in arguments.only:
        backends = ("sim", "replay", "proc", "torch", "mpi", "ray")
        told = [start(b, 2, arguments.rounds if b != "ray" else 1) for b in backends]
        print(*told, sep="\n")
        if not arguments.quick:
            save(START, told)
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
