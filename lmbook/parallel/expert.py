"""Expert parallelism: the experts of a mixture live on different ranks, and tokens travel to them and back.

Sources: Lepikhin et al. 2020 (GShard); Fedus et al. 2021 (capacity and the balance loss).

Shapes: tokens (t, E) on each rank, M experts, k of them for each token, p ranks.
"""

import math

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.distributed import Communicator, blocks
from lmbook.nn import MixtureOfExperts, Module, ModuleList
from lmbook.nn.moe import choose, finish, note_load, update_bias
from lmbook.parallel.buckets import flatten, unflatten
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.differentiable import all_to_all
from lmbook.parallel.parallelize import Plan
from lmbook.parallel.plans import gpt_plan
from lmbook.parallel.tensor_parallel import ColumnParallelLinear, RowParallelLinear


def route(chosen: np.ndarray, capacity: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who goes where: (token, choice, expert) of each pair that has a place, sorted by expert, then token.

    `chosen` (t, k) holds the experts that each token wants, the best first. With a capacity an expert takes
    at most so many: all first choices come before the second ones, and earlier tokens before later ones.
    """
    t, k = chosen.shape
    token, choice = np.tile(np.arange(t), k), np.repeat(np.arange(k), t)
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
    over the ranks, to that of all tokens together: the shares of load are those of all ranks. Both ways of
    balance are those of the layer, with the load of the group.

    Bytes: 2 all-to-alls of k t E numbers forwards, 2 backwards, of which (p - 1) / p leave their rank.
    """

    expert_bias: Tensor

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
        self.balance_weight, self.bias_rate = layer.balance_weight, layer.bias_rate
        self.ends = blocks(len(experts), comm.size)
        self.gate = layer.gate
        self.experts = ModuleList(experts[self.ends[comm.rank] : self.ends[comm.rank + 1]])
        if layer.bias_rate:
            self.register_buffer("expert_bias", layer.expert_bias)
        self.load, self.dropped = np.zeros(len(experts)), 0.0
        self.counts = np.zeros(len(experts))
        self.balance_loss: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        tokens = x.reshape(-1, x.shape[-1])
        scores = self.gate(tokens)  # (t, M)
        count = scores.shape[1]
        chosen = choose(self, scores.data)
        capacity = None
        if self.capacity_factor is not None:
            capacity = math.ceil(self.capacity_factor * self.top_k * len(tokens) / count)
        token, choice, expert = route(chosen, capacity)
        self.dropped = 1 - len(token) / chosen.size
        wanted = np.bincount(chosen.reshape(-1), minlength=count).astype(np.float64)
        note_load(self, scores, self.comm.all_reduce(wanted))

        to_expert = np.bincount(expert, minlength=count)
        told = self.comm.all_to_all(
            [to_expert[self.ends[r] : self.ends[r + 1]] for r in range(self.comm.size)]
        )  # told[r][e]: how many rank r has for my expert e
        send = [int(to_expert[a:b].sum()) for a, b in zip(self.ends, self.ends[1:])]
        recv = [int(c.sum()) for c in told]
        arrived = all_to_all(tokens[token], self.comm, send, recv)
        done = all_to_all(self._compute(arrived, told), self.comm, recv, send)  # (pairs, E)

        weights = F.softmax(scores.gather(1, chosen))  # (t, k)
        weighted = done * weights[token, choice].unsqueeze(1)
        return finish(self, _add_up(weighted, token, len(tokens), self.top_k).reshape(x.shape))

    def update_bias(self) -> None:
        """As `MixtureOfExperts.update_bias`, from the counts of the group."""
        update_bias(self)

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


def _add_up(rows: Tensor, token: np.ndarray, t: int, k: int) -> Tensor:
    """The sum of each token's rows, in the order of their experts, as `MixtureOfExperts` adds them."""
    order = np.argsort(token, kind="stable")  # rows came sorted by expert
    ordered = token[order]
    place = np.full((t, k), len(token))  # the last row is zero
    place[ordered, np.arange(len(token)) - np.searchsorted(ordered, ordered)] = order
    padded = cat([rows, Tensor(np.zeros((1, rows.shape[1]), rows.dtype))])
    return padded[place.reshape(-1)].reshape(t, k, rows.shape[1]).sum(1)


def average_gradients(
    module: Module, comm: Communicator, replicas: Communicator | None = None
) -> None:
    """Make gradients those of the mean of all ranks' losses, in a model with `ExpertParallel` layers.

        average_gradients(model, mesh.group("dp", "ep"), mesh["dp"])

    `comm` are the ranks with tokens of their own, `replicas` those of them that have the same experts as I
    (None: nobody). Experts have the sum over their group's tokens already: summed over the replicas,
    divided by the number of ranks in `comm`. All else: averaged. One all-reduce for each of the two.
    """
    own: set[int] = set()
    for m in module.modules():
        if isinstance(m, ExpertParallel):
            own |= {id(p) for p in m.experts.parameters()}
    parameters = list(module.parameters())
    for group, experts in ((comm, False), (replicas, True)):
        some = [p for p in parameters if (id(p) in own) == experts]
        for dtype in dict.fromkeys(p.dtype for p in some):
            _average([p for p in some if p.dtype == dtype], group, comm.size)


def _average(parameters: list[Tensor], group: Communicator | None, ranks: int) -> None:
    """The sum over the group divided by the number of ranks; None where nobody has a gradient.

    An expert that no token chose has none, and an optimiser leaves it as it is. So a mark for each
    parameter goes with the gradients.
    """
    dtype = parameters[0].dtype
    marks = np.array([p.grad is not None for p in parameters], dtype)
    grads = [np.zeros_like(p.data) if p.grad is None else p.grad.data for p in parameters]
    flat = flatten([marks, *grads])
    flat = flat if group is None else group.all_reduce(flat)
    found = unflatten(flat[len(marks) :] / dtype.type(ranks), parameters)
    for p, mark, g in zip(parameters, flat, found):
        p.grad = Tensor(g.copy()) if mark else None


def expert_plan(capacity_factor: float | None = None, name: str = "h.*.mlp") -> Plan:
    """The plan that divides the experts of a GPT: `parallelize_module(model, mesh["ep"], expert_plan())`."""
    return {name: lambda m, c: ExpertParallel(m, c, capacity_factor)}


def moe_plan(n_head: int) -> Plan:
    """`gpt_plan` for a GPT of experts: attention by heads, every expert by columns and rows.

    Use it over "tp" first, then `expert_plan` over "ep": each rank has a part of some experts.
    """
    plan = {k: f for k, f in gpt_plan(n_head).items() if ".mlp." not in k}
    column, row = (lambda m, c: ColumnParallelLinear(m, c)), (lambda m, c: RowParallelLinear(m, c))
    return plan | {"h.*.mlp.experts.*.w[13]": column, "h.*.mlp.experts.*.w2": row}
