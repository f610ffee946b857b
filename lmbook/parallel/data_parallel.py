"""Data parallelism: every rank has the whole model and a part of the batch; gradients are averaged.

n is the bytes of all gradients, p the number of ranks. Source: Li et al. 2020 (PyTorch's).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, graph, is_grad_enabled
from lmbook.distributed import Communicator, Work
from lmbook.functional import norm
from lmbook.nn import Module
from lmbook.parallel.buckets import buckets, flatten, unflatten

Reduce = Callable[[Communicator, int, np.ndarray], np.ndarray]
"""What is done with a bucket: (communicator, number of the bucket, vector) -> the mean over the ranks."""


def broadcast_tensors(tensors: Iterable[Tensor], comm: Communicator, root: int = 0) -> None:
    """Give every rank the values of rank `root`, one message for each dtype."""
    tensors = list(tensors)
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        some = [t for t in tensors if t.dtype == dtype]
        flat = comm.broadcast(flatten(t.data for t in some), root)
        for t, values in zip(some, unflatten(flat, some), strict=True):
            t.data[...] = values
            t._version[0] += 1


def broadcast_parameters(module: Module, comm: Communicator, root: int = 0) -> None:
    """Give every rank the parameters and buffers of rank `root`. Bytes: (p - 1) n."""
    broadcast_tensors([*module.parameters(), *(b for _, b in module.named_buffers())], comm, root)


class DistributedDataParallel(Module):
    """Averages the gradients of all ranks in the backward pass; otherwise the module that it holds.

    All ranks start from rank 0's parameters. As soon as the gradients of a bucket are complete, its
    all-reduce starts beside the rest of the backward pass; when that has ended, `.grad` of every
    parameter holds the mean. A loss that is a mean over equal parts of a batch then has the
    gradient of the whole batch.

    `bucket_bytes` sizes the messages: 0, one for each parameter (naive); None, one for all (flat).
    `overlap=False` sends only after the last gradient. `comm_hook` replaces the all-reduce, for instance by
    a compressed one. Bytes a step, by the ring: 2 (p - 1) n.

    A backward pass must give a gradient to every trained parameter. With `find_unused_parameters` those
    that the output does not depend on count as zeros; where no rank uses one, its `.grad` stays as it is.
    Buffers are rank 0's (`broadcast_buffers`). Batch normalisation uses the moments of a rank's own part;
    with `sync_batchnorm` those of all ranks, for two more all-gathers a layer.
    """

    def __init__(
        self,
        module: Module,
        comm: Communicator,
        bucket_bytes: int | None = 25 * 2**20,
        overlap: bool = True,
        algorithm: str = "ring",
        comm_hook: Reduce | None = None,
        broadcast_buffers: bool = True,
        find_unused_parameters: bool = False,
        sync_batchnorm: bool = False,
    ) -> None:
        super().__init__()
        self.module, self.comm = module, comm
        self.overlap, self.algorithm, self.broadcast_buffers = overlap, algorithm, broadcast_buffers
        self.find_unused_parameters, self.sync_batchnorm = find_unused_parameters, sync_batchnorm
        self.reduce = comm_hook or self._mean
        broadcast_parameters(module, comm)
        trained = [p for p in module.parameters() if p.requires_grad]
        if not trained:
            raise ValueError("DistributedDataParallel: the module has no parameter to train")
        self.buckets = buckets(trained, bucket_bytes)
        self._home = {id(p): i for i, bucket in enumerate(self.buckets) for p in bucket}
        self._sync = True
        self._begin()
        for p in trained:
            p.register_post_accumulate_grad_hook(self._arrived)

    def _mean(self, comm: Communicator, number: int, flat: np.ndarray) -> np.ndarray:
        return comm.all_reduce(flat, "mean", self.algorithm)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output; rank 0's buffers are given to all ranks first, where there are any."""
        fresh = not graph.running()  # not once more, for a layer that is recomputed
        goes_back = fresh and self._sync and is_grad_enabled()
        if goes_back:
            self._begin()
        if fresh and self.broadcast_buffers and self._sync and self.training:
            broadcast_tensors((b for _, b in self.module.named_buffers()), self.comm)
        with together(self.comm) if self.sync_batchnorm and self.training else nullcontext():
            output = self.module(*args, **kwargs)
        if goes_back and self.find_unused_parameters:
            roots = [t._node for t in _tensors(output) if t._node is not None]
            self._unused = set(self._home).difference(*map(graph.reached, roots))
        return output

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Accumulate gradients inside the block without sending; the backward pass after it sends the sum."""
        self._sync = False
        try:
            yield
        finally:
            self._sync = True

    # --- One backward pass ---------------------------------------------------------------------

    def _begin(self) -> None:
        self._missing = [{id(p) for p in bucket} for bucket in self.buckets]
        self._works: list[Work | np.ndarray] = []
        self._unused = set[int]()
        self._running = False

    def _arrived(self, p: Tensor) -> None:
        """A gradient is complete: send the buckets that are, in the same order on every rank."""
        if not self._sync:
            return
        if not self._running:
            self._running = True
            graph.queue_callback(self._finish)
            for i in self._unused:
                self._missing[self._home[i]].discard(i)
        if id(p) not in self._missing[self._home[id(p)]]:
            self._fail([id(p)], "a second gradient to", "within one pass: is it used in two "
                       "recomputed parts, or besides the output? Use it once, or send after several "
                       "passes with no_sync")  # fmt: skip
        self._missing[self._home[id(p)]].discard(id(p))
        while len(self._works) < len(self.buckets) and not self._missing[len(self._works)]:
            number = len(self._works)
            flat = flatten(
                np.zeros_like(q.data) if q.grad is None else q.grad.data
                for q in self.buckets[number]
            )
            self._works.append(
                self.comm.background(self.reduce, number, flat) if self.overlap else flat
            )

    def _finish(self) -> None:
        """The pass has ended: take the means over, bucket by bucket."""
        missing = set().union(*self._missing)
        if missing:
            self._fail(missing, "no gradient to", "so other ranks would wait for it; use every "
                       "parameter in the loss, freeze those with requires_grad_(False), or set "
                       "find_unused_parameters")  # fmt: skip
        used = self._used_somewhere() if self.find_unused_parameters else set(self._home)
        for number, (bucket, work) in enumerate(zip(self.buckets, self._works, strict=True)):
            mean = work.wait() if isinstance(work, Work) else self.reduce(self.comm, number, work)
            for p, g in zip(bucket, unflatten(mean, bucket), strict=True):
                if p.grad is not None:
                    p.grad.data[...] = g
                elif id(p) in used:
                    p.grad = Tensor(g.copy())
        self._begin()

    def _used_somewhere(self) -> set[int]:
        """Parameters that some rank has a gradient of; a byte each goes round."""
        mine = [p.grad is not None for bucket in self.buckets for p in bucket]
        flags = self.comm.all_reduce(np.array(mine, np.uint8), "max")
        order = [id(p) for bucket in self.buckets for p in bucket]
        return {i for i, flag in zip(order, flags, strict=True) if flag}

    def _fail(self, which: Iterable[int], what: str, why: str) -> None:
        names = [n for n, p in self.module.named_parameters() if id(p) in set(which)]
        raise RuntimeError(
            f"DistributedDataParallel: the backward pass of rank {self.comm.rank} gave {what} {names}, {why}"
        )


def _tensors(output: Any) -> Iterator[Tensor]:
    """All tensors in an output, whatever tuples, lists and dictionaries they are in."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict):
        yield from (t for value in output.values() for t in _tensors(value))
    elif isinstance(output, (tuple, list)):
        yield from (t for value in output for t in _tensors(value))


class _Seat:
    """How batch normalisation asks the other ranks for their sums; each rank keeps its running moments."""

    rank = 0

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm

    def gather(self, value: tuple[Any, ...]) -> list[Any]:
        """Every rank's value."""
        return self.comm.all_gather([np.asarray(part) for part in value])


@contextmanager
def together(comm: Communicator) -> Iterator[None]:
    """Forward passes inside the block normalise batches by the moments of all ranks' parts.

    So do their backward passes. PyTorch: `torch.nn.SyncBatchNorm`.
    """
    before = norm.exchange.set(_Seat(comm))
    try:
        yield
    finally:
        norm.exchange.reset(before)
