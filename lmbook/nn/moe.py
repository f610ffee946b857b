"""Mixture of experts: many feed-forward networks, of which each token uses a few.

Shapes: tokens (..., E), experts M, k of them for each token.
"""

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.nn.activation import SwiGLU
from lmbook.nn.container import ModuleList
from lmbook.nn.linear import Linear
from lmbook.nn.module import Module


class MixtureOfExperts(Module):
    """y = sum over the k chosen experts of w_i expert_i(x), with w = softmax of the gate's k largest.

    After each forward pass `load` holds the share of (token, choice) pairs that each expert got, and
    `balance_loss` M * sum(share_i * mean gate probability_i), which is least, 1, when the load is
    even. Sources: Shazeer et al. 2017; Fedus et al. 2021 for the loss.
    """

    def __init__(self, dim: int, hidden_dim: int, num_experts: int, top_k: int = 2) -> None:
        super().__init__()
        if not 1 <= top_k <= num_experts:
            raise ValueError(f"MixtureOfExperts: top_k = {top_k} must be in 1 to {num_experts}")
        self.top_k = top_k
        self.gate = Linear(dim, num_experts, bias=False)
        self.experts = ModuleList(SwiGLU(dim, hidden_dim) for _ in range(num_experts))
        self.load = np.zeros(num_experts)
        self.balance_loss: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        tokens = x.reshape(-1, x.shape[-1])
        scores = self.gate(tokens)  # (tokens, M)
        chosen = np.argsort(-scores.data, axis=1, kind="stable")[:, : self.top_k]
        weights = F.softmax(scores.gather(1, chosen))  # (tokens, k)
        self._balance(scores, chosen)
        order, parts = [], []
        for i, expert in enumerate(self.experts):
            token, choice = np.nonzero(chosen == i)
            if len(token):
                parts.append(expert(tokens[token]) * weights[token, choice].unsqueeze(1))
                order.append(token)
        # every token comes k times, once for each of its experts: sort by token and add up
        back = np.argsort(np.concatenate(order), kind="stable")
        return cat(parts)[back].reshape(-1, self.top_k, x.shape[-1]).sum(1).reshape(x.shape)

    def _balance(self, scores: Tensor, chosen: np.ndarray) -> None:
        experts = len(self.experts)
        self.load = np.bincount(chosen.reshape(-1), minlength=experts) / chosen.size
        mean = F.softmax(scores).mean(0)
        self.balance_loss = (mean * self.load.astype(mean.dtype)).sum() * experts
