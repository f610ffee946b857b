"""Tables of `python -m benchmarks.communication` for the page on speed: all-reduce, simulator, start-up."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from registers import FACTS, rows_of, table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NAMES = {"shared": "Shared memory", "sockets": "Sockets", "gloo": "gloo", "mpi": "MPICH"}
BACKENDS = {
    "sim": "sim", "replay": "replay", "proc": "proc", "torch": "torch (gloo)", "mpi": "mpi (MPICH)",
    "ray": "ray",
}  # fmt: skip


def size(nbytes: str) -> str:
    """1 KB, 64 KB, 1 MB: powers of two."""
    n = int(nbytes)
    return f"{n >> 20} MB" if n >= 1 << 20 else f"{n >> 10} KB"


def milliseconds(row: dict[str, str]) -> str:
    """The median and, in brackets, the quartiles."""
    return " ".join(
        text if i == 0 else f"({text}" if i == 1 else f"to {text})"
        for i, text in enumerate(f"{float(row[k]) / 1e3:.3g}" for k in ("us", "low_us", "high_us"))
    )


class AllReduce(SphinxDirective):
    """A row for each size, a column for each contender, for the number of ranks that is the argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "communication.csv"))
        found: dict[str, dict[str, str]] = {}
        for row in rows_of("communication.csv"):
            if row["ranks"] == self.arguments[0]:
                found.setdefault(row["bytes"], {})[row["contender"]] = milliseconds(row)
        rows: list[list[nodes.Node | str]] = [
            [size(n), *(cells.get(c, "\N{EN DASH}") for c in NAMES)] for n, cells in found.items()
        ]
        return [table(["Size", *NAMES.values()], [12, *[22] * len(NAMES)], rows)]


class Behind(SphinxDirective):
    """Where shared memory is slower than gloo, or that it is nowhere."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "communication.csv"))
        by = {
            (r["ranks"], r["bytes"], r["contender"]): float(r["us"])
            for r in rows_of("communication.csv")
        }
        slower = [
            f"{ranks} ranks, {size(n)}: {us / by[ranks, n, 'gloo']:.2f} times gloo's"
            for (ranks, n, c), us in by.items()
            if c == "shared" and us > by[ranks, n, "gloo"]
        ]
        text = "; ".join(slower) if slower else "at no size and number of ranks in the tables"
        return [nodes.paragraph(text=f"Slower than gloo by the median: {text}.")]


class Simulator(SphinxDirective):
    """Messages, seconds, microseconds a message and memory of each program."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "communication_simulator.csv"))
        rows: list[list[nodes.Node | str]] = [
            [r["program"], f"{int(r['messages']):,}", r["seconds"], r["us_a_message"], r["peak_mb"]]
            for r in rows_of("communication_simulator.csv")
        ]
        heads = [
            "Program",
            "Messages",
            "Seconds",
            "Microseconds a message",
            "Peak MB",
        ]
        return [table(heads, [40, 14, 16, 16, 12], rows)]


class Start(SphinxDirective):
    """Seconds of a run that does nothing."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "communication_start.csv"))
        rows: list[list[nodes.Node | str]] = [
            [BACKENDS[r["backend"]], r["seconds"], f"{r['low']} to {r['high']}"]
            for r in rows_of("communication_start.csv")
        ]
        return [table(["Backend", "Seconds", "Range"], [30, 20, 30], rows)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("all-reduce-times", AllReduce)
    app.add_directive("all-reduce-behind", Behind)
    app.add_directive("simulator-times", Simulator)
    app.add_directive("start-times", Start)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
