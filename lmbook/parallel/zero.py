"""ZeRO-1 and ZeRO-2: the optimiser's state, then also the gradients, divided among the ranks.

With mixed precision and Adam a rank keeps 2 + 2 + 12 bytes for each parameter: weight, gradient, and the
optimiser's copy and two moments. Stage 1 keeps 2 + 2 + 12 / p, stage 2 keeps 2 + 14 / p, stage 3 16 / p.
Source: Rajbhandari et al. 2020.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator
from lmbook.nn import Module, Parameter
from lmbook.optim import Optimizer
from lmbook.parallel.buckets import buckets
from lmbook.parallel.shard import FlatShard

Factory = Callable[[list[Tensor]], Optimizer]


def on_blocks(optimizer: Optimizer, whole: bool = False) -> Optimizer:
    """The optimiser, if its updates depend on nothing that another rank has."""
    name = type(optimizer).__name__
    if optimizer.reach == "all":
        raise TypeError(
            f"{name} needs all parameters at once, for inner products over the whole model; give every rank "
            f"the whole with DistributedDataParallel, and run {name} on each"
        )
    if optimizer.reach == "tensor" and not whole:
        raise TypeError(
            f"{name} needs whole tensors; pass whole=True, which divides them without cutting any, or choose "
            "an optimiser that treats each entry by itself, such as SGD, Adam, AdamW, RMSprop, Lion"
        )
    return optimizer


def any_rank(comm: Communicator) -> Callable[[bool], bool]:
    """Whether something is true on any rank, the same answer on all: what a loss scaler must agree on.

        scaler = GradScaler(agree=any_rank(comm))

    A rank sees the gradients of its blocks only; one that alone left a step out would leave the others.
    Bytes: one float, all-reduced.
    """
    return lambda found: bool(comm.all_reduce(np.float32(found), "max") > 0)


class ZeroRedundancyOptimizer:
    """An optimiser of which each rank does a block, and keeps the state of that block only.

        optimizer = ZeroRedundancyOptimizer(model, comm, lambda ps: AdamW(ps, lr=1e-3), stage=2)
        loss(model, batch).backward(); optimizer.step(); optimizer.zero_grad()

    Stage 1 reduces gradients at `step`; stage 2 in the backward pass, bucket by bucket, and drops each at
    once. `step` updates the block and gathers the parameters. All ranks start from rank 0's. Bytes a
    step: 2 (p - 1) n, as data parallelism; with `shards` logical shards, see `LogicalShards`, the same.

    `module` is a module or some of its parameters, so that two optimisers can share a model: Muon for the
    matrices, with `whole`, which cuts no tensor, and AdamW for the rest. `param_dtype` ("float16",
    "bfloat16") rounds the weights that layers see, and keeps float32 masters in the blocks: mixed precision.
    """

    def __init__(
        self,
        module: Module | Sequence[Tensor],
        comm: Communicator,
        optimizer: Factory,
        stage: int = 1,
        bucket_bytes: int | None = 25 * 2**20,
        shards: int | None = None,
        whole: bool = False,
        param_dtype: str | None = None,
    ) -> None:
        if stage not in (1, 2):
            raise ValueError(
                f"ZeroRedundancyOptimizer: stage {stage}; 1 or 2, and FullyShardedDataParallel is stage 3"
            )
        given = module.parameters() if isinstance(module, Module) else module
        trained = [p for p in given if p.requires_grad]
        self.stage, self.shards = stage, shards
        self.units = [
            FlatShard(b, comm, shards, whole, param_dtype) for b in buckets(trained, bucket_bytes)
        ]
        self.mine = self.units[0].mine if shards is not None else range(0)
        parts: list[Tensor] = [p for u in self.units for p in u.parts]
        nothing: list[Tensor] = [
            Parameter(np.zeros((0, 0), trained[0].dtype))
        ]  # more ranks than tensors
        self.inner = on_blocks(optimizer(parts or nothing), whole)
        if stage == 2 or shards is not None:
            for u in self.units:
                u.watch(then_release=False)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the inner optimiser, for schedules."""
        return self.inner.param_groups

    def blocks(self) -> list[Tensor]:
        """This rank's entries of the parameters, with their gradients before `step`."""
        return [u.block for u in self.units]

    def reduce(self) -> None:
        """Bring the gradients to the blocks, where that has not been done in the backward pass.

        `step` does it; call it before to clip, or before a `GradScaler`'s `unscale_`.
        """
        if self.stage == 1 and self.shards is None:
            for u in self.units:
                if any(t.grad is not None for t in u.tensors):
                    u.add()

    def step(self) -> None:
        """Update my blocks; then every rank gets all parameters."""
        self.reduce()
        for u in self.units:
            u.check()
        self.inner.step()
        for u in self.units:
            u.gather()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for u in self.units:
            u.zero_grad()
