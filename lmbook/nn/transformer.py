"""Encoder and decoder layers of the Transformer (Vaswani et al. 2017), with PyTorch's names.

Shapes: N batch, T target length, S source length, E width; batch first unless said otherwise.
"""

import copy
from typing import Any

from lmbook.autograd import Tensor
from lmbook.nn.activation import named
from lmbook.nn.attention import MultiheadAttention
from lmbook.nn.container import Dropout, ModuleList
from lmbook.nn.linear import Linear
from lmbook.nn.module import Module
from lmbook.nn.norm import LayerNorm


class _Block(Module):
    """What encoder and decoder layers share: attention, feed-forward, and where the norm stands."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first)
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.norm_first, self.activation = norm_first, named(activation)

    def _feed_forward(self, x: Tensor, drop: Module) -> Tensor:
        return drop(self.linear2(self.dropout(self.activation(self.linear1(x)))))

    def _attend(
        self, attention: Any, x: Tensor, memory: Tensor, drop: Module, **masks: Any
    ) -> Tensor:
        return drop(attention(x, memory, memory, need_weights=False, **masks)[0])

    def _residual(self, x: Tensor, norm: Module, step: Any) -> Tensor:
        """x + step(norm(x)) if the norm comes first, else norm(x + step(x))."""
        return x + step(norm(x)) if self.norm_first else norm(x + step(x))


class TransformerEncoderLayer(_Block):
    """Self-attention, then a feed-forward network, each inside a residual connection with a norm."""

    def __init__(self, d_model: int, nhead: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(d_model, nhead, *args, **kwargs)
        eps, p = kwargs.get("layer_norm_eps", 1e-5), self.dropout.p
        bias = kwargs.get("bias", True)
        self.norm1, self.norm2 = (LayerNorm(d_model, eps, bias=bias) for _ in range(2))
        self.dropout1, self.dropout2 = Dropout(p), Dropout(p)

    def forward(
        self,
        src: Tensor,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """(N, S, E) -> (N, S, E)."""
        masks = {
            "attn_mask": src_mask,
            "key_padding_mask": src_key_padding_mask,
            "is_causal": is_causal,
        }
        x = self._residual(
            src, self.norm1, lambda y: self._attend(self.self_attn, y, y, self.dropout1, **masks)
        )
        return self._residual(x, self.norm2, lambda y: self._feed_forward(y, self.dropout2))


class TransformerDecoderLayer(_Block):
    """Masked self-attention, attention to the encoder's output, then a feed-forward network."""

    def __init__(self, d_model: int, nhead: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(d_model, nhead, *args, **kwargs)
        eps, p = kwargs.get("layer_norm_eps", 1e-5), self.dropout.p
        bias = kwargs.get("bias", True)
        self.multihead_attn = MultiheadAttention(
            d_model, nhead, p, bias, batch_first=self.self_attn.batch_first
        )
        self.norm1, self.norm2, self.norm3 = (LayerNorm(d_model, eps, bias=bias) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = Dropout(p), Dropout(p), Dropout(p)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
    ) -> Tensor:
        """(N, T, E) and the encoder's output (N, S, E) -> (N, T, E)."""
        own = {
            "attn_mask": tgt_mask,
            "key_padding_mask": tgt_key_padding_mask,
            "is_causal": tgt_is_causal,
        }
        other = {"attn_mask": memory_mask, "key_padding_mask": memory_key_padding_mask}
        x = self._residual(
            tgt, self.norm1, lambda y: self._attend(self.self_attn, y, y, self.dropout1, **own)
        )
        x = self._residual(
            x,
            self.norm2,
            lambda y: self._attend(self.multihead_attn, y, memory, self.dropout2, **other),
        )
        return self._residual(x, self.norm3, lambda y: self._feed_forward(y, self.dropout3))


def _clones(layer: Module, n: int) -> ModuleList:
    """`n` copies with the same initial values, as in PyTorch."""
    return ModuleList(copy.deepcopy(layer) for _ in range(n))


class TransformerEncoder(Module):
    """A stack of encoder layers."""

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers, self.norm = _clones(encoder_layer, num_layers), norm

    def forward(
        self,
        src: Tensor,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """(N, S, E) -> (N, S, E): one vector for each token, whatever the length."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """A stack of decoder layers."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers, self.norm = _clones(decoder_layer, num_layers), norm

    def forward(self, tgt: Tensor, memory: Tensor, **masks: Any) -> Tensor:
        """(N, T, E) and (N, S, E) -> (N, T, E)."""
        for layer in self.layers:
            tgt = layer(tgt, memory, **masks)
        return tgt if self.norm is None else self.norm(tgt)


__all__ = [
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
