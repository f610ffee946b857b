"""DeepSeek-V2 and V3: latent attention with a small cache, and many small experts beside a shared one.

Names are the public checkpoints'. Sources: DeepSeek-AI 2024a (V2), 2024b (V3); Wang et al. 2024 (the bias
that evens the load). V3's layer for predicting two tokens at once is left out, as it is in use.
Shapes: N batch, T length, S positions so far, E hidden_size, H heads, C kv_lora_rank, R qk_rope_head_dim,
D qk_nope_head_dim, V v_head_dim; t tokens, M experts, k chosen, G groups.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.backend import ShapeError
from lmbook.models.generation import KVCache, cache_mask, generate
from lmbook.models.pretrained import Names, PretrainedModule, from_hub, refuse, rope_of
from lmbook.nn.moe import mix
from lmbook.nn.rotary import yarn_mscale


@dataclass
class DeepSeekConfig:
    """Sizes, under the names of the public configuration files; the defaults are DeepSeek-V2-Lite's."""

    vocab_size: int = 102400
    hidden_size: int = 2048
    intermediate_size: int = 10944
    moe_intermediate_size: int = 1408
    num_hidden_layers: int = 27
    num_attention_heads: int = 16
    n_shared_experts: int = 2
    n_routed_experts: int = 64
    num_experts_per_tok: int = 6
    first_k_dense_replace: int = 1
    """How many layers at the beginning have a plain feed-forward network."""
    routed_scaling_factor: float = 1.0
    norm_topk_prob: bool = False
    """Whether the weights of the chosen experts are made to sum to one."""
    sigmoid_scores: bool = False
    """V3: sigmoids in place of a softmax, and a bias that counts in the choice alone."""
    n_group: int = 1
    topk_group: int = 1
    q_lora_rank: int = 0
    """Width that queries pass through; 0 stands for none."""
    kv_lora_rank: int = 512
    qk_rope_head_dim: int = 64
    qk_nope_head_dim: int = 128
    v_head_dim: int = 128
    max_position_embeddings: int = 163840
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    tie_word_embeddings: bool = False

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "DeepSeekConfig":
        """The sizes in a checkpoint's config.json."""
        v3 = given.get("model_type") == "deepseek_v3"
        refuse(
            given, hidden_act=("silu",), attention_bias=(False,), mlp_bias=(False,), moe_layer_freq=(1,),
            scoring_func=("sigmoid" if v3 else "softmax",), norm_topk_prob=(v3,),
            rope_interleave=(True,),
        )  # fmt: skip
        given = {**given, **rope_of(given), "sigmoid_scores": v3, "norm_topk_prob": v3}
        given.setdefault("first_k_dense_replace", 3 if v3 else 0)
        if not v3 and given.get("topk_method", "greedy") == "greedy":
            given["n_group"] = given["topk_group"] = 1
        needed = (
            "vocab_size hidden_size intermediate_size moe_intermediate_size num_hidden_layers "
            "num_attention_heads n_shared_experts n_routed_experts num_experts_per_tok kv_lora_rank "
            "qk_rope_head_dim qk_nope_head_dim v_head_dim routed_scaling_factor"
        )
        return from_hub(cls, given, ("deepseek_v2", "deepseek_v3"), needed)


def _yarn(mscale: float) -> dict[str, Any]:
    return {
        "rope_type": "yarn", "factor": 40.0, "beta_fast": 32, "beta_slow": 1, "mscale": mscale,
        "mscale_all_dim": mscale, "original_max_position_embeddings": 4096,
    }  # fmt: skip


SIZES = {
    "deepseek-v2-lite": DeepSeekConfig(rope_scaling=_yarn(0.707)),
    "deepseek-v2": DeepSeekConfig(
        102400, 5120, 12288, 1536, 60, 128, 2, 160, 6, 1, 16.0, n_group=8, topk_group=3,
        q_lora_rank=1536, rope_scaling=_yarn(0.707),
    ),
    "deepseek-v3": DeepSeekConfig(
        129280, 7168, 18432, 2048, 61, 128, 1, 256, 8, 3, 2.5, True, True, 8, 4, 1536,
        rope_scaling=_yarn(1.0),
    ),
}  # fmt: skip
"""Published sizes by name; DeepSeek-R1 has V3's."""


