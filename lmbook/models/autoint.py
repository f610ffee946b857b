"""AutoInt: self-attention among the fields of an example finds which belong together (Song et al. 2019).

Shapes: N examples, S slots, F fields, H heads, D width of a head, E = H D.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, no_grad
from lmbook.models.factorization_machine import Features, FieldConfig, perceptron


@dataclass
class AutoIntConfig(FieldConfig):
    """Fields, and the attention over them; `deep` adds a perceptron beside it (AutoInt+)."""

    layers: int = 3
    heads: int = 2
    head_width: int = 16
    deep: bool = False


class Interaction(nn.Module):
    """ReLU(heads + W_res x): each field as a mixture of what the fields say, in H heads.

    a_h(i, j) = softmax_j(<W_q x_i, W_k x_j>), without a scale, as in the paper.
    """

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, total = heads, heads * head_width
        self.query, self.key, self.value, self.residual = (
            nn.Linear(width, total, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, F, K) -> (N, F, E), and the weights (N, H, F, F)."""
        n, f, _ = x.shape
        q, k, v = (
            project(x).reshape(n, f, self.heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        weights = F.softmax(q @ k.mT)
        mixed = (weights @ v).transpose(1, 2).reshape(n, f, -1)
        return (mixed + self.residual(x)).relu(), weights


class AutoInt(nn.Module):
    """Layers of interaction over the fields' vectors, then one linear map to the logit."""

    def __init__(self, config: AutoIntConfig) -> None:
        super().__init__()
        self.config = config
        fields, total = len(config.sizes), config.heads * config.head_width
        self.vectors = Features(config, config.width, 0.1)
        self.layers = nn.ModuleList(
            Interaction(total if k else config.width, config.heads, config.head_width)
            for k in range(config.layers)
        )
        self.output = nn.Linear(fields * total, 1)
        self.deep = perceptron(config) if config.deep else None

    def forward(self, index: Tensor, values: Any = None) -> Tensor:
        """Logits (N,), from feature numbers and values, (N, S) each."""
        first = x = self.vectors.of_fields(self.vectors(index, values))
        for layer in self.layers:
            x, _ = layer(x)
        logit = self.output(x.flatten(1))[:, 0]
        return logit if self.deep is None else logit + self.deep(first.flatten(1))[:, 0]

    def attention(self, index: Tensor, values: Any = None) -> np.ndarray:
        """Weights of every layer, averaged over the examples: (layers, H, F, F)."""
        with no_grad():
            x = self.vectors.of_fields(self.vectors(index, values))
            maps = []
            for layer in self.layers:
                x, weights = layer(x)
                maps.append(weights.data.mean(axis=0))
        return np.stack(maps)
