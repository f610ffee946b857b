"""Tensors as one vector of which each rank keeps a block: what all stages of ZeRO are made of.

n is the bytes of the tensors, p the number of ranks. Source: Rajbhandari et al. 2020.
"""

from collections.abc import Sequence

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator, blocks
from lmbook.nn import Parameter
from lmbook.parallel import ordered
from lmbook.parallel.buckets import flatten, unflatten


class FlatShard:
    """A group of tensors, flattened; `block` is the Parameter with this rank's entries.

    `add` moves the gradients from the tensors to the blocks, `gather` the values from the blocks to the
    tensors, `release` forgets all values but the block's. With `shards`, gradients are those of logical
    shards (see `LogicalShards`), added in an order that no number of ranks changes.
    """

    def __init__(
        self, tensors: Sequence[Tensor], comm: Communicator, shards: int | None = None
    ) -> None:
        if len({t.dtype for t in tensors}) > 1:
            raise TypeError(
                f"FlatShard: one dtype, not {sorted({str(t.dtype) for t in tensors})}; convert with model.to"
            )
        self.tensors, self.comm, self.shards = list(tensors), comm, shards
        self.size = sum(t.numel() for t in tensors)
        self.ends = blocks(self.size, comm.size)
        flat = comm.broadcast(flatten(t.data for t in tensors))
        self.block = Parameter(flat[self.ends[comm.rank] : self.ends[comm.rank + 1]].copy())
        self.full = False
        """Whether the tensors hold their values."""
        self.put(flat)
        self._left, self._then_release = len(self.tensors), False
        if shards is not None:
            owned = blocks(shards, comm.size)
            self.mine = range(owned[comm.rank], owned[comm.rank + 1])
            self.forest, self.added = ordered.Forest(), 0

    def put(self, flat: np.ndarray) -> None:
        """Make the tensors views of a vector."""
        for t, values in zip(self.tensors, unflatten(flat, self.tensors), strict=True):
            t.data = values
        self.full = True

    def gather(self) -> None:
        """Fill the tensors with the values of all blocks. Bytes: (p - 1) n."""
        self.put(np.concatenate(self.comm.all_gather(self.block.data)))

    def release(self) -> None:
        """Give the memory back: shapes stay, the values are NaN and take none."""
        for t in self.tensors:
            t.data = np.broadcast_to(np.asarray(np.nan, t.dtype), t.shape)
        self.full = False

    def add(self) -> None:
        """Reduce the tensors' gradients to the blocks' (mean over the ranks), and drop them.

        Bytes: (p - 1) n, round the ring. With logical shards: once, after the last one of this rank.
        """
        flat = flatten(
            np.zeros(t.shape, t.dtype) if t.grad is None else t.grad.data for t in self.tensors
        )
        for t in self.tensors:
            t.grad = None
        if self.shards is None:
            self._accumulate(self.comm.reduce_scatter(flat, "mean"))
            return
        self.forest.add(self.mine[self.added], flat)
        self.added += 1
        if self.added == len(self.mine):
            g = ordered.reduce_scatter(self.comm, self.forest, self.shards, self.ends)
            self._accumulate(g / g.dtype.type(self.shards))
            self.forest, self.added = ordered.Forest(), 0

    def watch(self, then_release: bool) -> None:
        """From now on `add` by itself whenever a backward pass has completed all gradients."""
        self._then_release = then_release
        for t in self.tensors:
            t.register_post_accumulate_grad_hook(self._arrived)

    def _arrived(self, _: Tensor) -> None:
        self._left -= 1
        if self._left == 0:
            self._left = len(self.tensors)
            self.add()
            if self._then_release:
                self.release()

    def check(self) -> None:
        """Refuse to go on after a backward pass that reached only some of the tensors."""
        if self._left < len(self.tensors):
            shapes = [t.shape for t in self.tensors if t.grad is None]
            raise RuntimeError(
                f"FlatShard: the last backward pass gave no gradient to parameters of shapes {shapes}; use "
                "every parameter in the loss, or freeze those with requires_grad_(False)"
            )

    def _accumulate(self, g: np.ndarray) -> None:
        if self.block.grad is None:
            self.block.grad = Tensor(g)
        else:
            self.block.grad.data += g
