"""Expert parallelism: the experts of a mixture live on different ranks, and tokens travel to them and back.

Sources: Lepikhin et al. 2020 (GShard); Fedus et al. 2021 (capacity and the balance loss).

Shapes: tokens (t, E) on each rank, M experts, k of them for each token, p ranks.
"""

import math
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.distributed import Communicator, blocks
from lmbook.nn import MixtureOfExperts, Module, ModuleList
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.differentiable import all_to_all


def route(
    scores: np.ndarray, top_k: int, capacity: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who goes where: (token, choice, expert) of each pair that has a place, sorted by expert, then token.

    Each token wants its `top_k` experts of largest score. With a capacity an expert takes at most so many:
    all first choices come before the second ones, and earlier tokens before later ones.
    """
    chosen = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    token = np.tile(np.arange(len(scores)), top_k)
    choice = np.repeat(np.arange(top_k), len(scores))
    expert = chosen.T.reshape(-1)
    if capacity is not None:
        rank = np.zeros(len(expert), np.int64)  # how many wanted this expert before
        for e in np.unique(expert):
            rank[expert == e] = np.arange((expert == e).sum())
        kept = rank < capacity
        token, choice, expert = token[kept], choice[kept], expert[kept]
    order = np.lexsort((token, expert))
    return token[order], choice[order], expert[order]


class ExpertParallel(Module):
    """A `MixtureOfExperts` whose experts are divided among the ranks; each rank brings tokens of its own.

        layer = ExpertParallel(MixtureOfExperts(dim, hidden, experts), comm, capacity_factor=1.25)

    The gate is on every rank, with rank 0's weights; its gradient must be averaged as any data-parallel
    one, while an expert's is already that of all ranks' tokens (see `average_gradients`). An expert takes
    at most ceil(capacity_factor k t / M) tokens of each rank; what finds no place passes as zero, which
    leaves a residual connection as it was. `dropped` is the share of those. `balance_loss` averages,
    over the ranks, to that of all tokens together: the shares of load are those of all ranks.

    Bytes: 2 all-to-alls of k t E numbers forwards, 2 backwards, of which (p - 1) / p leave their rank.
    """

    def __init__(
        self, layer: MixtureOfExperts, comm: Communicator, capacity_factor: float | None = None
    ) -> None:
        super().__init__()
        experts = list(layer.experts)
        if len(experts) < comm.size:
            raise ValueError(
                f"ExpertParallel: {len(experts)} experts for {comm.size} ranks; at least one for each"
            )
        broadcast_parameters(layer, comm)
        self.comm, self.top_k, self.capacity_factor = comm, layer.top_k, capacity_factor
        self.ends = blocks(len(experts), comm.size)
        self.gate = layer.gate
        self.experts = ModuleList(experts[self.ends[comm.rank] : self.ends[comm.rank + 1]])
        self.load, self.dropped = np.zeros(len(experts)), 0.0
        self.balance_loss: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        tokens = x.reshape(-1, x.shape[-1])
        scores = self.gate(tokens)  # (t, M)
        count = scores.shape[1]
        capacity = None
        if self.capacity_factor is not None:
            capacity = math.ceil(self.capacity_factor * self.top_k * len(tokens) / count)
        token, choice, expert = route(scores.data, self.top_k, capacity)
        self._balance(scores, len(token))

        to_expert = np.bincount(expert, minlength=count)
        told = self.comm.all_to_all(
            [to_expert[self.ends[r] : self.ends[r + 1]] for r in range(self.comm.size)]
        )  # told[r][e]: how many rank r has for my expert e
        send = [int(to_expert[a:b].sum()) for a, b in zip(self.ends, self.ends[1:])]
        recv = [int(c.sum()) for c in told]
        arrived = all_to_all(tokens[token], self.comm, send, recv)
        done = all_to_all(self._compute(arrived, told), self.comm, recv, send)  # (pairs, E)

        chosen = np.argsort(-scores.data, axis=1, kind="stable")[:, : self.top_k]
        weights = F.softmax(scores.gather(1, chosen))  # (t, k)
        weighted = done * weights[token, choice].unsqueeze(1)
        return _add_up(weighted, token, choice, len(tokens), self.top_k).reshape(x.shape)

    def _compute(self, rows: Tensor, told: list[np.ndarray]) -> Tensor:
        """My experts on the rows that came, sorted by rank, then by expert; the same order comes back.

        An expert sees the tokens of all ranks together, in the order of the ranks.
        """
        owner = np.concatenate([np.repeat(np.arange(len(c)), c) for c in told])
        order = np.argsort(owner, kind="stable")
        parts = [
            expert(rows[order[owner[order] == e]]) if (owner == e).any() else None
            for e, expert in enumerate(self.experts)
        ]
        found = [p for p in parts if p is not None]
        return cat(found)[np.argsort(order, kind="stable")] if found else rows

    def _balance(self, scores: Tensor, kept: int) -> None:
        """M sum(share_i mean probability_i), with the shares of all ranks' tokens."""
        count = scores.shape[1]
        chosen = np.argsort(-scores.data, axis=1, kind="stable")[:, : self.top_k]
        wanted = np.bincount(chosen.reshape(-1), minlength=count).astype(np.float64)
        wanted = self.comm.all_reduce(wanted)
        self.load = wanted / wanted.sum()
        self.dropped = 1 - kept / chosen.size
        mean = F.softmax(scores).mean(0)
        self.balance_loss = (mean * self.load.astype(mean.dtype)).sum() * count


def _add_up(rows: Tensor, token: np.ndarray, choice: np.ndarray, t: int, k: int) -> Tensor:
    """The sum of each token's rows, in the order of their experts, as `MixtureOfExperts` adds them."""
    order = np.argsort(token, kind="stable")  # rows came sorted by expert
    place = np.full((t, k), len(token))  # the last row is zero
    seen = np.zeros(t, np.int64)
    for i in order:
        place[token[i], seen[token[i]]] = i
        seen[token[i]] += 1
    padded = cat([rows, Tensor(np.zeros((1, rows.shape[1]), rows.dtype))])
    return padded[place.reshape(-1)].reshape(t, k, rows.shape[1]).sum(1)


def average_gradients(module: Module, comm: Communicator) -> None:
    """Make gradients those of the mean of all ranks' losses, in a model with `ExpertParallel` layers.

    Experts: divided by the number of ranks, since they sum over all ranks' tokens. All else: averaged.
    """
    own: set[int] = set()
    for m in module.modules():
        if isinstance(m, ExpertParallel):
            own |= {id(p) for p in m.experts.parameters()}
    for p in module.parameters():
        grad: Any = np.zeros_like(p.data) if p.grad is None else p.grad.data
        g = grad / p.dtype.type(comm.size) if id(p) in own else comm.all_reduce(grad, "mean")
        p.grad = Tensor(g)
