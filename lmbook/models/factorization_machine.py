"""Factorisation machines: every pair of features interacts through the product of two vectors.

Shapes: N examples, S slots (features present at once), F fields, K width of a feature's vector.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import nn
from lmbook.autograd import Tensor, as_tensor
from lmbook.backend import ShapeError


def pairwise(v: Tensor) -> Tensor:
    """sum over pairs i < j of v_i . v_j, for v (N, S, K): (N,).

    In O(S K), not O(S^2 K):   1/2 (|sum_i v_i|^2 - sum_i |v_i|^2). Source: Rendle 2010, lemma 3.1.
    """
    return 0.5 * (v.sum(1).square() - v.square().sum(1)).sum(-1)


def pairwise_double_sum(v: Tensor) -> Tensor:
    """The same as its definition says, pair by pair."""
    slots = v.shape[1]
    terms = [(v[:, i] * v[:, j]).sum(-1) for i in range(slots) for j in range(i + 1, slots)]
    return sum(terms[1:], terms[0]) if terms else v.sum(1).sum(-1) * 0


@dataclass
class FieldConfig:
    """`sizes[f]` features of field f share one table; an example shows `slots[f]` of them at once."""

    sizes: tuple[int, ...]
    slots: tuple[int, ...] = ()
    width: int = 16
    hidden: tuple[int, ...] = (64, 64)
    dropout: float = 0.0

    @property
    def num_features(self) -> int:
        """Rows of the table."""
        return sum(self.sizes)

    @property
    def num_slots(self) -> int:
        """How many features an example shows."""
        return sum(self.slots) if self.slots else len(self.sizes)


class Features(nn.Module):
    """The table: vectors x_i v_i of an example's features (N, S, K)."""

    def __init__(self, config: FieldConfig, width: int, std: float) -> None:
        super().__init__()
        if config.slots and len(config.slots) != len(config.sizes):
            raise ShapeError(
                f"{len(config.sizes)} fields have {len(config.slots)} numbers of slots; give one a field"
            )
        self.config = config
        self.table = nn.Embedding(config.num_features, width)
        nn.init.normal_(self.table.weight, std=std)
        slots = config.slots or (1,) * len(config.sizes)
        self.pool = np.repeat(np.eye(len(slots), dtype=np.float32), slots, axis=1)  # (F, S)

    def forward(self, index: Tensor, values: Any = None) -> Tensor:
        """Rows `index` (N, S), times `values` (N, S) if given."""
        if index.ndim != 2 or index.shape[1] != self.config.num_slots:
            raise ShapeError(
                f"factorisation machine: index {index.shape} must be (examples, {self.config.num_slots})"
            )
        v = self.table(index)
        return v if values is None else v * as_tensor(values).unsqueeze(-1)

    def of_fields(self, v: Tensor) -> Tensor:
        """Slots (N, S, K) added up into fields (N, F, K)."""
        if self.pool.shape[0] == self.pool.shape[1]:
            return v
        return Tensor(self.pool.astype(v.dtype)) @ v


def perceptron(config: FieldConfig) -> nn.Sequential:
    """From the fields' vectors side by side, (N, F K), through the hidden layers to one number."""
    layers: list[nn.Module] = []
    width = len(config.sizes) * config.width
    for hidden in config.hidden:
        layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(config.dropout)]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, 1))


class LogisticRegression(nn.Module):
    """y = w_0 + sum_i w_i x_i: each feature by itself, no pairs."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.constant = nn.Parameter(nn.init.new(1))
        self.linear = Features(config, 1, 0.0)

    def forward(self, index: Tensor, values: Any = None) -> Tensor:
        """Logits (N,), from feature numbers and values, (N, S) each."""
        return self.constant + self.linear(index, values).sum((1, 2))


class FactorizationMachine(nn.Module):
    """y = w_0 + sum_i w_i x_i + sum_(i < j) (v_i . v_j) x_i x_j (Rendle 2010)."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.constant = nn.Parameter(nn.init.new(1))
        self.linear = Features(config, 1, 0.0)
        self.vectors = Features(config, config.width, 0.01)

    def forward(self, index: Tensor, values: Any = None) -> Tensor:
        """Logits (or numbers to regress) (N,), from feature numbers and values, (N, S) each."""
        first = self.linear(index, values).sum((1, 2))
        return self.constant + first + pairwise(self.vectors(index, values))

    def interaction(self, i: int, j: int) -> float:
        """v_i . v_j: what features i and j together add to the logit."""
        v = self.vectors.table.weight.data
        return float(v[i] @ v[j])


class DeepFM(FactorizationMachine):
    """A factorisation machine plus a perceptron over the same vectors (Guo et al. 2017)."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.deep = perceptron(config)

    def forward(self, index: Tensor, values: Any = None) -> Tensor:
        """Logits (N,), from feature numbers and values, (N, S) each."""
        v = self.vectors(index, values)
        wide = self.constant + self.linear(index, values).sum((1, 2)) + pairwise(v)
        return wide + self.deep(self.vectors.of_fields(v).flatten(1))[:, 0]
