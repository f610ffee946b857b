"""A masked autoencoder that listens: most of a spectrogram is hidden and drawn again (Huang et al. 2022).

The encoder sees only the patches that are left, a fifth of them, so that it is cheap; a smaller decoder gets
its output, with one trained vector in each empty place, and draws the hidden patches.
Shapes: N batch, frames x mels spectrogram, P patches of `patch` by `patch` points, K of them kept, E width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.autograd.tensor import raw
from lmbook.backend import ShapeError, default_generator
from lmbook.nn.embedding import sinusoids


@dataclass
class AudioMAEConfig:
    """Sizes: those of a second of speech. The paper's are 1024 x 128, patches of 16, a ViT-B and a decoder of
    sixteen layers 512 wide, whose attention keeps to windows; here it is plain."""

    frames: int = 96
    mels: int = 40
    patch: int = 8
    mask_ratio: float = 0.8
    width: int = 96
    layers: int = 4
    heads: int = 4
    decoder_width: int = 64
    decoder_layers: int = 2
    decoder_heads: int = 4
    norm_targets: bool = True

    @property
    def grid(self) -> tuple[int, int]:
        """Patches in time and in frequency."""
        return self.frames // self.patch, self.mels // self.patch

    @property
    def kept(self) -> int:
        """Patches that the encoder sees."""
        rows, columns = self.grid
        return round(rows * columns * (1 - self.mask_ratio))


class Reconstruction(NamedTuple):
    """`loss` of the hidden patches; `patches` (N, P, patch^2) as drawn; `mask` (N, P), true where hidden."""

    loss: Tensor
    patches: Tensor
    mask: np.ndarray


class AudioMAE(nn.Module):
    """Spectrograms in, the loss of drawing their hidden patches out; `encode` is what it is for."""

    def __init__(self, config: AudioMAEConfig) -> None:
        super().__init__()
        c = self.config = config
        if c.frames % c.patch or c.mels % c.patch:
            raise ShapeError(
                f"AudioMAE: {c.frames} x {c.mels} does not divide into patches of {c.patch}"
            )
        points = c.patch**2
        self.embed = nn.Linear(points, c.width)
        self.encoder = _stack(c.width, c.heads, c.layers)
        self.decoder_embed = nn.Linear(c.width, c.decoder_width)
        self.mask_token = nn.Parameter(nn.init.normal_(nn.init.new(c.decoder_width), std=0.02))
        self.decoder = _stack(c.decoder_width, c.decoder_heads, c.decoder_layers)
        self.output = nn.Linear(c.decoder_width, points)
        self.places, self.decoder_places = (_places(c.grid, w) for w in (c.width, c.decoder_width))

    def patches(self, x: Tensor) -> Tensor:
        """Spectrograms (N, frames, mels) -> patches (N, P, patch^2), those of one moment together."""
        c = self.config
        if x.shape[1:] != (c.frames, c.mels):
            raise ShapeError(
                f"AudioMAE: spectrograms {x.shape} must be (batch, {c.frames}, {c.mels})"
            )
        rows, columns = c.grid
        parts = x.reshape(-1, rows, c.patch, columns, c.patch).permute(0, 1, 3, 2, 4)
        return parts.reshape(len(x), rows * columns, c.patch**2)

    def encode(self, x: Tensor, kept: np.ndarray | None = None) -> Tensor:
        """(N, frames, mels) -> (N, P, E), or of the patches `kept` (N, K) alone (N, K, E)."""
        patches, places = self.patches(x), Tensor(self.places.astype(x.dtype))
        if kept is None:
            return self.encoder(self.embed(patches) + places)
        rows = np.arange(len(x))[:, None]
        return self.encoder(self.embed(patches[rows, kept]) + places[kept])

    def forward(self, x: Tensor, generator: np.random.Generator | None = None) -> Reconstruction:
        """Hide patches drawn at random, and draw them again.

        loss = mean squared error over hidden patches, each shifted and scaled to mean 0 and deviation 1 first
        (`norm_targets`), so that 1 is what drawing nothing reaches.
        """
        c, target = self.config, self.patches(x)
        n, p, _ = target.shape
        order = np.argsort((generator or default_generator()).random((n, p)), axis=1)
        kept, back = order[:, : c.kept], np.argsort(order, axis=1)
        seen = self.decoder_embed(self.encode(x, kept))  # (N, K, E')
        empty = self.mask_token.reshape(1, 1, -1).expand(n, p - c.kept, c.decoder_width)
        rows = np.arange(n)[:, None]
        full = cat([seen, empty], dim=1)[rows, back] + self.decoder_places.astype(x.dtype)
        drawn = self.output(self.decoder(full))
        mask = back >= c.kept
        goal = raw(target)
        if c.norm_targets:
            goal = (goal - goal.mean(-1, keepdims=True)) / (goal.std(-1, keepdims=True) + 1e-3)
        error = (drawn - goal).square().mean(-1) * mask.astype(x.dtype)
        return Reconstruction(error.sum() / float(mask.sum()), drawn, mask)


def _stack(width: int, heads: int, layers: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, layers, nn.LayerNorm(width))


def _places(grid: tuple[int, int], width: int) -> np.ndarray:
    """Sines of the place in time in the first half of the width, of that in frequency in the second."""
    rows, columns = (sinusoids(n, width // 2) for n in grid)
    return np.concatenate(
        [np.repeat(rows, grid[1], axis=0), np.tile(columns, (grid[0], 1))], axis=1
    )
