"""Deep networks with and without shortcuts, trained on small digits: degradation and its cure.

The networks follow section 4.2 of He et al. 2016 (a convolution, n blocks of two, a mean, a linear
layer), with one width throughout, so that a shortcut never needs a convolution of its own.
"""

import time
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lmbook import data, nn, optim
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import manual_seed


class Block(nn.Module):
    """relu(f(x)), or relu(x + f(x)) with a shortcut; f is two convolutions with batch norm."""

    def __init__(self, width: int, shortcut: bool, norm: bool = True) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.bn2 = nn.BatchNorm2d(width) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(x + y if self.shortcut else y)


def network(depth: int, shortcut: bool, width: int = 8, norm: bool = True) -> nn.Module:
    """`depth` layers with weights: a convolution of stride 2, (depth - 2) / 2 blocks, a linear layer.

    Images (N, 1, H, W) in, logits (N, 10) out. Convolutions start as in He et al. 2015.
    """
    if depth < 4 or depth % 2:
        raise ValueError(
            f"network: depth {depth} must be even and at least 4: blocks have two layers"
        )
    model = nn.Sequential(
        nn.Conv2d(1, width, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(width) if norm else nn.Identity(),
        nn.ReLU(),
        *(Block(width, shortcut, norm) for _ in range((depth - 2) // 2)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10),
    )  # fmt: skip
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


@lru_cache(maxsize=2)
def small_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` training digits of MNIST-5k, means of 2 x 2 pixels (count, 1, 14, 14)."""
    x, y = data.mnist_5k()[0]
    x = x[:count].reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5))
    return data.normalise(x, x.mean(), x.std()), y[:count]


class Run(NamedTuple):
    """One training: its settings, the last epoch's loss and error in per cent, seconds.

    `ratio` is the norm of the gradient in the first block's first convolution over that in the last
    block's last, the median over all steps: far below 1 where gradients vanish on the way back.
    """

    depth: int
    shortcut: bool
    lr: float
    seed: int
    loss: float
    error: float
    ratio: float
    seconds: float


def train(
    depth: int, shortcut: bool, lr: float, seed: int, epochs: int = 4, count: int = 1000
) -> Run:
    """SGD with momentum 0.9 in batches of 50; loss and error are those seen while training."""
    x, y = small_digits(count)
    manual_seed(seed)
    generator = np.random.default_rng(seed)
    model = network(depth, shortcut)
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    ends = blocks[0].conv1.weight, blocks[-1].conv2.weight
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    start = time.perf_counter()
    losses, wrong, ratios = [], [], []
    for epoch in range(epochs):
        order = generator.permutation(count)
        for rows in np.array_split(order, max(1, count // 50)):
            logits = model(Tensor(x[rows]))
            loss = F.cross_entropy(logits, y[rows])
            optimizer.zero_grad()
            loss.backward()
            first, last = map(_gradient_norm, ends)
            ratios.append(first / max(last, 1e-30))
            optimizer.step()
            if epoch == epochs - 1:
                losses.append(float(loss.data))
                wrong.append(np.mean(logits.data.argmax(1) != y[rows]))
    seconds = time.perf_counter() - start
    error, ratio = 100 * float(np.mean(wrong)), float(np.median(ratios))
    return Run(depth, shortcut, lr, seed, float(np.mean(losses)), error, ratio, seconds)


def gradient_norms(
    depth: int, shortcut: bool, norm: bool = True, scale: float = 1.0, seed: int = 0
) -> np.ndarray:
    """The gradient's norm in the weights of every convolution, from the first on, before training.

    On 50 digits; all convolutions' weights are multiplied by `scale` first.
    """
    x, y = small_digits(50)
    manual_seed(seed)
    model = network(depth, shortcut, norm=norm)
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    for weight in weights:
        weight.data[:] *= scale
    F.cross_entropy(model(Tensor(x)), y).backward()
    return np.array([_gradient_norm(weight) for weight in weights])


def _gradient_norm(weight: Tensor) -> float:
    assert weight.grad is not None
    return float(np.linalg.norm(weight.grad.data))
