"""Llama: the decoder that most open language models are, with the names of its public checkpoints.

RMSNorm before each step, rotary positions, grouped queries, SwiGLU, no biases. Mistral is the same, also with
a window; Qwen2 has biases of queries, keys and values, Qwen3 norms of queries and keys; Mixtral a mixture of
experts in place of the SwiGLU. Sources: Touvron et al. 2023; Jiang et al. 2023, 2024; Qwen Team 2024, 2025.
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
from lmbook.models.pretrained import Names, PretrainedModule, from_hub, refuse, rope_of


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
    head_dim: int = 0
    """Width of a head; 0 stands for hidden_size / num_attention_heads."""
    qkv_bias: bool = False
    qk_norm: bool = False
    sliding_window: int = 0
    """How many positions a position sees, itself included; 0 stands for all."""
    rope_scaling: dict[str, Any] | None = None

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "LlamaConfig":
        """The sizes in a checkpoint's config.json: of Llama, Mistral, Mixtral, Qwen2 or Qwen3."""
        refuse(given, hidden_act=("silu",), attention_bias=(False,), mlp_bias=(False,))
        kind = given.get("model_type")
        given = {**given, **rope_of(given), "qkv_bias": kind == "qwen2", "qk_norm": kind == "qwen3"}
        if given.get("num_key_value_heads") is None:
            given["num_key_value_heads"] = given.get("num_attention_heads")
        if kind in ("qwen2", "qwen3") and not given.get("use_sliding_window", False):
            given["sliding_window"] = 0
        types = ("llama", "mistral", "mixtral", "qwen2", "qwen3")
        needed = (
            "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads "
            "max_position_embeddings rms_norm_eps"
        )
        return from_hub(cls, given, types, needed, num_experts="num_local_experts")


def _llama(width: int, inner: int, layers: int, heads: int, kv_heads: int, **rest: Any) -> Any:
    sizes = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    sizes |= {"num_attention_heads": heads, "num_key_value_heads": kv_heads}
    return LlamaConfig(**(sizes | rest))


