"""T5: an encoder-decoder to which every task is a text that becomes another (Raffel et al. 2020).

Positions enter as a bias of the scores by distance; norms divide by the root mean square; nothing has a
bias. Version 1.1 (Shazeer 2020) gates its feed-forward networks and has an output layer of its own.
Names are the public checkpoints'. Shapes: N batch, S source length, T target length, E width (d_model), H
heads, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, no_grad
from lmbook.autograd.tensor import raw
from lmbook.backend import asarray, default_generator
from lmbook.models.generation import KVCache, not_empty
from lmbook.models.pretrained import Checkpoint, Names, PretrainedModule, from_hub, refuse
from lmbook.models.sampling import sample


@dataclass
class T5Config:
    """Sizes, under the names of the public configuration files; the defaults are T5-small's."""

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_decoder_layers: int = 0
    """0 stands for as many as num_layers."""
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    gated: bool = False
    tie_word_embeddings: bool = True
    scale_decoder_outputs: bool = True
    """Whether logits are divided by the root of d_model, as where input and output share a table."""
    pad_token_id: int = 0
    eos_token_id: int = 1

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "T5Config":
        """The sizes in a checkpoint's config.json."""
        kind = given.get("feed_forward_proj", "relu")
        refuse({"feed_forward_proj": kind}, feed_forward_proj=("relu", "gated-gelu"))
        gated = kind == "gated-gelu"
        given = {"tie_word_embeddings": True, **given, "gated": gated}
        given = {"scale_decoder_outputs": given["tie_word_embeddings"], **given}
        needed = "vocab_size d_model d_kv d_ff num_layers num_heads"
        return from_hub(cls, given, ("t5", "mt5"), needed)


def _v1(d_model: int, d_ff: int, layers: int, heads: int, d_kv: int = 64) -> T5Config:
    return T5Config(
        d_model=d_model, d_ff=d_ff, num_layers=layers, num_heads=heads, d_kv=d_kv
    )  # fmt: skip


def _v1_1(*sizes: int) -> T5Config:
    return replace(_v1(*sizes), gated=True, tie_word_embeddings=False, scale_decoder_outputs=False)


SIZES = {
    "t5-small": _v1(512, 2048, 6, 8),  # 60M, 220M, 738M (in the paper 770M), 2.85B, 11.3B
    "t5-base": _v1(768, 3072, 12, 12),
    "t5-large": _v1(1024, 4096, 24, 16),
    "t5-3b": _v1(1024, 16384, 24, 32, 128),
    "t5-11b": _v1(1024, 65536, 24, 128, 128),
    "t5-v1_1-small": _v1_1(512, 1024, 8, 6),
    "t5-v1_1-base": _v1_1(768, 2048, 12, 12),
    "t5-v1_1-large": _v1_1(1024, 2816, 24, 16),
    "t5-v1_1-xl": _v1_1(2048, 5120, 24, 32),
    "t5-v1_1-xxl": _v1_1(4096, 10240, 24, 64),
}
"""Published sizes by name."""


def buckets(distance: np.ndarray, both_ways: bool, count: int, longest: int) -> np.ndarray:
    """The bucket of each distance (key's position minus query's), 0 to count - 1.

    Half of the buckets are for one distance each; the others widen as its logarithm up to `longest`. If
    `both_ways`, keys ahead have half of all buckets, else they share the first.
    """
    first = np.zeros_like(distance)
    if both_ways:
        count //= 2
        first = np.where(distance > 0, count, 0)
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = count // 2
    far = np.log(np.maximum(distance, 1).astype(np.float32) / exact) / np.log(longest / exact)
    wide = exact + (far * (count - exact)).astype(np.int64)
    return first + np.where(distance < exact, distance, np.minimum(wide, count - 1))


class T5Attention(nn.Module):
    """softmax(q k^T + bias) v in H heads, of width d_kv each; the scores are not scaled."""

    def __init__(self, config: T5Config, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.p = config.num_heads, config.dropout_rate
        width, inner = config.d_model, config.num_heads * config.d_kv
        self.q, self.k, self.v = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, width, bias=False)
        nn.init.normal_(self.q.weight, std=(width * config.d_kv) ** -0.5)
        for layer in (self.k, self.v):
            nn.init.normal_(layer.weight, std=width**-0.5)
        nn.init.normal_(self.o.weight, std=inner**-0.5)
        if bias:
            count = config.relative_attention_num_buckets
            self.relative_attention_bias = nn.Embedding(count, config.num_heads)
            nn.init.normal_(self.relative_attention_bias.weight, std=width**-0.5)

    def split(self, x: Tensor) -> Tensor:
        """(N, T, H d_kv) -> (N, H, T, d_kv)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of x (N, S, E): (N, H, S, d_kv) each."""
        return self.split(self.k(x)), self.split(self.v(x))

    def forward(self, x: Tensor, keys: tuple[Tensor, Tensor], bias: Any) -> Tensor:
        """(N, T, E), keys and values, and what is added to the scores (N, H, T, S) -> (N, T, E)."""
        scores = self.split(self.q(x)) @ keys[0].mT
        weights = F.softmax(scores if bias is None else scores + bias)
        y = F.dropout(weights, self.p, self.training) @ keys[1]
        return self.o(y.transpose(1, 2).reshape(*x.shape[:2], -1))


