"""Data parallelism in threads: each thread takes a part of the batch through a replica of the model.

The replicas share the parameters' arrays and have gradients of their own, which are added in order
at the end; so a step gives the whole batch's gradient, up to rounding, and the same one in each run.
NumPy and the compiled kernels release the interpreter's lock, BLAS uses one thread in each shard.
"""

import contextvars
import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np

from lmbook.autograd import Tensor, graph
from lmbook.backend import ShapeError, fork, using
from lmbook.backend.machine import blas_threads, quick_switching
from lmbook.nn import BatchNorm1d, BatchNorm2d, Module, Parameter

Loss = Callable[..., Tensor]


def replicate(model: Module) -> Module:
    """A copy of the modules around the same arrays of parameters and buffers."""
    memo = {id(array): array for array in model.state_dict().values()}
    held = [(p, p.grad) for p in model.parameters()]
    for p, _ in held:
        p.grad = None
    try:
        return copy.deepcopy(model, memo)
    finally:
        for p, grad in held:
            p.grad = grad


def split(batch: Sequence[Tensor], parts: int) -> list[tuple[Tensor, ...]]:
    """The batch in up to `parts` parts along the first axis, as equal as can be."""
    if not batch or any(x.ndim == 0 or len(x) != len(batch[0]) for x in batch):
        raise ShapeError(
            f"Trainer: threads divide the batch along its first axis, but its parts have shapes "
            f"{[x.shape for x in batch]}; put the examples first in each, or use threads=1"
        )
    n = len(batch[0])
    stops = np.linspace(0, n, min(parts, n) + 1).round().astype(int)
    return [tuple(Tensor(x.data[low:high]) for x in batch) for low, high in pairwise(stops)]


class Shards:
    """Computes the gradient of a model's loss on a batch with `threads` threads."""

    def __init__(self, model: Module, threads: int) -> None:
        for name, module in model.named_modules():
            if isinstance(module, BatchNorm1d | BatchNorm2d):
                raise ValueError(
                    f"Trainer: threads={threads}, but {name or 'the model'} is a "
                    f"{type(module).__name__}, which needs the statistics of the whole batch; use "
                    "threads=1, or LayerNorm or GroupNorm"
                )
        self.models = [model, *(replicate(model) for _ in range(threads - 1))]
        self.parameters: list[list[Parameter]] = [list(m.parameters()) for m in self.models]
        self.buffers = [[b for _, b in m.named_buffers()] for m in self.models]
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="shard")

    def gradients(self, loss: Loss, batch: Sequence[Tensor], scale: float = 1.0) -> float:
        """Add `scale` times the gradient of the loss to the model's parameters; return the loss.

        The loss must be a mean over the examples: each shard's counts by its share of them.
        """
        parts = split(batch, len(self.models))
        self._share()
        total = len(batch[0])
        generators = fork(len(parts))
        with blas_threads(1), quick_switching():
            waiting = [
                self.pool.submit(
                    contextvars.copy_context().run, _shard, loss, model, part,
                    len(part[0]) / total, scale, generator, graph.mode.anomaly,
                )
                for model, part, generator in zip(self.models, parts, generators, strict=False)
            ]  # fmt: skip
            wait(waiting)
            self._add(len(parts))
        return sum(w.result() for w in waiting)

    def _share(self) -> None:
        """Give the replicas the model's arrays, which may have been replaced since the last batch."""
        for model in self.models[1:]:
            model.train(self.models[0].training)
        for table in (self.parameters, self.buffers):
            for own, *others in zip(*table, strict=True):
                for other in others:
                    other.data = own.data

    def _add(self, shards: int) -> None:
        """Add the replicas' gradients to the model's, each thread a part of the parameters."""

        def add(start: int) -> None:
            for own, *others in list(zip(*self.parameters, strict=True))[start :: len(self.models)]:
                for other in others[: shards - 1]:
                    if own.grad is None:
                        own.grad = other.grad
                    elif other.grad is not None:
                        np.add(own.grad.data, other.grad.data, out=own.grad.data)
                    other.grad = None

        list(self.pool.map(add, range(len(self.models))))

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown()


def _shard(
    loss: Loss, model: Module, part: tuple[Tensor, ...], share: float, scale: float,
    generator: np.random.Generator, anomaly: bool,
) -> float:  # fmt: skip
    """Forward and backward on one part of the batch; its share of the loss."""
    graph.mode.anomaly = anomaly
    with using(generator):
        value = loss(model, *part)
        value.backward(np.asarray(share * scale, value.dtype))
    return value.item() * share
