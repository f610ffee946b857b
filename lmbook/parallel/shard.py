"""Tensors as one vector of which each rank keeps a block: what all stages of ZeRO are made of.

n is the bytes of the tensors, p the number of ranks. Source: Rajbhandari et al. 2020.
"""

from collections.abc import Sequence

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator, Work, blocks
from lmbook.nn import Parameter
from lmbook.parallel import ordered
from lmbook.parallel.buckets import flatten, unflatten
from lmbook.parallel.half import FORMATS, pack, unpack


class FlatParameter(Parameter):
    """A block of a flattened vector: it may begin and end inside a tensor."""

    __slots__ = ()

    is_cut = True


class FlatShard:
    """A group of tensors, flattened; `block` is the Parameter with this rank's entries.

    `add` moves the gradients from the tensors to the blocks, `gather` the values from the blocks to the
    tensors, `release` forgets all values but the block's. With `shards`, gradients are those of logical
    shards (see `LogicalShards`), added in an order that no number of ranks changes.

    With `whole`, cuts lie between tensors only, largest tensors first to the rank that has least: blocks
    are less equal, and `parts` are the rank's tensors in their shapes, for optimisers that need them.

    With `param_dtype` ("float16", "bfloat16") the block is the float32 master, and the tensors get it
    rounded; weights travel as 16 bits, (p - 1) n / 2, gradients as 32.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        comm: Communicator,
        shards: int | None = None,
        whole: bool = False,
        param_dtype: str | None = None,
    ) -> None:
        if len({t.dtype for t in tensors}) > 1:
            raise TypeError(
                f"FlatShard: one dtype, not {sorted({str(t.dtype) for t in tensors})}; convert with model.to"
            )
        if param_dtype not in (None, *FORMATS) or (param_dtype and tensors[0].dtype != np.float32):
            raise ValueError(
                f"FlatShard: param_dtype {param_dtype!r} of {tensors[0].dtype} parameters; it is None, or "
                f"one of {', '.join(FORMATS)} for float32 parameters, whose master copy stays float32"
            )
        self.comm, self.shards, self.whole, self.param_dtype = comm, shards, whole, param_dtype
        self.size = sum(t.numel() for t in tensors)
        self.tensors, self.ends = list(tensors), blocks(self.size, comm.size)
        if whole:
            self.tensors, self.ends = _between_tensors(tensors, comm.size)
        flat = comm.broadcast(flatten(t.data for t in self.tensors))
        mine = slice(self.ends[comm.rank], self.ends[comm.rank + 1])
        self.block: Parameter = (Parameter if whole else FlatParameter)(flat[mine].copy())
        self.parts = [self.block]
        """What the optimiser gets: the block, or its whole tensors, which are views of it."""
        if whole:
            ends = np.cumsum([0, *(t.numel() for t in self.tensors)])
            own = [
                t for t, e in zip(self.tensors, ends, strict=False) if mine.start <= e < mine.stop
            ]
            self.parts = [Parameter(v) for v in unflatten(self.block.data, own)]
        self.full = False
        """Whether the tensors hold their values."""
        self._coming: Work | None = None
        self._asked = 0
        self.put(unpack(pack(flat, param_dtype)) if param_dtype else flat)
        self._missing, self._then_release = {id(t) for t in self.tensors}, False
        if shards is not None:
            owned = blocks(shards, comm.size)
            self.mine = range(owned[comm.rank], owned[comm.rank + 1])
            self.forest, self.added = ordered.Forest(), 0

    def put(self, flat: np.ndarray) -> None:
        """Make the tensors views of a vector."""
        for t, values in zip(self.tensors, unflatten(flat, self.tensors), strict=True):
            t.data = values
        self.full = True

    def _collect(self, comm: Communicator) -> np.ndarray:
        """The values of all blocks, as the tensors shall have them."""
        if self.param_dtype is None:
            return np.concatenate(comm.all_gather(self.block.data))
        return unpack(np.concatenate(comm.all_gather(pack(self.block.data, self.param_dtype))))

    def gather(self) -> None:
        """Fill the tensors with the values of all blocks. Bytes: (p - 1) n."""
        work, self._coming = self._coming, None
        flat = None if work is None else work.wait()
        stale = self.block._version[0] != self._asked  # an unused prefetch, from before a step
        self.put(self._collect(self.comm) if flat is None or stale else flat)

    def prefetch(self) -> None:
        """Start to gather beside what is being computed; `gather` then waits for it."""
        if self._coming is None and not self.full:
            self._asked = self.block._version[0]
            self._coming = self.comm.background(self._collect)

    def release(self) -> None:
        """Give the memory back: shapes stay, the values are NaN and take none."""
        for t in self.tensors:
            t.data = np.broadcast_to(np.asarray(np.nan, t.dtype), t.shape)
        self.full = False

    def add(self) -> None:
        """Reduce the tensors' gradients to the blocks' (mean over the ranks), and drop them.

        Bytes: (p - 1) n, round the ring; with `whole`, p (p - 1) times the bytes of the largest block.
        With logical shards: once, after the last one of this rank.
        """
        flat = flatten(
            np.zeros(t.shape, t.dtype) if t.grad is None else t.grad.data for t in self.tensors
        )
        for t in self.tensors:
            t.grad = None
        with np.errstate(invalid="warn" if self.param_dtype is None else "ignore"):
            self._add(flat)  # 16 bits overflow, inf - inf is NaN, and a loss scaler finds it

    def _add(self, flat: np.ndarray) -> None:
        if self.shards is None:
            self._accumulate(self._reduce_scatter(flat))
            return
        self.forest.add(self.mine[self.added], flat)
        self.added += 1
        if self.added == len(self.mine):
            g = ordered.reduce_scatter(self.comm, self.forest, self.shards, self.ends)
            self._accumulate(g / g.dtype.type(self.shards))
            self.forest, self.added = ordered.Forest(), 0

    def _reduce_scatter(self, flat: np.ndarray) -> np.ndarray:
        if not self.whole:
            return self.comm.reduce_scatter(flat, "mean")
        sizes = np.diff(self.ends)  # blocks differ, the ring's do not: fill up with zeros
        rows = np.zeros((self.comm.size, sizes.max()), flat.dtype)
        for row, low, high in zip(rows, self.ends, self.ends[1:], strict=False):
            row[: high - low] = flat[low:high]
        return self.comm.reduce_scatter(rows, "mean")[0, : sizes[self.comm.rank]]

    def watch(self, then_release: bool) -> None:
        """From now on `add` by itself whenever a backward pass has completed all gradients."""
        self._then_release = then_release
        for t in self.tensors:
            t.register_post_accumulate_grad_hook(self._arrived)

    def _arrived(self, t: Tensor) -> None:
        if id(t) not in self._missing:
            raise RuntimeError(
                f"FlatShard: a second gradient came to a parameter of shape {t.shape} before the others had "
                "one; do not use a parameter in two checkpointed calls"
            )
        self._missing.discard(id(t))
        if not self._missing:
            self._missing = {id(t) for t in self.tensors}
            self.add()
            if self._then_release:
                self.release()

    def check(self) -> None:
        """Refuse to go on after a backward pass that reached only some of the tensors."""
        if len(self._missing) < len(self.tensors):
            shapes = [t.shape for t in self.tensors if id(t) in self._missing]
            raise RuntimeError(
                f"FlatShard: the last backward pass gave no gradient to parameters of shapes {shapes}; use "
                "every parameter in the loss, or freeze those with requires_grad_(False)"
            )

    def _accumulate(self, g: np.ndarray) -> None:
        if self.block.grad is not None:
            self.block.grad.data += g
            return
        self.block.grad = Tensor(g)
        if self.whole:
            for part, values in zip(self.parts, unflatten(g, self.parts), strict=True):
                part.grad = Tensor(values)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for t in (self.block, *self.parts, *self.tensors):
            t.grad = None


def _between_tensors(tensors: Sequence[Tensor], ranks: int) -> tuple[list[Tensor], list[int]]:
    """The tensors in the order of their owners, and where each owner's entries end."""
    owned: list[list[Tensor]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    for t in sorted(tensors, key=lambda t: -t.numel()):
        least = loads.index(min(loads))
        owned[least].append(t)
        loads[least] += t.numel()
    return [t for mine in owned for t in mine], [0, *np.cumsum(loads).tolist()]