class T5FeedForward(nn.Module):
    """wo(relu(wi x)); if gated wo(gelu(wi_0 x) * wi_1 x)."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.gated = config.gated
        for name in ("wi_0", "wi_1") if config.gated else ("wi",):
            layer = nn.Linear(config.d_model, config.d_ff, bias=False)
            nn.init.normal_(layer.weight, std=config.d_model**-0.5)
            self.add_module(name, layer)
        self.wo = nn.Linear(config.d_ff, config.d_model, bias=False)
        nn.init.normal_(self.wo.weight, std=config.d_ff**-0.5)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        if self.gated:
            return self.wo(self.dropout(F.gelu(self.wi_0(x), "tanh") * self.wi_1(x)))
        return self.wo(self.dropout(F.relu(self.wi(x))))


class T5Layer(nn.Module):
    """x + step(norm(x)); the step stands under the name that checkpoints have for it."""

    def __init__(self, config: T5Config, name: str, step: nn.Module) -> None:
        super().__init__()
        self.add_module(name, step)
        self.layer_norm = nn.RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor, step: Callable[[Tensor], Tensor]) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return x + self.dropout(step(self.layer_norm(x)))


class T5Block(nn.Module):
    """Self-attention, in the decoder attention to the source, feed-forward."""

    def __init__(self, config: T5Config, decoder: bool, bias: bool) -> None:
        super().__init__()
        self.layer = nn.ModuleList([T5Layer(config, "SelfAttention", T5Attention(config, bias))])
        if decoder:
            self.layer.append(T5Layer(config, "EncDecAttention", T5Attention(config)))
        self.layer.append(T5Layer(config, "DenseReluDense", T5FeedForward(config)))

    def forward(
        self, x: Tensor, bias: Any, source: Any, source_bias: Any, cache: Any, layer: int
    ) -> Tensor:
        """(N, T, E) -> (N, T, E); `source` holds keys and values of the encoder's output, if any."""
        attention = self.layer[0].SelfAttention

        def attend(y: Tensor) -> Tensor:
            keys = attention.keys(y)
            return attention(y, keys if cache is None else cache.extend(layer, *keys), bias)

        x = self.layer[0](x, attend)
        if source is not None:
            x = self.layer[1](x, lambda y: self.layer[1].EncDecAttention(y, source, source_bias))
        return self.layer[-1](x, self.layer[-1].DenseReluDense)


