"""How long one step takes on a cluster, in a given layout, and what it needs of memory.

A model of times, not a measurement: matrix products at a stated share of the peak, messages by alpha-beta,
nothing overlaps. It is for comparing layouts; its misses against published runs stand in the tests.
"""

from dataclasses import dataclass

from lmbook.parallel.planner.memory import activation_bytes, state_bytes
from lmbook.parallel.planner.model import Transformer, mfu


@dataclass(frozen=True)
class Cluster:
    """Equal accelerators in nodes. Bandwidths are bytes a second, one way, of one accelerator."""

    accelerators: int
    peak: float
    memory: float
    per_node: int = 8
    inside: float = 300e9
    between: float = 25e9
    latency: float = 5e-6
    efficiency: float = 0.6
    """The share of the peak that matrix products reach."""


@dataclass(frozen=True)
class Layout:
    """How a step is divided: data x pipeline x tensor accelerators."""

    data: int = 1
    pipeline: int = 1
    tensor: int = 1
    microbatch: int = 1
    zero: int = 1
    chunks: int = 1
    recompute: str = "selective"
    sequence_parallel: bool = True

    @property
    def accelerators(self) -> int:
        """How many it takes."""
        return self.data * self.pipeline * self.tensor

    def __str__(self) -> str:
        return (
            f"data {self.data} x pipeline {self.pipeline} x tensor {self.tensor}, ZeRO-{self.zero}, "
            f"recomputation {self.recompute}"
        )


@dataclass(frozen=True)
class Step:
    """The prediction for a step: seconds by part, bytes by part, utilisation."""

    seconds: dict[str, float]
    bytes: dict[str, float]
    mfu: float
    tokens_per_second: float

    @property
    def time(self) -> float:
        """Seconds of the step."""
        return sum(self.seconds.values())

    @property
    def memory(self) -> float:
        """Bytes on the fullest accelerator, the pipeline's first."""
        return sum(self.bytes.values())


def predict(model: Transformer, cluster: Cluster, layout: Layout, batch: int) -> Step:
    """A step on `batch` sequences. Raises `ValueError` for a layout that does not divide the work evenly.

    compute    FLOP / (accelerators x peak x efficiency), recomputation included
    bubble     (p - 1) / (v m) of the compute and tensor time
    tensor     4 all-reduces of (b, s, h) a layer and microbatch, 6 with full recomputation
    pipeline   2 messages a boundary and microbatch, each chunk
    data       2 (d - 1) / d n, n the bytes of 16-bit gradients or weights; with ZeRO-3 3 of them, in a
               pipeline for every microbatch
    """
    d, p, t, b, v = layout.data, layout.pipeline, layout.tensor, layout.microbatch, layout.chunks
    for name, whole, part in (
        ("sequences by data x microbatch", batch, d * b),
        ("layers by pipeline x chunks", model.layers, p * v),
        ("heads by tensor", model.heads, t),
    ):
        if whole % part:
            raise ValueError(f"predict: {whole} {name} = {part} do not divide")
    m = batch // (d * b)
    if v > 1 and m % p:
        raise ValueError(
            f"predict: {m} microbatches are no multiple of {p} stages, as interleaving needs"
        )
    tokens = batch * model.sequence
    flops = model.flops_per_token(recompute=layout.recompute) * tokens
    compute = flops / (layout.accelerators * cluster.peak * cluster.efficiency)

    activation = 2 * b * model.sequence * model.hidden  # bytes of (b, s, h) at 16 bits
    wide = cluster.inside if t <= cluster.per_node else cluster.between
    times = 6 if layout.recompute == "full" else 4
    reduces = times * m * model.layers / p * (t > 1)
    tensor = reduces * (2 * (t - 1) / t * activation / wide + 2 * (t - 1) * cluster.latency)

    way = cluster.between if t * p > cluster.per_node else cluster.inside
    pipeline = 2 * m * v * (p > 1) * (activation / t / way + cluster.latency)

    parameters = model.parameters() / (p * t)
    road = cluster.between if d * p * t > cluster.per_node else cluster.inside
    rounds = 3 * m if layout.zero == 3 and p > 1 else 3 if layout.zero == 3 else 2
    data = (d > 1) * rounds * ((d - 1) / d * 2 * parameters / road + (d - 1) * cluster.latency)

    seconds = {
        "compute": compute,
        "bubble": (p - 1) / (v * m) * (compute + tensor),
        "tensor": tensor,
        "pipeline": pipeline,
        "data": data,
    }
    kept = min(m, p) if v == 1 else p + (p - 1) / v
    layer = activation_bytes(model, b, t, layout.sequence_parallel, layout.recompute)
    working = (
        layer
        if layout.recompute != "full"
        else activation_bytes(model, b, t, layout.sequence_parallel)
    )
    memory = {
        "state": state_bytes(parameters, d, layout.zero),
        "activations": kept * layer * model.layers / p,
        "working": working,
    }
    speed = tokens / sum(seconds.values())
    used = mfu(speed, model.flops_per_token(), layout.accelerators, cluster.peak)
    return Step(seconds, memory, used, speed)
