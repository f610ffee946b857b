"""Multi-head attention.

Shapes: N batch, L queries, S keys, E width, H heads.
"""

from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.autograd.tensor import raw
from lmbook.backend import ShapeError, asarray
from lmbook.nn import init
from lmbook.nn.linear import Linear
from lmbook.nn.module import Module, Parameter


class MultiheadAttention(Module):
    """Concat(head_1, ..., head_H) W_O, with head_h = attention(Q W_Q^h, K W_K^h, V W_V^h).

    Parameters as PyTorch's: `in_proj_weight` (3E, E) stacks W_Q, W_K, W_V of all heads, `out_proj`
    is W_O. Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ShapeError(
                f"MultiheadAttention: width {embed_dim} does not divide into {num_heads} heads"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.head_dim, self.batch_first = embed_dim // num_heads, batch_first
        self.in_proj_weight = Parameter(init.xavier_uniform_(init.new(3 * embed_dim, embed_dim)))
        self.register_parameter(
            "in_proj_bias", Parameter(init.new(3 * embed_dim)) if bias else None
        )
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Result (N, L, E) and the weights (N, L, S), or (N, H, L, S) if not averaged, or None.

        Inputs (N, L, E), (N, S, E) if `batch_first`, else (L, N, E), (S, N, E); also without batch.
        As in PyTorch, a boolean mask is true where a query may NOT look; `key_padding_mask` (N, S)
        is true at padding.
        """
        batched = query.ndim == 3
        if not batched:
            query, key, value = (t.unsqueeze(0) for t in (query, key, value))
        elif not self.batch_first:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        if query.shape[-1] != self.embed_dim:
            raise ShapeError(
                f"MultiheadAttention: the query {query.shape} must have width {self.embed_dim}"
            )
        q, k, v = self._project(query, key, value)
        mask = self._mask(attn_mask, key_padding_mask, batched)
        if mask is None and attn_mask is None and is_causal:
            mask = np.triu(np.full((q.shape[-2], k.shape[-2]), -np.inf, q.dtype), 1)
        p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ k.mT * (1 / np.sqrt(self.head_dim))
            weights = F.softmax(scores if mask is None else scores + mask)
            y = F.dropout(weights, p) @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            y = F.scaled_dot_product_attention(q, k, v, mask, p)
        n, _, length, _ = y.shape
        y = self.out_proj(y.transpose(1, 2).reshape(n, length, self.embed_dim))  # (N, L, E)
        if not batched:
            return y.squeeze(0), None if weights is None else weights.squeeze(0)
        return y if self.batch_first else y.transpose(0, 1), weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of all heads: (N, H, L, E / H) each."""
        bias = self.in_proj_bias
        if query is key and key is value:
            projected = F.linear(query, self.in_proj_weight, bias).split(self.embed_dim, -1)
        else:
            weights = self.in_proj_weight.split(self.embed_dim)
            biases = (None,) * 3 if bias is None else bias.split(self.embed_dim)
            inputs = (query, key, value)
            projected = tuple(
                F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True)
            )
        return tuple(
            t.reshape(*t.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)
            for t in projected
        )

    def _mask(self, attn_mask: Any, padding: Any, batched: bool) -> np.ndarray | None:
        """Both masks as numbers to add to the scores (N, H, L, S)."""
        masks = []
        if attn_mask is not None:
            m = asarray(raw(attn_mask))
            masks.append(_forbid(m.reshape(-1, self.num_heads, *m.shape[1:]) if m.ndim == 3 else m))
        if padding is not None:
            p = asarray(raw(padding))
            masks.append(_forbid(p[:, None, None, :] if batched else p[None, None, None, :]))
        return sum(masks[1:], masks[0]) if masks else None


def _forbid(mask: np.ndarray) -> np.ndarray:
    """Minus infinity where a boolean mask is true; numbers as they are."""
    return np.where(mask, np.float32(-np.inf), np.float32(0)) if mask.dtype == np.bool_ else mask