class T5Stack(nn.Module):
    """The encoder or the decoder: blocks that share the first one's bias by distance, and a norm."""

    def __init__(self, config: T5Config, decoder: bool) -> None:
        super().__init__()
        self.config, self.decoder = config, decoder
        layers = (config.num_decoder_layers if decoder else 0) or config.num_layers
        self.block = nn.ModuleList(T5Block(config, decoder, bias=i == 0) for i in range(layers))
        self.final_layer_norm = nn.RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def bias(self, queries: int, keys: int) -> Tensor:
        """By distance, for the last `queries` of `keys` positions: (1, H, queries, keys)."""
        c = self.config
        distance = np.arange(keys) - np.arange(keys - queries, keys)[:, None]
        which = buckets(
            distance, not self.decoder, c.relative_attention_num_buckets,
            c.relative_attention_max_distance,
        )  # fmt: skip
        bias = self.block[0].layer[0].SelfAttention.relative_attention_bias(Tensor(which))
        bias = bias.permute(2, 0, 1).unsqueeze(0)
        if self.decoder and queries > 1:
            bias = bias + np.where(distance > 0, -np.inf, 0.0).astype(bias.dtype)
        return bias

    def sources(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For each block of the decoder keys and values of the encoder's output (N, S, E)."""
        return [block.layer[1].EncDecAttention.keys(memory) for block in self.block]

    def forward(
        self, x: Tensor, mask: Any = None, sources: Any = None, source_mask: Any = None,
        cache: KVCache | None = None,
    ) -> Tensor:  # fmt: skip
        """(N, T, E) -> (N, T, E); masks (N, 1, 1, S) hold 0 where there is a token, else -inf."""
        start = cache.length if cache is not None else 0
        end = start + x.shape[1]
        bias = self.bias(x.shape[1], end)
        if mask is not None:
            bias = bias + mask
        x = self.dropout(x)
        for i, block in enumerate(self.block):
            x = block(x, bias, sources and sources[i], source_mask, cache, i)
        if cache is not None:
            cache.length = end
        return self.dropout(self.final_layer_norm(x))


class T5(PretrainedModule):
    """Source (N, S) and target (N, T) in, logits of the token after each of the target's (N, T, V) out.

    `attention_mask` (N, S) is 1 for a token of the source and 0 for padding. The target starts with
    `pad_token_id`.
    """

    config_class = T5Config
    names = Names(ignored=(
        r"(encoder|decoder)\.embed_tokens\.",  # a copy of `shared`
        r"lm_head\.",  # where it is `shared`
        r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.",  # never used
    ))  # fmt: skip

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder, self.decoder = T5Stack(config, False), T5Stack(config, True)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
            nn.init.normal_(self.lm_head.weight)

    @classmethod
    def adapt(cls, config: T5Config, checkpoint: Checkpoint) -> T5Config:
        """An output layer of its own if the file has one: some configs of version 1.1 say tied."""
        if not config.tie_word_embeddings or "lm_head.weight" not in checkpoint.files:
            return config
        own, shared = checkpoint.read("lm_head.weight"), checkpoint.read("shared.weight")
        return replace(config, tie_word_embeddings=np.array_equal(own, shared))

    def encode(self, source: Tensor, attention_mask: Any = None) -> tuple[Tensor, Any]:
        """(N, S) -> a vector for each position (N, S, E), and the mask to add to scores, or None."""
        x, mask = self.shared(source), None
        if attention_mask is not None:
            seen = asarray(raw(attention_mask)).astype(bool)[:, None, None, :]
            mask = np.where(seen, 0.0, -np.inf).astype(x.dtype)
        return self.encoder(x, mask), mask

    def decode(self, target: Tensor, sources: Any, mask: Any, cache: Any = None) -> Tensor:
        """(N, T) and the source's keys and values (see `T5Stack.sources`) -> logits (N, T, V)."""
        x = self.decoder(self.shared(target), None, sources, mask, cache)
        if self.config.scale_decoder_outputs:
            x = x * self.config.d_model**-0.5
        tied = self.config.tie_word_embeddings
        return F.linear(x, self.shared.weight) if tied else self.lm_head(x)

    def forward(self, source: Tensor, target: Tensor, attention_mask: Any = None) -> Tensor:
        """(N, S), (N, T) -> (N, T, V)."""
        memory, mask = self.encode(source, attention_mask)
        return self.decode(target, self.decoder.sources(memory), mask)

    def shift_right(self, labels: np.ndarray) -> np.ndarray:
        """The target that the decoder reads to predict `labels` (N, T): one place later."""
        start = np.full((len(labels), 1), self.config.pad_token_id)
        return np.concatenate([start, np.asarray(labels)[:, :-1]], axis=1)

    def new_cache(self, batch: int, length: int) -> KVCache:
        """An empty cache for the target of `batch` sequences of up to `length` positions."""
        c, dtype = self.config, self.shared.weight.dtype
        layers = c.num_decoder_layers or c.num_layers
        return KVCache(layers, batch, c.num_heads, length, c.d_kv, dtype=dtype)

    def generate(
        self,
        source: np.ndarray,
        max_new_tokens: int = 20,
        attention_mask: Any = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        generator: np.random.Generator | None = None,
        use_cache: bool = True,
    ) -> np.ndarray:
        """The target's token numbers (N, at most 1 + max_new_tokens), the start included.

        A row that has met `eos_token_id` goes on with padding. Temperature 0 takes the likeliest token.
        """
        source = not_empty("T5.generate", source)
        was_training = self.training
        self.eval()
        generator = generator or default_generator()
        out = np.full((len(source), 1), self.config.pad_token_id)
        done = np.zeros(len(source), bool)
        with no_grad():
            memory, mask = self.encode(Tensor(source), attention_mask)
            sources = self.decoder.sources(memory)
            cache = self.new_cache(len(out), max_new_tokens) if use_cache else None
            while out.shape[1] <= max_new_tokens and not done.all():
                fresh = out[:, -1:] if use_cache else out
                logits = self.decode(Tensor(fresh), sources, mask, cache).data[:, -1]
                token = sample(logits, temperature, top_k, generator)
                token = np.where(done, self.config.pad_token_id, token)
                done |= token == self.config.eos_token_id
                out = np.concatenate([out, token[:, None]], axis=1)
        self.train(was_training)
        return out
