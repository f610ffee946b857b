"""AlexNet: the network that won ImageNet in 2012, in one tower or in the paper's two.

Names of parameters: torchvision's, so that its checkpoint loads into the default configuration.
Shapes: N batch; images (N, 3, 224, 224). Sources: Krizhevsky et al. 2012; Krizhevsky 2014, One weird
trick, for one tower.
"""

from dataclasses import dataclass

from lmbook import nn
from lmbook.autograd import Tensor


@dataclass
class AlexNetConfig:
    """The default has torchvision's one tower: 61,100,840 parameters.

    `two_towers` is the paper's: layers 2, 4 and 5 are convolutions in two groups, one for each of its
    GPUs, and responses are normalised: 60,965,224. It takes images of 227 x 227.
    """

    num_classes: int = 1000
    dropout: float = 0.5
    two_towers: bool = False
    hidden: int = 4096


class AlexNet(nn.Module):
    """Images (N, 3, H, W) in, logits (N, classes) out."""

    def __init__(self, config: AlexNetConfig) -> None:
        super().__init__()
        self.config = config
        self.features = _two_towers() if config.two_towers else _one_tower()
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(256 * 6 * 6, config.hidden), nn.ReLU(),
            nn.Dropout(config.dropout), nn.Linear(config.hidden, config.hidden), nn.ReLU(),
            nn.Linear(config.hidden, config.num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _one_tower() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip


def _two_towers() -> nn.Sequential:
    def normalise() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, k=2)  # the paper's alpha is not shared by 5

    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), normalise(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), normalise(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
