"""How long one step takes on a cluster, in a given layout, and what it needs of memory.

A model of times, not a measurement: matrix products at a stated share of the peak, messages by alpha-beta,
nothing overlaps. It is for comparing layouts; its misses against published runs stand in the tests.
"""

from dataclasses import dataclass
from math import ceil

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
    """How a step is divided: data x pipeline x context x tensor accelerators."""

    data: int = 1
    pipeline: int = 1
    tensor: int = 1
    context: int = 1
    microbatch: int = 1
    zero: int = 1
    chunks: int = 1
    recompute: str = "selective"
    sequence_parallel: bool = True

    @property
    def accelerators(self) -> int:
        """How many it takes."""
        return self.data * self.pipeline * self.context * self.tensor

    def __str__(self) -> str:
        return (
            f"data {self.data} x pipeline {self.pipeline} x context {self.context} x tensor {self.tensor}, "
            f"ZeRO-{self.zero}, recomputation {self.recompute}"
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

    compute    FLOP / (accelerators x peak x efficiency), recomputation included; the rank with most layers
               sets the pace
    bubble     (p - 1) / (v m) of the compute, tensor and context time
    tensor     4 all-reduces of (b, s, h) a layer and microbatch, 6 with full recomputation
    pipeline   2 messages a boundary and microbatch, each chunk
    context    keys and values of a layer gathered, their gradients scattered: 2 (c - 1) / c of 2 (b, s, k)
    data       2 (d - 1) / d n, n the bytes of 16-bit gradients or weights; with ZeRO-3 3 of them, in a
               pipeline for every microbatch
    """
    d, p, t, b, v = layout.data, layout.pipeline, layout.tensor, layout.microbatch, layout.chunks
    c = layout.context
    for name, whole, part in (
        ("sequences by data x microbatch", batch, d * b),
        ("positions by twice context", model.sequence, 2 * c if c > 1 else 1),
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
    deepest = ceil(model.layers / (p * v)) * v  # layers of the rank that has most
    pace = deepest * p / model.layers
    compute = pace * flops / (layout.accelerators * cluster.peak * cluster.efficiency)

    activation = 2 * b * model.sequence // c * model.hidden  # bytes of (b, s / c, h) at 16 bits
    wide = cluster.inside if t <= cluster.per_node else cluster.between
    times = 6 if layout.recompute == "full" else 4
    reduces = times * m * deepest * (t > 1)
    tensor = reduces * (2 * (t - 1) / t * activation / wide + 2 * (t - 1) * cluster.latency)

    keys = 2 * activation * (model.kv_heads or model.heads) / model.heads / t
    road = cluster.inside if c * t <= cluster.per_node else cluster.between
    context = 2 * m * deepest * (c - 1) * (keys / road + cluster.latency) * (c > 1)

    way = cluster.between if t * c * p > cluster.per_node else cluster.inside
    pipeline = 2 * m * v * (p > 1) * (activation / t / way + cluster.latency)

    parameters = model.parameters() / (p * t)
    road = cluster.between if layout.accelerators > cluster.per_node else cluster.inside
    replicas = d * c  # all of them hold the same weights
    rounds = 3 * m if layout.zero == 3 and p > 1 else 3 if layout.zero == 3 else 2
    share = (replicas - 1) / replicas
    data = rounds * (share * 2 * parameters / road + (replicas - 1) * cluster.latency)

    seconds = {
        "compute": compute,
        "bubble": (p - 1) / (v * m) * (compute + tensor + context),
        "tensor": tensor,
        "context": context,
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
        "state": state_bytes(parameters, replicas, layout.zero),
        "activations": kept * layer * deepest / c,
        "working": working / c,
    }
    speed = tokens / sum(seconds.values())
    used = mfu(speed, model.flops_per_token(), layout.accelerators, cluster.peak)
    return Step(seconds, memory, used, speed)
