"""Data parallelism in threads: each thread takes a part of the batch through a replica of the model.

The replicas share the parameters' arrays and have gradients of their own, which are added in order
at the end; so a step gives the whole batch's gradient, up to rounding, and the same one in each run.
NumPy and the compiled kernels release the interpreter's lock, BLAS uses one thread in each shard.
Batch normalisation waits for the other shards at every layer, to use the whole batch's moments.
"""

import contextvars
import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, graph
from lmbook.backend import ShapeError, fork, using
from lmbook.backend.machine import blas_threads, quick_switching
from lmbook.functional import norm
from lmbook.nn import Module, Parameter

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


class _Table:
    """Where the threads of one batch lay down what all of them need."""

    def __init__(self, threads: int) -> None:
        self.threads, self.gone = threads, False
        self.rounds: list[dict[int, Any]] = []
        self.changed = threading.Condition()


class _Seat:
    """One thread's place at the table."""

    def __init__(self, table: _Table, rank: int) -> None:
        self.table, self.rank, self.round = table, rank, 0

    def gather(self, value: tuple[Any, ...]) -> list[Any]:
        """Lay down a value; wait for the others' of the same round and return all, in order."""
        table = self.table
        with table.changed:
            if self.round == len(table.rounds):
                table.rounds.append({})
            values = table.rounds[self.round]
            self.round += 1
            values[self.rank] = value
            if len(values) == table.threads:
                table.changed.notify_all()
            while len(values) < table.threads:
                if table.gone:
                    raise Left
                table.changed.wait()
        if (
            len({len(v) for v in values.values()}) > 1
        ):  # one is at another layer, or on the way back
            raise Left
        return [values[rank] for rank in range(table.threads)]

    def leave(self) -> None:
        """Wake who would wait in vain."""
        with self.table.changed:
            self.table.gone = True
            self.table.changed.notify_all()


class Left(RuntimeError):
    """Another shard ended while this one waited for its part of a batch's statistics."""

    def __str__(self) -> str:
        return (
            "Trainer: the shards of a batch normalise it a different number of times; call every "
            "BatchNorm for every example, or use threads=1"
        )


class Shards:
    """Computes the gradient of a model's loss on a batch with `threads` threads."""

    def __init__(self, model: Module, threads: int) -> None:
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
        generators, table = fork(len(parts)), _Table(len(parts))
        with blas_threads(1), quick_switching():
            waiting = [
                self.pool.submit(
                    contextvars.copy_context().run, _shard, loss, model, part,
                    len(part[0]) / total, scale, generator, graph.anomaly_mode.get(), _Seat(table, rank),
                )
                for rank, (model, part, generator) in enumerate(zip(self.models, parts, generators))
            ]  # fmt: skip
            wait(waiting)
            self._add(len(parts))
        errors = [e for e in (w.exception() for w in waiting) if e is not None]
        if errors:  # the cause, not that others waited for it in vain
            raise min(errors, key=lambda e: isinstance(e, Left))
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
    generator: np.random.Generator, anomaly: bool, seat: _Seat,
) -> float:  # fmt: skip
    """Forward and backward on one part of the batch; its share of the loss."""
    graph.anomaly_mode.set(anomaly)
    norm.exchange.set(seat)
    try:
        with using(generator):
            value = loss(model, *part)
            value.backward(np.asarray(share * scale, value.dtype))
    finally:
        seat.leave()
    return value.item() * share
