"""How long one step takes on a cluster, in a given layout, and what it needs of memory.

A model of times, not a measurement: matrix products at a stated share of the peak, messages by alpha-beta,
nothing overlaps unless asked. It is for comparing layouts; the tests state its misses against published runs.
"""

from dataclasses import dataclass
from math import ceil

from lmbook.parallel.planner.cluster import Cluster
from lmbook.parallel.planner.memory import activation_bytes, state_bytes
from lmbook.parallel.planner.model import Transformer, mfu


@dataclass(frozen=True)
class Layout:
    """How a step is divided: data x pipeline x context x tensor accelerators.

    `expert` of the data x context ranks share the experts. With `overlap` communication hides behind
    computation, as far as it can: see `predict`.
    """

    data: int = 1
    pipeline: int = 1
    tensor: int = 1
    context: int = 1
    microbatch: int = 1
    zero: int = 1
    chunks: int = 1
    recompute: str = "selective"
    sequence_parallel: bool = True
    expert: int = 1
    overlap: bool = False

    @property
    def accelerators(self) -> int:
        """How many it takes."""
        return self.data * self.pipeline * self.context * self.tensor

    def __str__(self) -> str:
        experts = f", experts over {self.expert}" if self.expert > 1 else ""
        return (
            f"data {self.data} x pipeline {self.pipeline} x context {self.context} x tensor {self.tensor}"
            f"{experts}, ZeRO-{self.zero}, recomputation {self.recompute}"
        )


@dataclass(frozen=True)
class Step:
    """The prediction for a step: seconds by part, bytes by part, utilisation.

    `hidden` are the seconds of communication that overlap with computation; they are not in `seconds`.
    """

    seconds: dict[str, float]
    bytes: dict[str, float]
    mfu: float
    hfu: float
    tokens_per_second: float
    hidden: float = 0.0

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
    bubble     (p - 1) / (v m) of the compute, tensor, context and expert time
    tensor     4 all-reduces of (b, s, h) a layer and microbatch, 6 with full recomputation
    pipeline   2 messages a boundary and microbatch, each chunk
    context    keys and values of a layer gathered, their gradients scattered: 2 (c - 1) / c of 2 (b, s, k)
    expert     4 all-to-alls a layer and microbatch, 6 with full recomputation: `expert_seconds`
    data       2 (d - 1) / d n, n the bytes of 16-bit gradients or weights. ZeRO-2 and 3 hold no whole
               gradients, so they scatter them for every microbatch; ZeRO-3 gathers the weights twice for each

    With `overlap` the gradients hide behind the backward pass of the last microbatch, with ZeRO-2 and 3
    behind all of the computation, and so do the experts' all-to-alls.
    """
    d, p, t, b, v = layout.data, layout.pipeline, layout.tensor, layout.microbatch, layout.chunks
    c, e = layout.context, layout.expert
    for name, whole, part in (
        ("sequences by data x microbatch", batch, d * b),
        ("positions by twice context", model.sequence, 2 * c if c > 1 else 1),
        ("heads by tensor", model.heads, t),
        ("experts by expert", model.experts or 1, e),
        ("data x context ranks by expert", d * c, e),
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
    full = layout.recompute == "full"
    reduces = (6 if full else 4) * m * deepest * (t > 1)
    tensor = reduces * (2 * (t - 1) / t * activation / wide + 2 * (t - 1) * cluster.latency)

    keys = 2 * activation * (model.kv_heads or model.heads) / model.heads / t
    road = cluster.inside if c * t <= cluster.per_node else cluster.between
    context = 2 * m * deepest * (c - 1) * (keys / road + cluster.latency) * (c > 1)

    mixtures = min(deepest, model.mixtures)
    expert = (6 if full else 4) * m * mixtures * expert_seconds(model, cluster, layout)

    way = cluster.between if t * c * p > cluster.per_node else cluster.inside
    pipeline = 2 * m * v * (p > 1) * (activation / t / way + cluster.latency)

    common = (model.parameters() - model.routed()) / (p * t)
    routed = model.routed() / (p * t * e)
    road = cluster.between if layout.accelerators > cluster.per_node else cluster.inside
    replicas = d * c  # all of them hold the same weights, but for the experts
    rounds = {2: m + 1, 3: 3 * m}.get(layout.zero, 2)
    rings = (
        [(common + routed, replicas)] if e == 1 else [(common, replicas), (routed, replicas // e)]
    )
    data = rounds * sum(
        (n - 1) / n * 2 * parameters / road + (n - 1) * cluster.latency for parameters, n in rings
    )

    hidden = 0.0
    if layout.overlap:
        backward = compute * (3 if full else 2) / (4 if full else 3)
        behind = backward if layout.zero < 2 else compute
        seen = max(data - (behind / m if layout.zero < 2 else behind), 0.0)
        shown = max(expert - compute, 0.0)
        hidden, data, expert = data - seen + expert - shown, seen, shown
    seconds = {
        "compute": compute,
        "bubble": (p - 1) / (v * m) * (compute + tensor + context + expert),
        "tensor": tensor,
        "context": context,
        "expert": expert,
        "pipeline": pipeline,
        "data": data,
    }
    kept = min(m, p) if v == 1 else p + (p - 1) / v
    layer = activation_bytes(model, b, t, layout.sequence_parallel, layout.recompute)
    working = activation_bytes(model, b, t, layout.sequence_parallel) if full else layer
    gathered = 4 * (common + routed) / deepest if layout.zero == 3 and replicas > 1 else 0.0
    memory = {
        "state": state_bytes(common, replicas, layout.zero)
        + state_bytes(routed, replicas // e, layout.zero),
        "activations": kept * layer * deepest / c,
        "working": working / c + gathered,
    }
    speed = tokens / sum(seconds.values())
    used, worked = (
        mfu(speed, model.flops_per_token(recompute=again), layout.accelerators, cluster.peak)
        for again in ("none", layout.recompute)
    )
    return Step(seconds, memory, used, worked, speed, hidden)


def expert_seconds(model: Transformer, cluster: Cluster, layout: Layout) -> float:
    """Seconds of one all-to-all: b s / (c t) tokens leave a rank, a copy for each expert, at 2 bytes.

    Over the network a token goes at most once to each of `nodes` nodes, if the model limits them, and the
    share that stays on the own node is free. Experts are taken to be equally busy.
    """
    e = layout.expert
    if e == 1:
        return 0.0
    tokens = layout.microbatch * model.sequence / (layout.context * layout.tensor)
    span = e * layout.tensor / cluster.per_node  # nodes of the ranks that share the experts
    copies, away, road = model.top_k, (e - 1) / e, cluster.inside
    if span > 1:
        copies, away, road = min(copies, model.nodes or copies), 1 - 1 / span, cluster.between
    return tokens * copies * away * 2 * model.hidden / road + (e - 1) * cluster.latency
