"""ZeRO-1 and ZeRO-2: the optimiser's state, then also the gradients, divided among the ranks.

With mixed precision and Adam a rank keeps 2 + 2 + 12 bytes for each parameter: weight, gradient, and the
optimiser's copy and two moments. Stage 1 keeps 2 + 2 + 12 / p, stage 2 keeps 2 + 14 / p, stage 3 16 / p.
Source: Rajbhandari et al. 2020.
"""

from collections.abc import Callable
from typing import Any

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.optim import LBFGS, Adafactor, Muon, Optimizer
from lmbook.parallel.buckets import buckets
from lmbook.parallel.shard import FlatShard

Factory = Callable[[list[Tensor]], Optimizer]


def on_blocks(optimizer: Optimizer) -> Optimizer:
    """The optimiser, if each entry moves by itself, so that blocks may be cut anywhere."""
    if isinstance(optimizer, (Muon, Adafactor, LBFGS)):
        raise TypeError(
            f"{type(optimizer).__name__} needs whole tensors; blocks of a vector suit optimisers that treat "
            "each entry by itself, such as SGD, Adam, AdamW, RMSprop, Lion"
        )
    return optimizer


class ZeroRedundancyOptimizer:
    """An optimiser of which each rank does a block, and keeps the state of that block only.

        optimizer = ZeroRedundancyOptimizer(model, comm, lambda ps: AdamW(ps, lr=1e-3), stage=2)
        loss(model, batch).backward(); optimizer.step(); optimizer.zero_grad()

    Stage 1 reduces gradients at `step`; stage 2 in the backward pass, bucket by bucket, and drops each at
    once. `step` updates the block and gathers the parameters. All ranks start from rank 0's. Bytes a
    step: 2 (p - 1) n, as data parallelism; with `shards` logical shards, see `LogicalShards`, the same.
    """

    def __init__(
        self,
        module: Module,
        comm: Communicator,
        optimizer: Factory,
        stage: int = 1,
        bucket_bytes: int | None = 25 * 2**20,
        shards: int | None = None,
    ) -> None:
        if stage not in (1, 2):
            raise ValueError(
                f"ZeroRedundancyOptimizer: stage {stage}; 1 or 2, and FullyShardedDataParallel is stage 3"
            )
        trained = [p for p in module.parameters() if p.requires_grad]
        self.stage, self.shards = stage, shards
        self.units = [FlatShard(b, comm, shards) for b in buckets(trained, bucket_bytes)]
        self.mine = self.units[0].mine if shards is not None else range(0)
        self.inner = on_blocks(optimizer([u.block for u in self.units]))
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

        `step` does it; call it before to clip.
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
            u.block.grad = None
            for t in u.tensors:
                t.grad = None