_3 = {"vocab_size": 128256, "rope_theta": 500000.0, "max_position_embeddings": 8192}
_31 = _3 | {
    "max_position_embeddings": 131072,
    "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}  # fmt: skip
_32 = _31 | {"rope_scaling": _31["rope_scaling"] | {"factor": 32.0}, "tie_word_embeddings": True}  # type: ignore[operator]
_MIXTRAL = {
    "rope_theta": 1e6, "max_position_embeddings": 32768, "num_experts": 8, "num_experts_per_tok": 2,
}  # fmt: skip
_QWEN = {
    "vocab_size": 151936, "rope_theta": 1e6, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
}  # fmt: skip
_25 = _QWEN | {"qkv_bias": True}
_25_WIDE = _25 | {"vocab_size": 152064}
_Q3 = _QWEN | {"qk_norm": True, "head_dim": 128, "max_position_embeddings": 40960}
_TIED = {"tie_word_embeddings": True}

SIZES = {
    "llama-7b": _llama(4096, 11008, 32, 32, 32, max_position_embeddings=2048, rms_norm_eps=1e-6),
    "llama-13b": _llama(5120, 13824, 40, 40, 40, max_position_embeddings=2048, rms_norm_eps=1e-6),
    "llama-33b": _llama(6656, 17920, 60, 52, 52, max_position_embeddings=2048, rms_norm_eps=1e-6),
    "llama-65b": _llama(8192, 22016, 80, 64, 64, max_position_embeddings=2048),
    "llama-2-7b": LlamaConfig(),
    "llama-2-13b": _llama(5120, 13824, 40, 40, 40),
    "llama-2-70b": _llama(8192, 28672, 80, 64, 8),
    "llama-3-8b": _llama(4096, 14336, 32, 32, 8, **_3),
    "llama-3-70b": _llama(8192, 28672, 80, 64, 8, **_3),
    "llama-3.1-405b": _llama(16384, 53248, 126, 128, 8, **_31),
    "llama-3.2-1b": _llama(2048, 8192, 16, 32, 8, **_32),
    "llama-3.2-3b": _llama(3072, 8192, 28, 24, 8, **_32),
    "mistral-7b": _llama(
        4096, 14336, 32, 32, 8, max_position_embeddings=32768, sliding_window=4096
    ),
    "mixtral-8x7b": _llama(4096, 14336, 32, 32, 8, **_MIXTRAL),
    "mixtral-8x22b": _llama(
        6144, 16384, 56, 48, 8, **_MIXTRAL | {"max_position_embeddings": 65536}
    ),
    "qwen2.5-0.5b": _llama(896, 4864, 24, 14, 2, **_25, **_TIED),  # Qwen2 has 0.5, 1.5, 7 and 72
    "qwen2.5-1.5b": _llama(1536, 8960, 28, 12, 2, **_25, **_TIED),
    "qwen2.5-3b": _llama(2048, 11008, 36, 16, 2, **_25, **_TIED),
    "qwen2.5-7b": _llama(3584, 18944, 28, 28, 4, **_25_WIDE),
    "qwen2.5-14b": _llama(5120, 13824, 48, 40, 8, **_25_WIDE),
    "qwen2.5-32b": _llama(5120, 27648, 64, 40, 8, **_25_WIDE),
    "qwen2.5-72b": _llama(8192, 29568, 80, 64, 8, **_25_WIDE),
    "qwen3-0.6b": _llama(1024, 3072, 28, 16, 8, **_Q3, **_TIED),
    "qwen3-1.7b": _llama(2048, 6144, 28, 16, 8, **_Q3, **_TIED),
    "qwen3-4b": _llama(2560, 9728, 36, 32, 8, **_Q3, **_TIED),
    "qwen3-8b": _llama(4096, 12288, 36, 32, 8, **_Q3),
    "qwen3-14b": _llama(5120, 17408, 40, 40, 8, **_Q3),
    "qwen3-32b": _llama(5120, 25600, 64, 64, 8, **_Q3),
}
"""Published sizes by name."""


class Attention(nn.Module):
    """Causal attention in H query heads that share K key heads, with rotary positions."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.width, self.window = config.head_width, config.sliding_window
        wide, narrow, bias = self.heads * self.width, self.kv_heads * self.width, config.qkv_bias
        self.q_proj = nn.Linear(config.hidden_size, wide, bias=bias)
        self.k_proj = nn.Linear(config.hidden_size, narrow, bias=bias)
        self.v_proj = nn.Linear(config.hidden_size, narrow, bias=bias)
        self.o_proj = nn.Linear(wide, config.hidden_size, bias=False)
        if config.qk_norm:
            self.q_norm = nn.RMSNorm(self.width, config.rms_norm_eps)
            self.k_norm = nn.RMSNorm(self.width, config.rms_norm_eps)
        self.qk_norm = config.qk_norm

    def forward(
        self, x: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None, layer: int = 0
    ) -> Tensor:
        """(N, T, E) -> (N, T, E); a cache holds the turned keys, and values, of positions before."""
        start = cache.length if cache is not None else 0
        q, k, v = (project(x) for project in (self.q_proj, self.k_proj, self.v_proj))
        n, t, _ = q.shape  # all heads, or those of this rank
        q, k, v = (y.reshape(n, t, -1, self.width) for y in (q, k, v))
        if self.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))  # (N, H or K, T, D)
        q, k = rope(q, start), rope(k, start)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        mask = cache_mask(t, k.shape[2], self.window)
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


class Llama(PretrainedModule):
    """Token numbers (N, T) in, logits of the next token (N, T, V) out."""

    config_class = LlamaConfig
    names = Names(  # Mixtral's mixture is an `mlp` here; the angles follow from the config
        renames=((r"\.block_sparse_moe\.", ".mlp."),),
        ignored=(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$", r"lm_head\.weight$"),
    )

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = LlamaModel(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.rope = nn.RotaryEmbedding(
            config.head_width,
            config.max_position_embeddings,
            config.rope_theta,
            config.rope_scaling,
        )

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

    def new_cache(self, batch: int, length: int | None = None) -> KVCache:
        """An empty cache for `batch` sequences of up to `length` positions, at most the model's.

        It holds the few key heads, not every query's.
        """
        c, dtype = self.config, self.model.norm.weight.dtype
        length = min(length or c.max_position_embeddings, c.max_position_embeddings)
        heads, width = c.num_key_value_heads, c.head_width
        return KVCache(c.num_hidden_layers, batch, heads, length, width, dtype=dtype)

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
    c, width = config, config.head_width
    wide, narrow = c.num_attention_heads * width, c.num_key_value_heads * width
    attention = 2 * c.hidden_size * (wide + narrow)
    attention += (wide + 2 * narrow) * c.qkv_bias + 2 * width * c.qk_norm
    mlp = 3 * c.hidden_size * c.intermediate_size
    if c.num_experts:
        mlp = c.num_experts * (mlp + c.hidden_size)
    per_layer = attention + mlp + 2 * c.hidden_size
    heads = 1 if c.tie_word_embeddings else 2
    return heads * c.vocab_size * c.hidden_size + c.num_hidden_layers * per_layer + c.hidden_size
