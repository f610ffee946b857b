"""LeNet-5: the convolutional network that read digits on cheques, as printed and as it is built now.

Shapes: N batch; images (N, 1, 32, 32), or (N, 1, 28, 28), which are padded with zeros.
Source: LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document
recognition, section II.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, apply
from lmbook.backend import ShapeError

# Table I of the paper: which maps of S2 each of the 16 maps of C3 sees
CONNECTIONS = (
    *[[(i + j) % 6 for j in range(3)] for i in range(6)],
    *[[(i + j) % 6 for j in range(4)] for i in range(6)],
    [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5],
)  # fmt: skip


@dataclass
class LeNetConfig:
    """Sizes for both networks; `activation` ("relu", "tanh" or "sigmoid") is for `LeNet` alone."""

    num_classes: int = 10
    in_channels: int = 1
    activation: str = "relu"


def _pad(x: Tensor) -> Tensor:
    """28 x 28 digits in the middle of 32 x 32, so that strokes' ends meet whole windows."""
    if x.ndim != 4 or x.shape[2:] not in ((28, 28), (32, 32)):
        raise ShapeError(f"LeNet: images must be (batch, channels, 32, 32) or 28, got {x.shape}")
    if x.shape[2] == 32:
        return x
    return apply("pad", x, widths=[(0, 0), (0, 0), (2, 2), (2, 2)])


class Subsampling(nn.Module):
    """tanh of a weight times the sum of 2 x 2 entries plus a bias, one of each a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.constant_(nn.init.new(channels), 0.25))
        self.bias = nn.Parameter(nn.init.new(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / 2, W / 2)."""
        y = F.avg_pool2d(x, 2, divisor_override=1)
        return squash(y * self.weight.reshape(-1, 1, 1) + self.bias.reshape(-1, 1, 1))


def squash(x: Tensor) -> Tensor:
    """1.7159 tanh(2 x / 3): through (1, 1) and (-1, -1), steepest where signals lie."""
    return (x * (2 / 3)).tanh() * 1.7159


class SparseConv2d(nn.Module):
    """Convolution in which output o sees the inputs `connections[o]` alone: 5 x 5 weights a line."""

    def __init__(self, connections: Any, in_channels: int, kernel_size: int = 5) -> None:
        super().__init__()
        lines = [(o, i) for o, inputs in enumerate(connections) for i in inputs]
        self.shape = (len(connections), in_channels, kernel_size, kernel_size)
        place = np.zeros((self.shape[0] * in_channels, len(lines)), np.float32)
        for line, (o, i) in enumerate(lines):
            place[o * in_channels + i, line] = 1
        self.place = Tensor(place)  # puts the lines where a dense weight has them
        bound = (sum(map(len, connections)) / len(connections) * kernel_size**2) ** -0.5
        shape = (len(lines), kernel_size**2)
        self.weight = nn.Parameter(nn.init.uniform_(nn.init.new(*shape), -bound, bound))
        self.bias = nn.Parameter(nn.init.new(len(connections)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H - 4, W - 4)."""
        dense = (self.place.to(self.weight.dtype) @ self.weight).reshape(self.shape)
        return F.conv2d(x, dense, self.bias)


class LeNet5(nn.Module):
    """The network of 1998: images in, minus the distance to each class's code out (N, classes).

    Codes are fixed signs, here random ones, as the paper allows (its own were drawings of the
    characters); the largest output is the class. Every layer of the paper trains: 60,000 parameters.
    """

    def __init__(self, config: LeNetConfig) -> None:
        super().__init__()
        self.config = config
        self.c1 = nn.Conv2d(config.in_channels, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = SparseConv2d(CONNECTIONS, 6)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        signs = np.random.RandomState(0).randint(0, 2, (config.num_classes, 84)) * 2.0 - 1
        self.register_buffer("codes", Tensor(signs.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 28 or 32, 28 or 32) -> (N, classes)."""
        x = self.s2(self.c1(_pad(x)))
        x = self.s4(self.c3(x))
        x = squash(self.f6(squash(self.c5(x)).flatten(1)))
        return -((x.unsqueeze(1) - self.codes) ** 2).sum(-1)


class LeNet(nn.Module):
    """LeNet-5 as it is built now: images in, logits (N, classes) out.

    Every map of the second convolution sees all before it, pooling has no weights, and the output is
    linear: 61,706 parameters for ten classes.
    """

    def __init__(self, config: LeNetConfig) -> None:
        super().__init__()
        self.config = config
        kinds: dict[str, Any] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
        if config.activation not in kinds:
            raise ValueError(f"LeNet: activation {config.activation!r} is none of {sorted(kinds)}")
        act, pool = kinds[config.activation], nn.AvgPool2d
        self.features = nn.Sequential(
            nn.Conv2d(config.in_channels, 6, 5), act(), pool(2), nn.Conv2d(6, 16, 5), act(), pool(2)
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120), act(), nn.Linear(120, 84), act(),
            nn.Linear(84, config.num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 28 or 32, 28 or 32) -> (N, classes)."""
        return self.classifier(self.features(_pad(x)).flatten(1))
