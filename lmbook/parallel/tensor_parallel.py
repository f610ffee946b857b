"""Tensor parallelism: every layer's weights are divided among the ranks of a group.

Column-parallel layers divide the outputs, row-parallel ones the inputs; one after the other they need one
all-reduce forwards and one backwards. With `sequence_parallel` what lies between such pairs is divided
along the sequence (axis 1), and each all-reduce becomes an all-gather and a reduce-scatter: the same bytes,
and activations a p-th of the size, but for the gathered inputs of column-parallel layers, which are kept
whole. With `gather_again` they are not: one more all-gather for each pair, in the backward pass, makes them
anew. Dropout: see `lmbook.parallel.randomness`.
Sources: Shoeybi et al. 2019; Korthikanti et al. 2022.

Shapes: N batch, T positions, E width, V vocabulary, p ranks.
"""

from collections.abc import Sequence

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor, primitive
from lmbook.autograd.primitives import PRIMITIVES
from lmbook.autograd.tensor import raw
from lmbook.backend import ShapeError
from lmbook.backend.kernels import dense
from lmbook.distributed import Communicator, blocks
from lmbook.nn import Embedding, LayerNorm, Linear, Module, Parameter, RMSNorm
from lmbook.parallel.differentiable import (
    copy_to,
    gather_from,
    gather_sum,
    reduce_from,
    reduce_scatter,
)

Parts = Sequence[np.ndarray]
"""For each rank, which rows (or columns) are its own."""


def even(n: int, ranks: int) -> list[np.ndarray]:
    """Blocks of neighbours."""
    ends = blocks(n, ranks)
    return [np.arange(ends[r], ends[r + 1]) for r in range(ranks)]


def heads(groups: int, n_head: int, head_dim: int, ranks: int) -> list[np.ndarray]:
    """Rows of a matrix for `groups` (3: queries, keys, values) times `n_head` heads, divided by heads."""
    if n_head % ranks:
        raise ShapeError(f"heads: {n_head} heads do not divide among {ranks} ranks")
    rows = np.arange(groups * n_head * head_dim).reshape(groups, n_head, head_dim)
    return [rows[:, part].reshape(-1) for part in even(n_head, ranks)]


