"""Mixture of experts: many feed-forward networks, of which each token uses a few.

Shapes: tokens (..., E), t of them, experts M, k of them for each token.
"""

from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor, primitive
from lmbook.autograd.ops import cat
from lmbook.nn import init
from lmbook.nn.activation import SwiGLU
from lmbook.nn.container import ModuleList
from lmbook.nn.linear import Linear
from lmbook.nn.module import Module


@primitive
def _with_loss(y, loss, *, weight):  # type: ignore[no-untyped-def]
    return y.copy(), lambda g, needs: (g, np.full_like(loss, weight))


def with_loss(y: Tensor, loss: Tensor, weight: float) -> Tensor:
    """y, with `weight * loss` added to whatever loss y ends in: its gradient, not its value.

    So a layer deep in a model, in another stage of a pipeline or computed again in the backward pass, can
    have a loss of its own.
    """
    return _with_loss(y, loss, weight=weight)


class MixtureOfExperts(Module):
    """y = sum over the k chosen experts of w_i expert_i(x), with w = softmax of the gate's k largest.

    After each forward pass `load` holds the share of (token, choice) pairs that each expert got, and
    `balance_loss` M * sum(share_i * mean gate probability_i), which is 1 when the load is even.

    Two ways to even the load. `balance_weight` adds that much of the balance loss to whatever loss the
    output ends in (`with_loss`): give 0 and add it yourself, or give the weight divided by the number of
    losses that are summed. `bias_rate` needs no loss: a bias b_i beside the gate's scores counts in the
    choice of experts, not in their weights, and `update_bias`, called after each step, moves it by the
    rate, up for experts with less than their share. Sources: Shazeer et al. 2017; Fedus et al. 2021 (loss);
    Wang et al. 2024 (bias; they add it to the gate's probabilities, here it is added to their logarithms).
    """

    expert_bias: Tensor

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_experts: int,
        top_k: int = 2,
        balance_weight: float = 0.0,
        bias_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if not 1 <= top_k <= num_experts:
            raise ValueError(f"MixtureOfExperts: top_k = {top_k} must be in 1 to {num_experts}")
        self.top_k, self.balance_weight, self.bias_rate = top_k, balance_weight, bias_rate
        self.gate = Linear(dim, num_experts, bias=False)
        self.experts = ModuleList(SwiGLU(dim, hidden_dim) for _ in range(num_experts))
        if bias_rate:
            self.register_buffer("expert_bias", init.new(num_experts))
        self.load = np.zeros(num_experts)
        self.counts = np.zeros(num_experts)
        """(token, choice) pairs of each expert in training since the last `update_bias`."""
        self.balance_loss: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        tokens = x.reshape(-1, x.shape[-1])
        scores = self.gate(tokens)  # (t, M)
        chosen = choose(self, scores.data)
        weights = F.softmax(scores.gather(1, chosen))  # (t, k)
        wanted = np.bincount(chosen.reshape(-1), minlength=scores.shape[1]).astype(np.float64)
        note_load(self, scores, wanted)
        order, parts = [], []
        for i, expert in enumerate(self.experts):
            token, choice = np.nonzero(chosen == i)
            if len(token):
                parts.append(expert(tokens[token]) * weights[token, choice].unsqueeze(1))
                order.append(token)
        # every token comes k times, once for each of its experts: sort by token and add up
        back = np.argsort(np.concatenate(order), kind="stable")
        y = cat(parts)[back].reshape(-1, self.top_k, x.shape[-1]).sum(1).reshape(x.shape)
        return finish(self, y)

    def update_bias(self) -> None:
        """b_i += rate sign(mean count - count_i), from the counts since the last call.

        With replicas on other ranks add their counts first: `m.counts = comm.all_reduce(m.counts)`.
        """
        update_bias(self)


def choose(layer: Any, scores: np.ndarray) -> np.ndarray:
    """The experts of each token: (t, M) scores -> (t, k), the best first."""
    if layer.bias_rate:
        scores = scores + layer.expert_bias.data
    return np.argsort(-scores, axis=1, kind="stable")[:, : layer.top_k]


def note_load(layer: Any, scores: Tensor, wanted: np.ndarray) -> None:
    """Set a layer's load, counts and balance loss, from its scores and the pairs of each expert."""
    layer.load = wanted / wanted.sum()
    if layer.training:
        layer.counts = layer.counts + wanted
    mean = F.softmax(scores).mean(0)
    layer.balance_loss = (mean * layer.load.astype(mean.dtype)).sum() * len(wanted)


def finish(layer: Any, y: Tensor) -> Tensor:
    """The layer's output with its balance loss, if it has a weight."""
    if not layer.balance_weight or not layer.training:
        return y
    assert layer.balance_loss is not None
    return with_loss(y, layer.balance_loss, layer.balance_weight)


def update_bias(layer: Any) -> None:
    """See `MixtureOfExperts.update_bias`."""
    if not layer.bias_rate:
        raise ValueError("update_bias: the layer has no bias; give it a bias_rate above 0")
    counts = layer.counts
    bias = layer.expert_bias.data
    bias += (layer.bias_rate * np.sign(counts.mean() - counts)).astype(bias.dtype)
    layer.counts = np.zeros_like(counts)
