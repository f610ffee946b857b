"""The two halves of wav2vec 2.0: convolutions over samples, and a Transformer over moments.

Shapes: N batch, S samples, T moments, C channels of a convolution, E hidden_size, H heads.
"""

from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor


class ConvLayer(nn.Module):
    """A convolution without padding, a norm if the layer has one, GELU."""

    def __init__(self, config: Any, i: int) -> None:
        super().__init__()
        before = config.conv_dim[i - 1] if i else 1
        channels = config.conv_dim[i]
        self.conv = nn.Conv1d(
            before, channels, config.conv_kernel[i], config.conv_stride[i], bias=config.conv_bias
        )
        nn.init.kaiming_normal_(self.conv.weight)
        self.over_time = config.feat_extract_norm == "group"
        if config.feat_extract_norm not in ("group", "layer"):
            raise ValueError(
                f"Wav2Vec2: feat_extract_norm {config.feat_extract_norm!r} is neither 'group' nor 'layer'"
            )
        self.layer_norm: Any = None
        if not self.over_time:
            self.layer_norm = nn.LayerNorm(channels)
        elif i == 0:  # each channel over all time
            self.layer_norm = nn.GroupNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, S) -> (N, C', S')."""
        x = self.conv(x)
        if self.layer_norm is not None:
            x = (
                self.layer_norm(x)
                if self.over_time
                else self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
            )
        return F.gelu(x)


class FeatureExtractor(nn.Module):
    """Seven convolutions: one moment every 320 samples, each seeing 400."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(config, i) for i in range(len(config.conv_dim)))

    def forward(self, samples: Tensor) -> Tensor:
        """(N, S) -> (N, D, T)."""
        x = samples.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x


class FeatureProjection(nn.Module):
    """Normalise, then change the width."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.conv_dim[-1], config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, D) -> (N, T, E), and the normalised input."""
        features = self.layer_norm(x)
        return self.dropout(self.projection(features)), features


class _Named(nn.Module):
    """A place for parameters below a dotted name."""


class WeightNormConv(nn.Module):
    """A convolution whose kernel is g_k v_k / |v_k| at each place k (Salimans and Kingma 2016).

    Length g and direction v are called `original0` and `original1`, as PyTorch's parametrisation has it.
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        start = nn.Conv1d(width, width, kernel, groups=groups)
        std = 2 * (1 / (kernel * width)) ** 0.5
        nn.init.normal_(start.weight, std=std)
        nn.init.zeros_(start.bias)
        self.bias = start.bias
        self.parametrizations = _Named()
        self.parametrizations.weight = _Named()
        length = nn.init.new(1, 1, kernel)
        nn.init.constant_(length, std * (width * width // groups) ** 0.5)  # the drawn kernels' own
        self.parametrizations.weight.original0 = nn.Parameter(length)
        self.parametrizations.weight.original1 = start.weight

    def forward(self, x: Tensor) -> Tensor:
        """(N, E, T) -> (N, E, T), or one more moment for an even kernel."""
        g, v = self.parametrizations.weight.original0, self.parametrizations.weight.original1
        weight = v * (g / v.square().sum((0, 1), keepdim=True).sqrt())
        return F.conv1d(x, weight, self.bias, padding=self.kernel // 2, groups=self.groups)


class PositionalConv(nn.Module):
    """Where a moment stands, from what is around it: a grouped convolution over 128 moments."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.conv = WeightNormConv(
            config.hidden_size, config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return F.gelu(self.conv(x.transpose(1, 2))[:, :, : x.shape[1]]).transpose(1, 2)


class Attention(nn.Module):
    """Every moment looks at every other, in H heads."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (
            nn.Linear(config.hidden_size, config.hidden_size) for _ in range(4)
        )

    def forward(self, x: Tensor, mask: Any) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        n, t, e = x.shape
        q, k, v = (
            project(x).reshape(n, t, self.heads, e // self.heads).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = F.scaled_dot_product_attention(q, k, v, mask)
        return self.out_proj(y.transpose(1, 2).reshape(n, t, e))


class FeedForward(nn.Module):
    """Two linear maps with a GELU between."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output_dense = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return self.output_dense(F.gelu(self.intermediate_dense(x)))


class EncoderLayer(nn.Module):
    """Attention and feed-forward with their norms behind them (base), or before them (stable)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.stable = config.do_stable_layer_norm
        self.attention = Attention(config)
        self.dropout = nn.Dropout(config.dropout)
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, x: Tensor, mask: Any) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        if self.stable:
            x = x + self.dropout(self.attention(self.layer_norm(x), mask))
            return x + self.dropout(self.feed_forward(self.final_layer_norm(x)))
        x = self.layer_norm(x + self.dropout(self.attention(x, mask)))
        return self.final_layer_norm(x + self.dropout(self.feed_forward(x)))


class Encoder(nn.Module):
    """Positions added, then the layers; the stable kind ends with the norm that the other begins with."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.stable = config.do_stable_layer_norm
        self.pos_conv_embed = PositionalConv(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, inside: np.ndarray | None = None) -> Tensor:
        """(N, T, E) -> (N, T, E); `inside` (N, T) is false behind an utterance's end."""
        mask = None
        if inside is not None:
            x = x * inside[:, :, None].astype(x.dtype)
            mask = inside[:, None, None, :]
        x = x + self.pos_conv_embed(x)
        x = self.dropout(x if self.stable else self.layer_norm(x))
        for layer in self.layers:
            x = layer(x, mask)
        return self.layer_norm(x) if self.stable else x
