"""Llama: the decoder that most open language models are, with the names of its public checkpoints.

RMSNorm before each step, rotary positions, grouped queries, SwiGLU, no biases; optionally a mixture
of experts in place of the SwiGLU. Sources: Touvron et al. 2023; Jiang et al. 2024 (Mixtral).
Shapes: N batch, T length, E hidden_size, H query heads, K key heads, D = head width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.models.generation import KVCache, cache_mask, generate


@dataclass
class LlamaConfig:
    """Sizes, under the names of the public configuration files; the defaults are Llama 2 7B's."""

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 32
    max_position_embeddings: int = 4096
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = False
    num_experts: int = 0
    num_experts_per_tok: int = 2


class Attention(nn.Module):
    """Causal attention in H query heads that share K key heads, with rotary positions."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.width = config.hidden_size // self.heads
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.kv_heads * self.width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.kv_heads * self.width, bias=False)
        self.o_proj = nn.Linear(self.heads * self.width, config.hidden_size, bias=False)

    def forward(
        self, x: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None, layer: int = 0
    ) -> Tensor:
        """(N, T, E) -> (N, T, E); a cache holds the turned keys, and values, of positions before."""
        start = cache.length if cache is not None else 0
        q, k, v = (project(x) for project in (self.q_proj, self.k_proj, self.v_proj))
        n, t, _ = q.shape  # all heads, or those of this rank
        q, k, v = (y.reshape(n, t, -1, self.width).transpose(1, 2) for y in (q, k, v))
        q, k = rope(q, start), rope(k, start)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        mask = cache_mask(t, k.shape[2])
        y = F.scaled_dot_product_attention(
            q, k, v, mask, is_causal=mask is None and t > 1, enable_gqa=q.shape[1] != k.shape[1]
        )
        return self.o_proj(y.transpose(1, 2).reshape(n, t, -1))


class MLP(nn.Module):
    """down(silu(gate x) * up x): SwiGLU under the checkpoints' names."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        if config.num_experts:
            self.mlp: nn.Module = nn.MixtureOfExperts(
                config.hidden_size,
                config.intermediate_size,
                config.num_experts,
                config.num_experts_per_tok,
            )
        else:
            self.mlp = MLP(config)

    def forward(
        self, x: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None, layer: int = 0
    ) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        x = x + self.self_attn(self.input_layernorm(x), rope, cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, index: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None
    ) -> Tensor:
        """Token numbers (N, T) -> (N, T, E)."""
        x = self.embed_tokens(index)
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, cache, i)
        return self.norm(x)


class Llama(nn.Module):
    """Token numbers (N, T) in, logits of the next token (N, T, V) out."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = LlamaModel(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        width = config.hidden_size // config.num_attention_heads
        self.rope = nn.RotaryEmbedding(width, config.max_position_embeddings, config.rope_theta)

    def forward(self, index: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits for every position; a cache supplies the positions before."""
        end = index.shape[1] + (cache.length if cache is not None else 0)
        if end > self.config.max_position_embeddings:
            raise ShapeError(
                f"Llama: {end} positions, but max_position_embeddings is "
                f"{self.config.max_position_embeddings}; shorten the input"
            )
        x = self.model(index, self.rope, cache)
        if cache is not None:
            cache.length = end
        if self.config.tie_word_embeddings:
            return F.linear(x, self.model.embed_tokens.weight)
        return self.lm_head(x)

    def new_cache(self, batch: int) -> KVCache:
        """An empty cache for `batch` sequences; it holds the few key heads, not every query's."""
        c = self.config
        width = c.hidden_size // c.num_attention_heads
        length = c.max_position_embeddings
        return KVCache(c.num_hidden_layers, batch, c.num_key_value_heads, length, width)

    def generate(self, index: np.ndarray, max_new_tokens: int, **options: Any) -> np.ndarray:
        """Continue token numbers (N, T): see `lmbook.models.generate` for the options."""
        return generate(self, index, max_new_tokens, **options)

    def balance_loss(self) -> Tensor:
        """Sum over layers of the mixture's balance loss, from the last forward pass."""
        losses = [layer.mlp.balance_loss for layer in self.model.layers]
        if not losses or losses[0] is None:
            raise ValueError("balance_loss: the model has no mixture of experts, or has not run")
        return sum(losses[1:], losses[0])


def parameter_count(config: LlamaConfig) -> int:
    """How many parameters a model of this configuration has, from the formula."""
    c, width = config, config.hidden_size // config.num_attention_heads
    attention = 2 * c.hidden_size * width * (c.num_attention_heads + c.num_key_value_heads)
    mlp = 3 * c.hidden_size * c.intermediate_size
    if c.num_experts:
        mlp = c.num_experts * (mlp + c.hidden_size)
    per_layer = attention + mlp + 2 * c.hidden_size
    heads = 1 if c.tie_word_embeddings else 2
    return int(
        np.sum(
            [heads * c.vocab_size * c.hidden_size, c.num_hidden_layers * per_layer, c.hidden_size]
        )
    )
