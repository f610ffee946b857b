"""Ranks as a grid with named axes: data, pipeline, context, tensor parallelism together."""

from functools import cache
from math import prod

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.parallel.buckets import flatten, unflatten


@cache
def _grid(shape: tuple[int, ...]) -> np.ndarray:
    """The ranks as a grid, the same array for all: with thousands of ranks in one process it counts."""
    grid = np.arange(prod(shape)).reshape(shape)
    grid.setflags(write=False)
    return grid


class Mesh:
    """A grid of ranks; `mesh["tp"]` is the communicator of the ranks that differ from me in that axis only.

        mesh = Mesh(comm, dp=2, pp=2, tp=2)
        model = parallelize_module(GPT(config), mesh["tp"], gpt_plan(n_head))
        pipe = Pipeline(gpt_layers(model), mesh["pp"])
        loss = pipe.step(...); all_reduce_gradients(pipe, mesh["dp"]); optimizer.step()

    The last axis counts first: neighbours differ in it, so put there what talks most (tensor) and first what
    talks least (data, pipeline). As PyTorch's `init_device_mesh`. Groups are made without messages.
    """

    def __init__(self, comm: Communicator, **axes: int) -> None:
        if not axes or min(axes.values()) < 1 or prod(axes.values()) != comm.size:
            raise ValueError(
                f"Mesh: axes {axes} make {prod(axes.values())} ranks, the communicator has {comm.size}"
            )
        self.comm, self.axes = comm, dict(axes)
        self.grid = _grid(tuple(axes.values()))
        at = np.unravel_index(comm.rank, self.grid.shape)
        self.place = dict(zip(axes, map(int, at), strict=True))
        """Where I am: {"dp": 0, "pp": 1, "tp": 0}."""
        self._groups = {name: comm.group(self._line(name)) for name in axes}

    def _line(self, *names: str) -> list[int]:
        """The ranks that agree with me in all axes but these."""
        index = tuple(slice(None) if a in names else self.place[a] for a in self.axes)
        return self.grid[index].reshape(-1).tolist()

    def __getitem__(self, name: str) -> Communicator:
        if name not in self._groups:
            raise KeyError(f"Mesh: there is no axis {name!r}; there are {list(self.axes)}")
        return self._groups[name]

    def group(self, *names: str) -> Communicator:
        """The ranks that differ from me in any of these axes: `mesh.group("dp", "cp")`. All ranks call it."""
        for name in names:
            self[name]
        return self.comm.group(self._line(*names))

    def __repr__(self) -> str:
        return f"Mesh({', '.join(f'{k}={n}' for k, n in self.axes.items())}, at {self.place})"


def all_reduce_gradients(module: Module, comm: Communicator, op: str = "mean") -> None:
    """Average (or sum) the gradients of a module's parameters over a group, in one message for each dtype.

    Sum over a context-parallel group, whose losses are parts of one; average over a data-parallel one.
    Bytes, by the ring: 2 (p - 1) n.
    """
    parameters = [p for p in module.parameters() if p.grad is not None]
    for dtype in dict.fromkeys(p.dtype for p in parameters):
        some = [p for p in parameters if p.dtype == dtype]
        flat = comm.all_reduce(flatten(p.grad.data for p in some), op)  # type: ignore[union-attr]
        for p, g in zip(some, unflatten(flat, some), strict=True):
            p.grad = Tensor(g.copy())