class LatentAttention(nn.Module):
    """Attention whose keys and values are made from a small latent vector of each position (MLA).

        c = norm(W_a x), of width C;  for each head  k = [W_k c; turn(W_r x)],  v = W_v c

    The part with positions is shared by all heads. A cache holds c and turn(W_r x) alone, C + R numbers a
    position. With it, a single new query is multiplied by W_k first, and is compared with the latents
    themselves; their mean is multiplied by W_v after: the same numbers without making keys and values again.
    """

    def __init__(self, config: DeepSeekConfig) -> None:
        super().__init__()
        c = config
        self.heads, self.plain, self.turned = (
            c.num_attention_heads,
            c.qk_nope_head_dim,
            c.qk_rope_head_dim,
        )
        self.rank, self.value = c.kv_lora_rank, c.v_head_dim
        wide = self.heads * (self.plain + self.turned)
        self.compress_queries = c.q_lora_rank > 0
        if self.compress_queries:
            self.q_a_proj = nn.Linear(c.hidden_size, c.q_lora_rank, bias=False)
            self.q_a_layernorm = nn.RMSNorm(c.q_lora_rank, c.rms_norm_eps)
            self.q_b_proj = nn.Linear(c.q_lora_rank, wide, bias=False)
        else:
            self.q_proj = nn.Linear(c.hidden_size, wide, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(c.hidden_size, self.rank + self.turned, bias=False)
        self.kv_a_layernorm = nn.RMSNorm(self.rank, c.rms_norm_eps)
        self.kv_b_proj = nn.Linear(self.rank, self.heads * (self.plain + self.value), bias=False)
        self.o_proj = nn.Linear(self.heads * self.value, c.hidden_size, bias=False)
        self.scale = (self.plain + self.turned) ** -0.5
        scaling = c.rope_scaling or {}
        if scaling.get("mscale_all_dim"):
            self.scale *= yarn_mscale(scaling["factor"], scaling["mscale_all_dim"]) ** 2

    def forward(
        self, x: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None, layer: int = 0
    ) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        n, t, _ = x.shape
        start = cache.length if cache is not None else 0
        q = (
            self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
            if self.compress_queries
            else self.q_proj(x)
        )
        q = q.reshape(n, t, self.heads, -1).transpose(1, 2)  # (N, H, T, D + R)
        q, q_turned = q.split([self.plain, self.turned], -1)
        latent, k_turned = self.kv_a_proj_with_mqa(x).split([self.rank, self.turned], -1)
        latent = self.kv_a_layernorm(latent).unsqueeze(1)  # (N, 1, T, C)
        q_turned, k_turned = (rope(_halves(y), start) for y in (q_turned, k_turned.unsqueeze(1)))
        if cache is not None:
            latent, k_turned = cache.extend(layer, latent, k_turned)  # (N, 1, S, C), (N, 1, S, R)
        attend = self.on_latents if cache is not None and t == 1 else self.on_keys
        y = attend(q, q_turned, latent, k_turned)  # (N, H, T, V)
        return self.o_proj(y.transpose(1, 2).reshape(n, t, -1))

    def on_keys(self, q: Tensor, q_turned: Tensor, latent: Tensor, k_turned: Tensor) -> Tensor:
        """Make every head's keys and values from the latents."""
        n, _, s, _ = latent.shape
        both = self.kv_b_proj(latent.squeeze(1)).reshape(n, s, self.heads, -1).transpose(1, 2)
        k, v = both.split([self.plain, self.value], -1)  # (N, H, S, D), (N, H, S, V)
        k = cat([k, k_turned.expand(n, self.heads, s, self.turned)], -1)
        mask = cache_mask(q.shape[2], s)
        causal = mask is None and s > 1
        return F.scaled_dot_product_attention(
            cat([q, q_turned], -1), k, v, mask, is_causal=causal, scale=self.scale
        )

    def on_latents(self, q: Tensor, q_turned: Tensor, latent: Tensor, k_turned: Tensor) -> Tensor:
        """One new query a head, on the latents themselves: q' = q W_k, then W_v on their mean."""
        w = self.kv_b_proj.weight.reshape(self.heads, -1, self.rank)
        w_k, w_v = w[:, : self.plain], w[:, self.plain :]  # (H, D, C), (H, V, C)
        y = F.scaled_dot_product_attention(
            cat([q @ w_k, q_turned], -1), cat([latent, k_turned], -1), latent,
            scale=self.scale, enable_gqa=True,
        )  # fmt: skip
        return y @ w_v.mT


def _halves(x: Tensor) -> Tensor:
    """Pairs (0, 1), (2, 3), ... of the checkpoints as pairs (i, i + R / 2) of `RotaryEmbedding`."""
    return x.reshape(*x.shape[:-1], -1, 2).transpose(-1, -2).reshape(*x.shape)


class MLP(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Router(nn.Module):
    """Which k of the M experts each token goes to, and with which weights.

    V2: softmax over all experts. V3: a sigmoid of each, and a bias beside it that counts in the choice, not
    in the weight; `update_bias` moves it towards an even load. Experts come from the `topk_group` best of
    the `n_group` groups, so that a token visits few machines: V2 ranks groups by their best expert, V3
    by the sum of their best two.
    """

    e_score_correction_bias: Tensor

    def __init__(self, config: DeepSeekConfig) -> None:
        super().__init__()
        c = self.config = config
        self.weight = nn.Parameter(
            nn.init.normal_(nn.init.new(c.n_routed_experts, c.hidden_size), std=0.02)
        )
        if c.sigmoid_scores:
            self.register_buffer("e_score_correction_bias", nn.init.new(c.n_routed_experts))
        self.counts = np.zeros(c.n_routed_experts)
        """Tokens of each expert in training since the last `update_bias`."""

    def forward(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        """(t, E) -> experts (t, k) and their weights (t, k)."""
        c, logits = self.config, F.linear(x, self.weight)
        scores = logits.sigmoid() if c.sigmoid_scores else F.softmax(logits)
        chosen = self.choose(scores.data)
        if self.training:
            self.counts += np.bincount(chosen.reshape(-1), minlength=len(self.counts))
        weights = scores.gather(1, chosen)
        if c.norm_topk_prob:
            weights = weights / (weights.sum(1, keepdim=True) + 1e-20)
        return chosen, weights * c.routed_scaling_factor

    def choose(self, scores: np.ndarray) -> np.ndarray:
        """(t, M) -> (t, k), the best first."""
        c = self.config
        if c.sigmoid_scores:
            scores = scores + self.e_score_correction_bias.data
        if c.n_group > 1:
            groups = scores.reshape(len(scores), c.n_group, -1)
            best = np.sort(groups, axis=2)[:, :, -2 if c.sigmoid_scores else -1 :].sum(axis=2)
            kept = np.argsort(-best, axis=1, kind="stable")[:, : c.topk_group]
            out = np.ones(best.shape, bool)
            np.put_along_axis(out, kept, False, axis=1)
            scores = np.where(out[:, :, None], -np.inf, groups).reshape(scores.shape)
        return np.argsort(-scores, axis=1, kind="stable")[:, : c.num_experts_per_tok]

    def update_bias(self, rate: float = 0.001) -> None:
        """b_i += rate sign(mean count - count_i), from the counts since the last call."""
        bias = self.e_score_correction_bias
        bias.add_((rate * np.sign(self.counts.mean() - self.counts)).astype(bias.dtype))
        self.counts = np.zeros_like(self.counts)


class DeepSeekMoE(nn.Module):
    """y = shared(x) + sum over the chosen experts of weight_i expert_i(x)."""

    def __init__(self, config: DeepSeekConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.moe_intermediate_size
        self.gate = Router(config)
        self.experts = nn.ModuleList(MLP(width, inner) for _ in range(config.n_routed_experts))
        self.shared_experts = MLP(width, inner * config.n_shared_experts)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        tokens = x.reshape(-1, x.shape[-1])
        chosen, weights = self.gate(tokens)
        return mix(tokens, chosen, weights, self.experts).reshape(x.shape) + self.shared_experts(x)


class DecoderLayer(nn.Module):
    """x + attention(norm(x)), then x + MLP or mixture of norm(x)."""

    def __init__(self, config: DeepSeekConfig, layer: int) -> None:
        super().__init__()
        c = config
        self.input_layernorm = nn.RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = LatentAttention(c)
        self.post_attention_layernorm = nn.RMSNorm(c.hidden_size, c.rms_norm_eps)
        dense = layer < c.first_k_dense_replace
        self.mlp = MLP(c.hidden_size, c.intermediate_size) if dense else DeepSeekMoE(c)

    def forward(
        self, x: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None, layer: int = 0
    ) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        x = x + self.self_attn(self.input_layernorm(x), rope, cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class DeepSeekModel(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, config: DeepSeekConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.layers = nn.ModuleList(
            DecoderLayer(config, i) for i in range(config.num_hidden_layers)
        )
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, index: Tensor, rope: nn.RotaryEmbedding, cache: KVCache | None = None
    ) -> Tensor:
        """Token numbers (N, T) -> (N, T, E)."""
        x = self.embed_tokens(index)
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, cache, i)
        return self.norm(x)


class DeepSeek(PretrainedModule):
    """Token numbers (N, T) in, logits of the next token out: (N, T, vocab_size)."""

    config_class = DeepSeekConfig
    names = Names(ignored=(r"model\.layers\.61\.", r".*\.rotary_emb\.inv_freq$", r"lm_head\."))

    def __init__(self, config: DeepSeekConfig) -> None:
        super().__init__()
        c = self.config = config
        self.model = DeepSeekModel(c)
        if not c.tie_word_embeddings:
            self.lm_head = nn.Linear(c.hidden_size, c.vocab_size, bias=False)
        self.rope = nn.RotaryEmbedding(
            c.qk_rope_head_dim, c.max_position_embeddings, c.rope_theta, c.rope_scaling
        )

    def forward(self, index: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits for every position; a cache supplies the positions before."""
        end = index.shape[1] + (cache.length if cache is not None else 0)
        if end > self.config.max_position_embeddings:
            raise ShapeError(
                f"DeepSeek: {end} positions, but max_position_embeddings is "
                f"{self.config.max_position_embeddings}; shorten the input"
            )
        x = self.model(index, self.rope, cache)
        if cache is not None:
            cache.length = end
        if self.config.tie_word_embeddings:
            return F.linear(x, self.model.embed_tokens.weight)
        return self.lm_head(x)

    def new_cache(self, batch: int, length: int | None = None) -> KVCache:
        """An empty cache of latents for `batch` sequences of up to `length` positions."""
        c, dtype = self.config, self.model.norm.weight.dtype
        length = min(length or c.max_position_embeddings, c.max_position_embeddings)
        rank, turned = c.kv_lora_rank, c.qk_rope_head_dim
        return KVCache(c.num_hidden_layers, batch, 1, length, rank, turned, dtype)

    def generate(self, index: np.ndarray, max_new_tokens: int, **options: Any) -> np.ndarray:
        """Continue token numbers (N, T): see `lmbook.models.generate` for the options."""
        return generate(self, index, max_new_tokens, **options)

    def active_parameters(self) -> int:
        """How many parameters one token uses: those of k experts in place of all M."""
        c = self.config
        idle = c.n_routed_experts - c.num_experts_per_tok
        expert = 3 * c.hidden_size * c.moe_intermediate_size
        return self.num_parameters() - idle * expert * (
            c.num_hidden_layers - c.first_k_dense_replace
        )
