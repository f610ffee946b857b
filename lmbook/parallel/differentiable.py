"""Collectives on tensors, with the collective that their gradient needs.

forward            backward
copy_to            identity           all-reduce
reduce_from        all-reduce         identity
scatter_to         my block           all-gather
gather_from        all-gather         my block
gather_sum         all-gather         reduce-scatter
reduce_scatter     reduce-scatter     all-gather
all_to_all         all-to-all         all-to-all

Which of two pairs is right depends on what follows: after `gather_from` all ranks compute the same, so each
has the whole gradient already; after `gather_sum` each computes its own part, so gradients must be added.
Sources: Shoeybi et al. 2019 (f and g); Korthikanti et al. 2022 (g-bar).
"""

from collections.abc import Sequence

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.distributed import Communicator, blocks


def block(x: np.ndarray, comm: Communicator, dim: int) -> np.ndarray:
    """My block of an array along an axis, copied."""
    ends = blocks(x.shape[dim], comm.size)
    return np.take(x, np.arange(ends[comm.rank], ends[comm.rank + 1]), axis=dim)


def _gather(x: np.ndarray, comm: Communicator, dim: int) -> np.ndarray:
    return np.concatenate(comm.all_gather(x), axis=dim)


def _reduce_blocks(x: np.ndarray, comm: Communicator, dim: int) -> np.ndarray:
    front = np.ascontiguousarray(np.moveaxis(x, dim, 0))
    return np.moveaxis(comm.reduce_scatter(front), 0, dim)


@primitive
def _copy_to(x, *, comm):  # type: ignore[no-untyped-def]
    return x.copy(), lambda g, needs: (comm.all_reduce(g),)


@primitive
def _reduce_from(x, *, comm):  # type: ignore[no-untyped-def]
    return comm.all_reduce(x), lambda g, needs: (g.copy(),)


@primitive
def _scatter_to(x, *, comm, dim):  # type: ignore[no-untyped-def]
    return block(x, comm, dim), lambda g, needs: (_gather(g, comm, dim),)


@primitive
def _gather_from(x, *, comm, dim):  # type: ignore[no-untyped-def]
    return _gather(x, comm, dim), lambda g, needs: (block(g, comm, dim),)


@primitive
def _gather_sum(x, *, comm, dim):  # type: ignore[no-untyped-def]
    parts = comm.all_gather(x)
    ends = np.cumsum([part.shape[dim] for part in parts])[:-1]

    def pull(g, needs):  # type: ignore[no-untyped-def]
        """Everyone's gradient of my block, added in the order of the ranks; blocks may differ in length."""
        mine, *others = comm.all_to_all([np.ascontiguousarray(a) for a in np.split(g, ends, dim)])
        for other in others:
            mine += other
        return (mine,)

    return np.concatenate(parts, axis=dim), pull


@primitive
def _reduce_scatter(x, *, comm, dim):  # type: ignore[no-untyped-def]
    return _reduce_blocks(x, comm, dim), lambda g, needs: (_gather(g, comm, dim),)


@primitive
def _exchange(x, *, comm, send, recv):  # type: ignore[no-untyped-def]
    def move(a, counts):  # type: ignore[no-untyped-def]
        return np.concatenate(comm.all_to_all(np.split(a, np.cumsum(counts)[:-1])))

    return move(x, send), lambda g, needs: (move(g, recv),)


def copy_to(x: Tensor, comm: Communicator) -> Tensor:
    """x, which all ranks have and use in different ways: gradients are added."""
    return _copy_to(x, comm=comm)


def reduce_from(x: Tensor, comm: Communicator) -> Tensor:
    """The sum of all ranks' x, which all use in the same way."""
    return _reduce_from(x, comm=comm)


def scatter_to(x: Tensor, comm: Communicator, dim: int) -> Tensor:
    """My block of x, which all ranks have."""
    return _scatter_to(x, comm=comm, dim=dim % x.ndim)


def gather_from(x: Tensor, comm: Communicator, dim: int) -> Tensor:
    """All ranks' blocks side by side, which all use in the same way."""
    return _gather_from(x, comm=comm, dim=dim % x.ndim)


def gather_sum(x: Tensor, comm: Communicator, dim: int) -> Tensor:
    """All ranks' blocks side by side, which each uses in its own way."""
    return _gather_sum(x, comm=comm, dim=dim % x.ndim)


def reduce_scatter(x: Tensor, comm: Communicator, dim: int) -> Tensor:
    """My block of the sum of all ranks' x."""
    return _reduce_scatter(x, comm=comm, dim=dim % x.ndim)


def all_to_all(x: Tensor, comm: Communicator, send: Sequence[int], recv: Sequence[int]) -> Tensor:
    """Rows of x to the ranks: the first send[0] to rank 0, and so on; recv[r] rows come from rank r."""
    if sum(send) != len(x):
        raise ValueError(f"all_to_all: {list(send)} rows to send, but x has shape {x.shape}")
    return _exchange(x, comm=comm, send=tuple(send), recv=tuple(recv))
