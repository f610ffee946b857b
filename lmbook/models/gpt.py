"""GPT: a decoder-only Transformer with GPT-2's architecture and names (Radford et al. 2019).

With `num_experts` its feed-forward layers are mixtures of experts (Fedus et al. 2021). GPT-3 (Brown et al.
2020) is the same but for every second layer's attention, which there is local; shapes and counts agree.
Shapes: N batch, T length, E width (n_embd), H heads (n_head), V vocabulary.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.models.generation import KVCache, cache_mask, generate
from lmbook.models.pretrained import Names, PretrainedModule, from_hub, refuse


@dataclass
class GPTConfig:
    """Sizes; the defaults are GPT-2's smallest, with 124 million parameters."""

    vocab_size: int = 50257
    block_size: int = 1024
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True
    num_experts: int = 0
    num_experts_per_tok: int = 2
    moe_intermediate_size: int = 0
    """Width inside an expert; 0 stands for 4 n_embd."""
    balance_weight: float = 0.0
    bias_rate: float = 0.0
    layer_norm_epsilon: float = 1e-5

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "GPTConfig":
        """The sizes in a checkpoint's config.json."""
        config = from_hub(cls, given, ("gpt2",), "n_embd n_layer n_head", block_size="n_positions")
        refuse(
            given, activation_function=("gelu_new", "gelu_pytorch_tanh"), scale_attn_weights=(True,),
            tie_word_embeddings=(True,), scale_attn_by_inverse_layer_idx=(False,),
            n_inner=(None, 4 * config.n_embd),
        )  # fmt: skip
        return config


def _gpt3(layers: int, heads: int, width: int) -> GPTConfig:
    return GPTConfig(block_size=2048, n_layer=layers, n_head=heads, n_embd=width)


SIZES = {
    "gpt2": GPTConfig(),  # 124M, 355M, 774M, 1558M
    "gpt2-medium": GPTConfig(n_layer=24, n_head=16, n_embd=1024),
    "gpt2-large": GPTConfig(n_layer=36, n_head=20, n_embd=1280),
    "gpt2-xl": GPTConfig(n_layer=48, n_head=25, n_embd=1600),
    "gpt3-small": _gpt3(12, 12, 768),  # the eight of table 2.1
    "gpt3-medium": _gpt3(24, 16, 1024),
    "gpt3-large": _gpt3(24, 16, 1536),
    "gpt3-xl": _gpt3(24, 16, 2048),  # printed: 24 heads of 128, which are not 2048
    "gpt3-2.7b": _gpt3(32, 32, 2560),
    "gpt3-6.7b": _gpt3(32, 32, 4096),
    "gpt3-13b": _gpt3(40, 40, 5120),  # printed: 5140, which 40 heads of 128 are not
    "gpt3-175b": _gpt3(96, 96, 12288),
}
"""Published sizes by name."""


class CausalSelfAttention(nn.Module):
    """Every position looks at itself and those before it, in H heads."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head, self.dropout = config.n_head, config.dropout
        self.head_dim = config.n_embd // config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor, cache: KVCache | None = None, layer: int = 0) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        qkv = self.c_attn(x)
        n, t = qkv.shape[:2]
        qkv = qkv.reshape(n, t, 3, -1, self.head_dim)  # all heads, or those of this rank
        q, k, v = (qkv[:, :, i].transpose(1, 2) for i in range(3))  # (N, H, T, E / H) each
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        p = self.dropout if self.training else 0.0
        mask = cache_mask(t, k.shape[2])
        causal = mask is None and t > 1
        y = self.attend(q, k, v, mask, p, causal)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, -1))

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout: float, causal: bool
    ) -> Tensor:
        """The heads' attention: (N, H, T, E / H) each. Context parallelism puts its own in this place."""
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal)


class MLP(nn.Module):
    """Two linear maps with a GELU between, four times as wide inside."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


def _mixture(config: GPTConfig) -> nn.MixtureOfExperts:
    return nn.MixtureOfExperts(
        config.n_embd,
        config.moe_intermediate_size or 4 * config.n_embd,
        config.num_experts,
        config.num_experts_per_tok,
        config.balance_weight,
        config.bias_rate,
    )


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon, bias=config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon, bias=config.bias)
        self.mlp: nn.Module = _mixture(config) if config.num_experts else MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None, layer: int = 0) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        x = x + self.drop(self.attn(self.ln_1(x), cache, layer))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT(PretrainedModule):
    """Token numbers in, logits of the next token out. The output layer shares the token embedding."""

    config_class = GPTConfig
    names = Names(  # the checkpoints keep causal masks, and the linear maps' weights as (in, out)
        renames=((r"^transformer\.", ""),),
        ignored=(r"h\.\d+\.attn\.(masked_)?bias$", r"lm_head\.weight$"),
        transposed=(r"\.(c_attn|c_proj|c_fc)\.weight$",),
    )

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon, bias=config.bias)
        self.apply(_initialise)
        for name, p in self.named_parameters():  # residual branches add up: start them smaller
            if name.endswith(("c_proj.weight", "w2.weight")):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * config.n_layer))

    def forward(self, index: Tensor, cache: KVCache | None = None, positions: Any = None) -> Tensor:
        """Token numbers (N, T) -> logits (N, T, V); a cache supplies the positions before.

        `positions` (T,) says where the tokens stand, if not one after the other.
        """
        start = cache.length if cache is not None else 0
        end = start + index.shape[1]
        if end > self.config.block_size:
            raise ShapeError(
                f"GPT: {end} positions, but block_size is {self.config.block_size}; shorten the input"
            )
        where = slice(start, end) if positions is None else positions
        x = self.drop(self.wte(index) + self.wpe.weight[where])
        for i, block in enumerate(self.h):
            x = block(x, cache, i)
        if cache is not None:
            cache.length = end
        return F.linear(self.ln_f(x), self.wte.weight)

    def new_cache(self, batch: int, length: int | None = None) -> KVCache:
        """An empty cache for `batch` sequences of up to `length` positions, at most block_size."""
        c, dtype = self.config, self.wte.weight.dtype
        length = min(length or c.block_size, c.block_size)
        return KVCache(c.n_layer, batch, c.n_head, length, c.n_embd // c.n_head, dtype=dtype)

    def generate(self, index: np.ndarray, max_new_tokens: int, **options: Any) -> np.ndarray:
        """Continue token numbers (N, T): see `lmbook.models.generate` for the options."""
        return generate(self, index, max_new_tokens, **options)

    def balance_loss(self) -> Tensor:
        """Sum over the layers of their mixtures' balance loss, from the last forward pass."""
        losses: list[Any] = [getattr(block.mlp, "balance_loss", None) for block in self.h]
        if not losses or losses[0] is None:
            raise ValueError("balance_loss: the model has no mixture of experts, or has not run")
        return sum(losses[1:], losses[0])


def _initialise(module: nn.Module) -> None:
    """Normal weights of standard deviation 0.02, zero biases, as GPT-2."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
