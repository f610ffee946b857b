"""Choose a layout for a model and a cluster, and say why."""

from collections.abc import Iterator
from dataclasses import dataclass

from lmbook.parallel.planner.model import Transformer
from lmbook.parallel.planner.step import Cluster, Layout, Step, predict


@dataclass(frozen=True)
class Plan:
    """The chosen layout, its prediction, and the best of those that came near."""

    layout: Layout
    step: Step
    others: list[tuple[Layout, Step]]
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
            f"time: {share}",
            f"memory: {s.memory / 1e9:.1f} GB ({bytes_})",
            f"{self.tried} layouts tried, {self.too_large} of them too large",
        ]
        for layout, step in self.others:
            more = step.time / s.time - 1
            lines.append(f"next: {layout}: {more:+.1%} time, {step.memory / 1e9:.1f} GB")
        return "\n".join(lines)


def layouts(model: Transformer, cluster: Cluster, batch: int) -> Iterator[Layout]:
    """Layouts that use every accelerator and divide the work evenly, tensor parallelism inside a node.

    Context parallelism leaves each rank 4096 positions or more.
    """
    n = cluster.accelerators
    grids = (
        (n // (t * p * c), p, c, t)
        for t in _divisors(n, min(cluster.per_node, model.heads))
        for p in _divisors(n // t, model.layers)
        for c in _divisors(n // (t * p), max(1, model.sequence // 4096))
    )
    for d, p, c, t in grids:
        if model.heads % t == 0 and model.layers % p == 0 and batch % d == 0:
            for b in (1, 2, 4, 8):
                if batch % (d * b):
                    continue
                for v in (1, 2, 4) if p > 1 else (1,):
                    if v > 1 and (model.layers % (p * v) or batch // (d * b) % p):
                        continue
                    for zero in (1, 2, 3) if d * c > 1 else (1,):
                        for recompute in ("none", "selective", "full"):
                            yield Layout(d, p, t, c, b, zero, v, recompute, t > 1)


def _divisors(n: int, most: int) -> list[int]:
    return [i for i in range(1, min(n, most) + 1) if n % i == 0]


def plan(
    model: Transformer, cluster: Cluster, batch: int, reserve: float = 0.1, near: int = 3
) -> Plan:
    """The quickest layout that fits, with `reserve` of the memory left free.

    Searches data, pipeline, context and tensor degrees, ZeRO stage, microbatch, interleaving and
    recomputation. Raises `ValueError` if none fits, naming the smallest.
    """
    fits: list[tuple[Layout, Step]] = []
    least: tuple[float, Layout] | None = None
    tried = 0
    for layout in layouts(model, cluster, batch):
        step = predict(model, cluster, layout, batch)
        tried += 1
        if least is None or step.memory < least[0]:
            least = (step.memory, layout)
        if step.memory <= (1 - reserve) * cluster.memory:
            fits.append((layout, step))
    if not fits:
        raise ValueError(
            f"plan: nothing fits {cluster.memory / 1e9:.0f} GB on {cluster.accelerators} accelerators; "
            + (f"the smallest needs {least[0] / 1e9:.1f} GB, {least[1]}" if least else
               f"no layout divides a batch of {batch} sequences evenly")
        )  # fmt: skip
    fits.sort(key=lambda found: (found[1].time, found[1].memory))
    (layout, step), *others = fits
    seen = {(layout.data, layout.pipeline, layout.context, layout.tensor)}
    apart = []
    for other in others:  # the next ones that divide the ranks differently
        key = (other[0].data, other[0].pipeline, other[0].context, other[0].tensor)
        if key not in seen:
            seen.add(key)
            apart.append(other)
    return Plan(layout, step, apart[:near], tried, tried - len(fits))
