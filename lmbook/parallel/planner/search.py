"""Choose a layout for a model and a cluster, and say why."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from lmbook.parallel.planner.cluster import Cluster
from lmbook.parallel.planner.model import Transformer
from lmbook.parallel.planner.step import Layout, Step, predict

UNEVEN = 1.1
"""How much more than the average the fullest stage of a pipeline may hold."""
POSITIONS = 2048
"""The fewest positions that context parallelism leaves a rank."""
Found = tuple[Layout, Step]


@dataclass(frozen=True)
class Plan:
    """The chosen layout, its prediction, and the best of those that came near."""

    layout: Layout
    step: Step
    others: list[Found]
    tried: int
    too_large: int

    def explain(self) -> str:
        """In words: what was chosen, where time and memory go, and what the next best would cost."""
        s, a = self.step, self.layout
        share = ", ".join(f"{k} {v / s.time:.1%}" for k, v in s.seconds.items() if v)
        bytes_ = ", ".join(f"{k} {v / 1e9:.1f} GB" for k, v in s.bytes.items())
        lines = [
            f"{a}, microbatch {a.microbatch}, {a.chunks} chunks",
            f"{s.time:.2f} s a step, {s.tokens_per_second:,.0f} tokens/s, MFU {s.mfu:.1%}",
            f"time: {share}" + (f"; hidden {s.hidden:.2f} s" if s.hidden else ""),
            f"memory: {s.memory / 1e9:.1f} GB ({bytes_})",
            f"{self.tried} layouts tried, {self.too_large} of them too large",
            *self.reasons(),
        ]
        for layout, step in self.others:
            more = step.time / s.time - 1
            lines.append(f"next: {layout}: {more:+.1%} time, {step.memory / 1e9:.1f} GB")
        return "\n".join(lines)

    def reasons(self) -> list[str]:
        """Which part takes most of the time that is not computation, and what memory forces."""
        s, a = self.step, self.layout
        waste = {k: v for k, v in s.seconds.items() if k != "compute" and v}
        found = []
        if waste:
            most = max(waste, key=lambda k: waste[k])
            found.append(
                f"why: besides computation most time goes to {most} ({waste[most] / s.time:.1%})"
            )
        if a.recompute != "none":
            extra = 1 - s.mfu / s.hfu
            found.append(
                f"why: {a.recompute} recomputation is {extra:.1%} of all FLOP; it saves memory"
            )
        return found


def layouts(
    model: Transformer, cluster: Cluster, batch: int, overlap: bool = False
) -> Iterator[Layout]:
    """Layouts that use every accelerator and divide the work, tensor parallelism by a divisor of a node.

    Context parallelism leaves each rank `POSITIONS` or more. Stages may be uneven by `UNEVEN`.
    """
    n = cluster.accelerators
    grids = (
        (n // (t * p * c), p, c, t)
        for t in _divisors(n, min(cluster.per_node, model.heads))
        for p in _divisors(n // t, model.layers)
        for c in _divisors(n // (t * p), max(1, model.sequence // POSITIONS))
    )
    for d, p, c, t in grids:
        if (
            model.heads % t
            or cluster.per_node % t
            or batch % d
            or model.sequence % (2 * c if c > 1 else 1)
        ):
            continue
        shares = [e for e in _divisors(d * c, model.experts or 1) if (model.experts or 1) % e == 0]
        for b in (1, 2, 4, 8):
            if batch % (d * b):
                continue
            for v in (1, 2, 4, 8) if p > 1 else (1,):
                fullest = ceil(model.layers / (p * v)) * v * p / model.layers
                if fullest > UNEVEN or (v > 1 and batch // (d * b) % p):
                    continue
                for zero in (1, 2, 3) if d * c > 1 else (1,):
                    for recompute in ("none", "selective", "full"):
                        for e in shares:
                            yield Layout(d, p, t, c, b, zero, v, recompute, t > 1, e, overlap)


def _divisors(n: int, most: int) -> list[int]:
    return [i for i in range(1, min(n, most) + 1) if n % i == 0]


def search(model: Transformer, cluster: Cluster, batch: int, overlap: bool = False) -> list[Found]:
    """Every layout with its prediction, whether it fits or not, the quickest first."""
    found = [
        (layout, predict(model, cluster, layout, batch))
        for layout in layouts(model, cluster, batch, overlap)
    ]
    return sorted(found, key=lambda one: (one[1].time, one[1].memory))


def plan(
    model: Transformer,
    cluster: Cluster,
    batch: int,
    reserve: float = 0.1,
    near: int = 3,
    overlap: bool = False,
) -> Plan:
    """The quickest layout that fits, with `reserve` of the memory left free.

    Searches data, pipeline, context, tensor and expert degrees, ZeRO stage, microbatch, interleaving and
    recomputation. Raises `ValueError` if none fits, naming the smallest.
    """
    every = search(model, cluster, batch, overlap)
    fits = [one for one in every if one[1].memory <= (1 - reserve) * cluster.memory]
    if not fits:
        least = min(every, key=lambda one: one[1].memory, default=None)
        raise ValueError(
            f"plan: nothing fits {cluster.memory / 1e9:.0f} GB on {cluster.accelerators} accelerators; "
            + (f"the smallest needs {least[1].memory / 1e9:.1f} GB, {least[0]}" if least else
               f"no layout divides a batch of {batch} sequences evenly")
        )  # fmt: skip
    (layout, step), *others = fits
    seen = {(layout.data, layout.pipeline, layout.context, layout.tensor)}
    apart = []
    for other in others:  # the next ones that divide the ranks differently
        key = (other[0].data, other[0].pipeline, other[0].context, other[0].tensor)
        if key not in seen:
            seen.add(key)
            apart.append(other)
    return Plan(layout, step, apart[:near], len(every), len(every) - len(fits))


def frontier(found: list[Found]) -> list[Found]:
    """Of the layouts, those that no other beats in both time and memory, the quickest first."""
    best: list[Found] = []
    for one in sorted(found, key=lambda one: (one[1].time, one[1].memory)):
        if not best or one[1].memory < best[-1][1].memory:
            best.append(one)
    return best