def shared_heads(n_head: int, head_dim: int, ranks: int) -> list[np.ndarray]:
    """Rows of each rank where there may be fewer heads than ranks: neighbours then have the same head."""
    if n_head >= ranks:
        return heads(1, n_head, head_dim, ranks)
    if ranks % n_head:
        raise ShapeError(f"shared_heads: {ranks} ranks do not divide among {n_head} heads")
    rows = np.arange(n_head * head_dim).reshape(n_head, head_dim)
    return [rows[r * n_head // ranks] for r in range(ranks)]


class _Divided(Module):
    """A layer whose parameters are parts of whole ones: `parts[name]` is (axis, rows of each rank)."""

    def __init__(self, comm: Communicator) -> None:
        super().__init__()
        self.comm = comm
        self.parts: dict[str, tuple[int, Parts]] = {}

    def _divide(self, name: str, whole: Tensor, dim: int, parts: Parts) -> None:
        self.parts[name] = (dim, parts)
        setattr(self, name, Parameter(np.take(whole.data, parts[self.comm.rank], axis=dim)))


@primitive
def _gathered_linear(x, weight, bias, *, comm):  # type: ignore[no-untyped-def]
    """x W^T + b of all ranks' positions (axis 1), keeping my share of x and gathering it again for dW.

    The bits of `gather_sum` and then `linear`; the backward pass sends one more all-gather.
    """
    whole, pull_share = PRIMITIVES["gather_sum"](x, comm=comm, dim=1)
    shape = whole.shape
    y = dense.linear(whole.reshape(-1, shape[-1]), weight, bias)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        flat, share, rows = g.reshape(-1, g.shape[-1]), None, None
        if needs[0]:
            (share,) = pull_share(dense.product(flat, weight).reshape(shape), (True,))
        if needs[1]:
            again = np.concatenate(comm.all_gather(x), axis=1)
            rows = dense.product(flat.T, again.reshape(-1, shape[-1]))
        return share, rows, flat.sum(axis=0) if needs[2] else None

    return y.reshape(*shape[:-1], weight.shape[0]), pull


class ColumnParallelLinear(_Divided):
    """y_r = x W_r^T + b_r: rank r has some of the outputs. The layer's whole weights come from `linear`.

    x is whole on every rank, or divided along the sequence if `sequence_parallel`. Then the gathered x is
    kept for the backward pass, or with `gather_again` only this rank's share. The output stays divided
    unless `gather_output`. `parts` says which outputs each rank has; ranks that have the same ones add their
    gradients.
    """

    product = True

    def __init__(
        self,
        linear: Linear,
        comm: Communicator,
        parts: Parts | None = None,
        gather_output: bool = False,
        sequence_parallel: bool = False,
        gather_again: bool = False,
    ) -> None:
        super().__init__(comm)
        if gather_again and not sequence_parallel:
            raise ValueError(
                "ColumnParallelLinear: gather_again needs sequence_parallel=True; without it every rank has "
                "the whole input, and nothing is gathered"
            )
        parts = even(linear.out_features, comm.size) if parts is None else parts
        self.gather_output, self.sequence_parallel = gather_output, sequence_parallel
        self.gather_again = gather_again
        same = [r for r in range(comm.size) if np.array_equal(parts[r], parts[comm.rank])]
        self.shared = comm.group(same) if len(same) > 1 and len(parts[comm.rank]) else None
        self._divide("weight", linear.weight, 0, parts)
        if linear.bias is None:
            self.register_parameter("bias", None)
        else:
            self._divide("bias", linear.bias, 0, parts)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, in) -> (N, T, out / p)."""
        if not self.gather_again:
            x = gather_sum(x, self.comm, 1) if self.sequence_parallel else copy_to(x, self.comm)
        weight, bias = self.weight, self.bias
        if self.shared is not None:
            weight = copy_to(weight, self.shared)
            bias = None if bias is None else copy_to(bias, self.shared)
        if self.gather_again:
            y = _gathered_linear(x, weight, bias, comm=self.comm)
        else:
            y = F.linear(x, weight, bias)
        return gather_from(y, self.comm, -1) if self.gather_output else y


class RowParallelLinear(_Divided):
    """y = sum over r of x_r W_r^T, + b: rank r has some of the inputs, as a column-parallel layer leaves it.

    The output is whole, or divided along the sequence if `sequence_parallel`.
    """

    product = True

    def __init__(
        self,
        linear: Linear,
        comm: Communicator,
        parts: Parts | None = None,
        sequence_parallel: bool = False,
    ) -> None:
        super().__init__(comm)
        parts = even(linear.in_features, comm.size) if parts is None else parts
        self.sequence_parallel = sequence_parallel
        self._divide("weight", linear.weight, 1, parts)
        self.register_parameter("bias", linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, in / p) -> (N, T, out); the bias is added once, after the sum."""
        y = F.linear(x, self.weight)
        if not self.sequence_parallel:
            y = reduce_from(y, self.comm)
            return y if self.bias is None else y + self.bias
        y = reduce_scatter(y, self.comm, 1)
        return y if self.bias is None else y + copy_to(self.bias, self.comm)


class VocabParallelEmbedding(_Divided):
    """A table whose rows are divided: each rank looks up its own, others give zero, and the sum is whole."""

    def __init__(self, embedding: Embedding, comm: Communicator) -> None:
        super().__init__(comm)
        parts = even(embedding.num_embeddings, comm.size)
        self.first = int(parts[comm.rank][0]) if len(parts[comm.rank]) else 0
        if min(map(len, parts)) == 0:
            raise ShapeError(
                f"VocabParallelEmbedding: {embedding.num_embeddings} rows for {comm.size} ranks; every rank "
                "needs one"
            )
        self._divide("weight", embedding.weight, 0, parts)

    def forward(self, index: Tensor) -> Tensor:
        """(N, T) -> (N, T, E)."""
        own = raw(index) - self.first
        inside = (own >= 0) & (own < self.weight.shape[0])
        rows = F.embedding(Tensor(np.where(inside, own, 0)), self.weight)
        return reduce_from(rows * inside[..., None].astype(rows.dtype), self.comm)


class SequenceParallelLayerNorm(Module):
    """Layer normalisation of some positions; its weights, which all ranks have, sum their gradients."""

    def __init__(self, norm: LayerNorm, comm: Communicator) -> None:
        super().__init__()
        self.comm, self.eps, self.normalized_shape = comm, norm.eps, norm.normalized_shape
        self.register_parameter("weight", norm.weight)
        self.register_parameter("bias", norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        weight, bias = (
            None if p is None else copy_to(p, self.comm) for p in (self.weight, self.bias)
        )
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


class SequenceParallelRMSNorm(Module):
    """RMS normalisation of some positions; its weight, which all ranks have, sums its gradients."""

    def __init__(self, norm: RMSNorm, comm: Communicator) -> None:
        super().__init__()
        self.comm, self.eps, self.normalized_shape = comm, norm.eps, norm.normalized_shape
        self.register_parameter("weight", norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        weight = None if self.weight is None else copy_to(self.weight, self.comm)
        return F.rms_norm(x, self.normalized_shape, weight, self.eps)


@primitive
def _vocab_cross_entropy(logits, *, target, first, comm):  # type: ignore[no-untyped-def]
    """-log softmax(logits)[target] of rows whose columns are divided: three small all-reduces."""
    rows = np.arange(len(target))
    top = comm.all_reduce(logits.max(axis=1), "max")
    e = np.exp(logits - top[:, None])
    total = comm.all_reduce(e.sum(axis=1))
    own = target - first
    inside = (own >= 0) & (own < logits.shape[1])
    column = np.where(inside, own, 0)
    zero = logits.dtype.type(0)
    chosen = comm.all_reduce(np.where(inside, logits[rows, column], zero))
    each = np.log(total) + top - chosen

    def pull(g, needs):  # type: ignore[no-untyped-def]
        d = e / total[:, None]
        d[rows, column] -= inside
        return (d * (g / g.dtype.type(len(target))),)

    return np.asarray(each.mean(), logits.dtype), pull


def vocab_parallel_cross_entropy(logits: Tensor, target: Tensor, comm: Communicator) -> Tensor:
    """Mean cross-entropy of logits (..., V_r), whose columns are divided in blocks, against targets (...).

    No rank ever holds all V columns: with n rows, 3 all-reduces of n numbers in place of n V.
    """
    width = comm.all_reduce(np.eye(comm.size, dtype=np.int64)[comm.rank] * logits.shape[-1])
    t = np.asarray(raw(target)).reshape(-1)
    flat = logits.reshape(-1, logits.shape[-1])
    if len(t) != len(flat.data):
        raise ShapeError(
            f"vocab_parallel_cross_entropy: logits {logits.shape} need targets of shape {logits.shape[:-1]}, "
            f"got {np.shape(raw(target))}"
        )
    return _vocab_cross_entropy(flat, target=t, first=int(width[: comm.rank].sum()), comm=comm)
