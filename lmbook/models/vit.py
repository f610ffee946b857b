"""Vision Transformer: an image is a sentence of patches.

Names of parameters: torchvision's, so that its checkpoints load; `ViT.from_pretrained` reads those of
Hugging Face's library, as in google/vit-base-patch16-224. Shapes: N batch; images (N, 3, S, S);
T = (S / P)^2 + 1 tokens, for patches of P x P and the class token in front; E width. Source:
Dosovitskiy et al. 2021.
"""

import math
from dataclasses import dataclass
from typing import Any

from lmbook import nn
from lmbook.autograd import Tensor, apply
from lmbook.backend import CheckpointError, ShapeError
from lmbook.models.pretrained import Names, PretrainedModule, classes_of, from_hub, refuse


@dataclass
class ViTConfig:
    """Sizes, under torchvision's names; the defaults are ViT-B/16's."""

    image_size: int = 224
    patch_size: int = 16
    num_layers: int = 12
    num_heads: int = 12
    hidden_dim: int = 768
    mlp_dim: int = 3072
    dropout: float = 0.0
    attention_dropout: float = 0.0
    num_classes: int = 1000
    in_channels: int = 3
    eps: float = 1e-6

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "ViTConfig":
        """The sizes in a config.json of transformers."""
        refuse(given, hidden_act=("gelu",), qkv_bias=(True,))
        keys = {
            "num_layers": "num_hidden_layers", "num_heads": "num_attention_heads",
            "hidden_dim": "hidden_size", "mlp_dim": "intermediate_size", "dropout": "hidden_dropout_prob",
            "attention_dropout": "attention_probs_dropout_prob", "in_channels": "num_channels",
            "eps": "layer_norm_eps",
        }  # fmt: skip
        needed = "image_size patch_size num_layers num_heads hidden_dim mlp_dim in_channels"
        config = from_hub(
            cls, {**given, "num_classes": classes_of(given)}, ("vit",), needed, **keys
        )
        for whole, part in (("image_size", "patch_size"), ("hidden_dim", "num_heads")):
            a, b = getattr(config, whole), getattr(config, part)
            if a % b:
                names = f"{keys.get(whole, whole)} {a} is no multiple of {keys.get(part, part)} {b}"
                raise CheckpointError(f"config.json: {names}")
        return config


VITS = {
    "vit_b_16": ViTConfig(),
    "vit_b_32": ViTConfig(patch_size=32),
    "vit_l_16": ViTConfig(224, 16, 24, 16, 1024, 4096),
    "vit_l_32": ViTConfig(224, 32, 24, 16, 1024, 4096),
    "vit_h_14": ViTConfig(224, 14, 32, 16, 1280, 5120),
}
"""The published sizes (table 1 of the paper), under torchvision's names."""


class EncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, c: ViTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(c.hidden_dim, c.eps)
        self.self_attention = nn.MultiheadAttention(
            c.hidden_dim, c.num_heads, c.attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(c.dropout)
        self.ln_2 = nn.LayerNorm(c.hidden_dim, c.eps)
        self.mlp = nn.Sequential(
            nn.Linear(c.hidden_dim, c.mlp_dim), nn.GELU(), nn.Dropout(c.dropout),
            nn.Linear(c.mlp_dim, c.hidden_dim), nn.Dropout(c.dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        y = self.ln_1(x)
        x = x + self.dropout(self.self_attention(y, y, y, need_weights=False)[0])
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Positions are added, then come the blocks and the last norm."""

    def __init__(self, c: ViTConfig) -> None:
        super().__init__()
        tokens = (c.image_size // c.patch_size) ** 2 + 1
        self.pos_embedding = nn.Parameter(
            nn.init.normal_(nn.init.new(1, tokens, c.hidden_dim), std=0.02)
        )
        self.dropout = nn.Dropout(c.dropout)
        self.layers = nn.Sequential()
        for i in range(c.num_layers):
            self.layers.add_module(f"encoder_layer_{i}", EncoderBlock(c))
        self.ln = nn.LayerNorm(c.hidden_dim, c.eps)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


_LAYER = r"vit\.encoder\.layer\.(\d+)\."
_OURS = r"encoder.layers.encoder_layer_\1."
NAMES = (
    (r"vit\.embeddings\.cls_token", "class_token"),
    (r"vit\.embeddings\.position_embeddings", "encoder.pos_embedding"),
    (r"vit\.embeddings\.patch_embeddings\.projection\.(\w+)", r"conv_proj.\1"),
    (rf"{_LAYER}layernorm_before\.(\w+)", rf"{_OURS}ln_1.\2"),
    (rf"{_LAYER}layernorm_after\.(\w+)", rf"{_OURS}ln_2.\2"),
    (
        rf"{_LAYER}attention\.attention\.query,key,value\.(\w+)",
        rf"{_OURS}self_attention.in_proj_\2",
    ),
    (rf"{_LAYER}attention\.output\.dense\.(\w+)", rf"{_OURS}self_attention.out_proj.\2"),
    (rf"{_LAYER}intermediate\.dense\.(\w+)", rf"{_OURS}mlp.0.\2"),
    (rf"{_LAYER}output\.dense\.(\w+)", rf"{_OURS}mlp.3.\2"),
    (r"vit\.layernorm\.(\w+)", r"encoder.ln.\1"),
    (r"classifier\.(\w+)", r"heads.head.\1"),
)
"""Hugging Face's names, and what they are here; its three projections are one."""


class ViT(PretrainedModule):
    """Images (N, 3, S, S) in, logits (N, classes) out, read off the class token."""

    config_class = ViTConfig
    names = Names(
        tuple((f"^{pattern}$", ours) for pattern, ours in NAMES),
        joined=(("query", "key", "value"),),
    )

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = c = config
        if c.image_size % c.patch_size:
            raise ShapeError(
                f"ViT: images of {c.image_size} x {c.image_size} do not divide into patches of "
                f"{c.patch_size} x {c.patch_size}; change image_size or patch_size"
            )
        self.class_token = nn.Parameter(nn.init.new(1, 1, c.hidden_dim))
        self.conv_proj = nn.Conv2d(c.in_channels, c.hidden_dim, c.patch_size, c.patch_size)
        self.encoder = Encoder(c)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(c.hidden_dim, c.num_classes))
        self._initialise()

    def _initialise(self) -> None:
        """Patches as a linear layer that keeps the variance; no class is preferred at first."""
        fan_in = math.prod(self.conv_proj.weight.shape[1:])
        nn.init.normal_(self.conv_proj.weight, std=math.sqrt(1 / fan_in))
        nn.init.zeros_(self.conv_proj.bias)
        for block in self.encoder.layers:
            for i in (0, 3):
                nn.init.xavier_uniform_(block.mlp[i].weight)
                nn.init.normal_(block.mlp[i].bias, std=1e-6)
        nn.init.zeros_(self.heads[0].weight)
        nn.init.zeros_(self.heads[0].bias)

    def tokens(self, x: Tensor) -> Tensor:
        """Images (N, 3, S, S) -> what the encoder makes of class token and patches (N, T, E)."""
        c, (n, *rest) = self.config, x.shape
        if rest != [c.in_channels, c.image_size, c.image_size]:
            raise ShapeError(
                f"ViT: images must be (batch, {c.in_channels}, {c.image_size}, {c.image_size}), got "
                f"{x.shape}; resize them, or interpolate the positions to the new size"
            )
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)  # (N, T - 1, E)
        first = self.class_token.expand(n, 1, c.hidden_dim)
        return self.encoder(apply("cat", first, patches, axis=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, classes)."""
        return self.heads(self.tokens(x)[:, 0])
