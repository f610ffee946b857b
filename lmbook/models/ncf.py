"""Neural collaborative filtering: GMF, MLP and their fusion NeuMF (He et al. 2017).

Logits of "this person meets this item" for pairs; train with binary cross-entropy against pairs that
did not meet. Shapes: N pairs, K factors.
"""

from dataclasses import dataclass

import numpy as np

from lmbook import nn
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.autograd.ops import cat


@dataclass
class NCFConfig:
    """Sizes. `factors` is the width of the last layer before the logit, in GMF and MLP alike; the MLP's
    tower halves the width at each of its `layers`, from embeddings of factors * 2^(layers - 1) each."""

    num_users: int
    num_items: int
    factors: int = 8
    layers: int = 3


class _Pairs(nn.Module):
    """What the three share: logits of pairs, and scores of all items for some users."""

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Logits of all items for each of `users`: (N, items)."""
        items = as_tensor(np.arange(self.config.num_items))
        with no_grad():
            rows = [
                self(as_tensor(np.full(self.config.num_items, u)), items).data
                for u in np.asarray(users)
            ]
        return np.stack(rows)


class GMF(_Pairs):
    """Generalised matrix factorisation: logit = h . (p_u * q_i) + b; with h = 1 that is plain MF."""

    def __init__(self, config: NCFConfig) -> None:
        super().__init__()
        self.config = config
        self.user = nn.Embedding(config.num_users, config.factors)
        self.item = nn.Embedding(config.num_items, config.factors)
        self.output = nn.Linear(config.factors, 1)
        _initialise(self)

    def features(self, users: Tensor, items: Tensor) -> Tensor:
        """p_u * q_i: (N, K)."""
        return self.user(users) * self.item(items)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits (N,)."""
        return self.output(self.features(users, items))[:, 0]


class MLP(_Pairs):
    """A tower of ReLU layers over the joined vectors [p_u; q_i], each half as wide as the one before."""

    def __init__(self, config: NCFConfig) -> None:
        super().__init__()
        self.config = config
        width = config.factors * 2**config.layers
        self.user = nn.Embedding(config.num_users, width // 2)
        self.item = nn.Embedding(config.num_items, width // 2)
        self.layers = nn.ModuleList(
            nn.Linear(width >> k, width >> (k + 1)) for k in range(config.layers)
        )
        self.output = nn.Linear(config.factors, 1)
        _initialise(self)

    def features(self, users: Tensor, items: Tensor) -> Tensor:
        """The tower's last layer: (N, K)."""
        x = cat([self.user(users), self.item(items)], dim=1)
        for layer in self.layers:
            x = layer(x).relu()
        return x

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits (N,)."""
        return self.output(self.features(users, items))[:, 0]


class NeuMF(_Pairs):
    """GMF and MLP side by side, with embeddings of their own, joined before one output layer."""

    def __init__(self, config: NCFConfig) -> None:
        super().__init__()
        self.config = config
        self.gmf, self.mlp = GMF(config), MLP(config)
        self.gmf.output = self.mlp.output = None  # type: ignore[assignment]
        self.output = nn.Linear(2 * config.factors, 1)
        _initialise(self)

    @classmethod
    def pretrained(cls, gmf: GMF, mlp: MLP, alpha: float = 0.5) -> "NeuMF":
        """Start from a trained GMF and MLP; `alpha` is GMF's share of the first logits.

        h <- [alpha h_GMF; (1 - alpha) h_MLP], so that the first logits are the weighted mean of
        theirs. Source: He et al. 2017, section 3.4.1.
        """
        if gmf.config != mlp.config:
            raise ValueError(f"NeuMF.pretrained: sizes differ: {gmf.config} and {mlp.config}")
        model = cls(gmf.config)
        state = {
            f"{name}.{key}": value
            for name, part in (("gmf", gmf), ("mlp", mlp))
            for key, value in part.state_dict().items()
            if not key.startswith("output.")
        }
        shares = ((alpha, gmf.output), (1 - alpha, mlp.output))
        state["output.weight"] = np.concatenate([a * o.weight.data for a, o in shares], axis=1)
        state["output.bias"] = sum(a * o.bias.data for a, o in shares)
        model.load_state_dict(state)
        return model

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits (N,)."""
        joined = cat([self.gmf.features(users, items), self.mlp.features(users, items)], dim=1)
        return self.output(joined)[:, 0]


def _initialise(model: nn.Module) -> None:
    """Embeddings normal with deviation 0.01, as the paper; layers Glorot, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.01)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
