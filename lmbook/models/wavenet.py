"""WaveNet: the next sample of a sound from thousands before it (van den Oord et al. 2016).

A stack of causal convolutions whose dilation doubles: with two taps, one layer more doubles what the output
sees. Samples are codes of the mu law, so the output is a softmax.
Shapes: N batch, T samples, Q codes, R residual channels, S skip channels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.autograd.ops import cat
from lmbook.backend import ShapeError, default_generator
from lmbook.models.sampling import sample


@dataclass
class WaveNetConfig:
    """Sizes: `stacks` times the dilations 1, 2, 4, ..., 2^(layers - 1)."""

    codes: int = 256
    layers: int = 10
    stacks: int = 1
    kernel: int = 2
    residual: int = 32
    skip: int = 64

    @property
    def dilations(self) -> list[int]:
        """Of all layers, first to last."""
        return [2**k for k in range(self.layers)] * self.stacks

    @property
    def receptive_field(self) -> int:
        """Samples that an output depends on: 1 + (kernel - 1) stacks (2^layers - 1)."""
        return 1 + (self.kernel - 1) * self.stacks * (2**self.layers - 1)


class Layer(nn.Module):
    """tanh(filter * x) sigmoid(gate * x), passed on twice: added to x, and to the output.

    The convolution's first R output channels are the filter, the others the gate.
    """

    def __init__(self, config: WaveNetConfig, dilation: int, last: bool) -> None:
        super().__init__()
        r = config.residual
        self.dilation, self.reach = dilation, dilation * (config.kernel - 1)
        self.conv = nn.Conv1d(r, 2 * r, config.kernel, dilation=dilation)
        self.skip = nn.Conv1d(r, config.skip, 1)
        self.residual: Any = None if last else nn.Conv1d(r, r, 1)  # nobody hears the last one's

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, R, T) -> the next layer's input (N, R, T) and a share of the output (N, S, T)."""
        past = Tensor(np.zeros((*x.shape[:2], self.reach), x.dtype))
        return self.output(x, self.conv(cat([past, x], dim=2)))

    def output(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """From the input (N, R, T) and the convolution (N, 2 R, T)."""
        a, b = y.split(x.shape[1], 1)
        z = a.tanh() * b.sigmoid()
        return (x if self.residual is None else x + self.residual(z)), self.skip(z)


class WaveNet(nn.Module):
    """Codes in, logits of the next code out."""

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.codes, config.residual)
        last = len(config.dilations) - 1
        self.layers = nn.ModuleList(
            Layer(config, d, k == last) for k, d in enumerate(config.dilations)
        )
        self.hidden = nn.Conv1d(config.skip, config.skip, 1)
        self.output = nn.Conv1d(config.skip, config.codes, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, T) -> logits (N, T, Q); those at t are of the code at t + 1."""
        if codes.ndim != 2:
            raise ShapeError(f"WaveNet: codes {codes.shape} must be (batch, samples)")
        return self.of_vectors(self.embedding(codes))

    def of_vectors(self, x: Tensor) -> Tensor:
        """The same from embedded codes (N, T, R)."""
        x, shares = x.transpose(1, 2), []
        for layer in self.layers:
            x, share = layer(x)
            shares.append(share)
        y = sum(shares[1:], shares[0]).relu()
        return self.output(self.hidden(y).relu()).transpose(1, 2)

    def generate(
        self, codes: np.ndarray, length: int, temperature: float = 1.0,
        generator: np.random.Generator | None = None, use_cache: bool = True,
    ) -> np.ndarray:  # fmt: skip
        """Continue codes (N, T) by `length` samples.

        With the cache a sample costs one column of each layer, whose inputs of `dilation` samples ago are
        kept (Paine et al. 2016); without it, the whole receptive field.
        """
        codes = np.asarray(codes)
        if codes.ndim != 2 or not codes.shape[1]:
            raise ShapeError(
                f"WaveNet.generate: codes {codes.shape} must be (batch, 1 or more samples)"
            )
        generator = generator or default_generator()
        cache: Any = SampleCache(self, len(codes)) if use_cache else None
        with no_grad():
            for t in range(codes.shape[1] if cache is not None else 0):
                logits = cache.step(codes[:, t])
            for _ in range(length):
                if cache is None:
                    seen = codes[:, -self.config.receptive_field :]
                    logits = self(as_tensor(seen)).data[:, -1]
                new = sample(logits, temperature, None, generator)
                codes = np.concatenate([codes, new[:, None]], axis=1)
                if cache is not None:
                    logits = cache.step(new)
        return codes


class SampleCache:
    """The inputs that each layer will need again, in rings of its reach."""

    def __init__(self, model: WaveNet, batch: int) -> None:
        self.model, self.time = model, 0
        dtype = model.embedding.weight.dtype
        r = model.config.residual
        self.rings = [np.zeros((layer.reach, batch, r), dtype) for layer in model.layers]

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return sum(ring.nbytes for ring in self.rings)

    def step(self, codes: np.ndarray) -> np.ndarray:
        """Take one code of each sequence (N,); logits of the next (N, Q)."""
        model = self.model
        x = model.embedding.weight.data[codes]
        total: Any = 0
        for layer, ring in zip(model.layers, self.rings):
            taps = layer.conv.weight.data  # (2 R, R, kernel), the last tap is now
            y = layer.conv.bias.data + x @ taps[:, :, -1].T
            for k in range(taps.shape[2] - 1):  # tap k looks reach - k dilation back
                back = layer.reach - k * layer.dilation
                y = y + ring[(self.time - back) % layer.reach] @ taps[:, :, k].T
            ring[self.time % layer.reach] = x
            r = x.shape[1]
            z = np.tanh(y[:, :r]) / (1 + np.exp(-y[:, r:]))
            total = total + _map(layer.skip, z)
            if layer.residual is not None:
                x = x + _map(layer.residual, z)
        self.time += 1
        hidden = np.maximum(_map(model.hidden, np.maximum(total, 0)), 0)
        return _map(model.output, hidden)


def _map(layer: nn.Conv1d, x: np.ndarray) -> np.ndarray:
    """A convolution of width 1, on one moment."""
    return x @ layer.weight.data[:, :, 0].T + layer.bias.data


def next_code_loss(model: WaveNet, codes: Tensor) -> Tensor:
    """Mean -log p of those codes (N, T) that have the receptive field, or all that is there, behind them."""
    first = min(model.config.receptive_field, codes.shape[1] - 1) - 1
    logits = model(codes[:, :-1])[:, first:]
    return F.cross_entropy(
        logits.reshape(-1, model.config.codes), codes[:, first + 1 :].reshape(-1)
    )
