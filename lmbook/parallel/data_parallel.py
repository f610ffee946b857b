"""Data parallelism: every rank has the whole model and a part of the batch; gradients are averaged.

n is the bytes of all gradients, p the number of ranks. Source: Li et al. 2020 (PyTorch's).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, is_grad_enabled
from lmbook.distributed import Communicator, Work
from lmbook.nn import Module
from lmbook.parallel.buckets import buckets, flatten, unflatten

Reduce = Callable[[Communicator, int, np.ndarray], np.ndarray]
"""What is done with a bucket: (communicator, number of the bucket, vector) -> the mean over the ranks."""


def broadcast_parameters(module: Module, comm: Communicator, root: int = 0) -> None:
    """Give every rank the parameters and buffers of rank `root`, one message for each dtype.

    Bytes: (p - 1) n.
    """
    tensors: list[Tensor] = [*module.parameters(), *(b for _, b in module.named_buffers())]
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        some = [t for t in tensors if t.dtype == dtype]
        flat = comm.broadcast(flatten(t.data for t in some), root)
        for t, values in zip(some, unflatten(flat, some), strict=True):
            t.data[...] = values
            t._version[0] += 1


class DistributedDataParallel(Module):
    """Averages the gradients of all ranks in the backward pass; otherwise the module that it holds.

    All ranks start from rank 0's parameters. As soon as the gradients of a bucket are complete, its
    all-reduce starts beside the rest of the backward pass; when the last gradient has come, `.grad` of
    every parameter holds the mean. A loss that is a mean over equal parts of a batch then has the
    gradient of the whole batch.

    `bucket_bytes` sizes the messages: 0, one for each parameter (naive); None, one for all (flat).
    `overlap=False` sends only after the last gradient. `comm_hook` replaces the all-reduce, for instance by
    a compressed one. Bytes a step, by the ring: 2 (p - 1) n.
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
    ) -> None:
        super().__init__()
        self.module, self.comm = module, comm
        self.overlap, self.algorithm, self.broadcast_buffers = overlap, algorithm, broadcast_buffers
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
        if self._sync and is_grad_enabled():
            self._check()
            self._begin()
        if self.broadcast_buffers and self.training:
            for _, b in self.module.named_buffers():
                b.data[...] = self.comm.broadcast(b.data)
        return self.module(*args, **kwargs)

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

    def _check(self) -> None:
        """Refuse to go on after a backward pass that reached only some parameters."""
        missing = set().union(*self._missing)
        if missing and len(missing) < len(self._home):
            names = [n for n, p in self.module.named_parameters() if id(p) in missing]
            raise RuntimeError(
                f"DistributedDataParallel: the last backward pass gave no gradient to {names}, so ranks "
                "would wait for it; use every parameter in the loss, or freeze those with requires_grad_"
            )

    def _arrived(self, p: Tensor) -> None:
        """A gradient is complete: send the buckets that are, in the same order on every rank."""
        if not self._sync:
            return
        if id(p) not in self._missing[self._home[id(p)]]:
            raise RuntimeError(
                f"DistributedDataParallel: a second gradient came to a parameter of shape {p.shape} "
                "before the others had one; do not use a parameter in two checkpointed calls"
            )
        self._missing[self._home[id(p)]].discard(id(p))
        while len(self._works) < len(self.buckets) and not self._missing[len(self._works)]:
            number = len(self._works)
            flat = flatten(q.grad.data for q in self.buckets[number] if q.grad is not None)
            self._works.append(
                self.comm.background(self.reduce, number, flat) if self.overlap else flat
            )
        if len(self._works) == len(self.buckets):
            self._finish()

    def _finish(self) -> None:
        """Take the means over, bucket by bucket."""
        for number, (bucket, work) in enumerate(zip(self.buckets, self._works, strict=True)):
            mean = work.wait() if isinstance(work, Work) else self.reduce(self.comm, number, work)
            for p, g in zip(bucket, unflatten(mean, bucket), strict=True):
                assert p.grad is not None
                p.grad.data[...] = g
        self._begin()
