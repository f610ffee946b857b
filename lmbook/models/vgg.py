"""VGG: 3 x 3 convolutions alone, in five stages that halve the image.

Names of parameters: torchvision's, so that its checkpoints load. Shapes: N batch; images
(N, 3, 224, 224). Source: Simonyan and Zisserman 2015, table 1.
"""

from dataclasses import dataclass

from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.models.vision import initialise_convolutions

WIDTHS = (64, 128, 256, 512, 512)


@dataclass
class VGGConfig:
    """Convolutions in each of the five stages; the defaults are VGG-11's."""

    depths: tuple[int, ...] = (1, 1, 2, 2, 2)
    batch_norm: bool = False
    num_classes: int = 1000
    dropout: float = 0.5
    widths: tuple[int, ...] = WIDTHS
    hidden: int = 4096


VGGS = {
    f"vgg{layers}{suffix}": VGGConfig(depths, batch_norm=bool(suffix))
    for layers, depths in {
        11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)
    }.items()
    for suffix in ("", "_bn")
}  # fmt: skip
"""The published networks, under torchvision's names."""


class VGG(nn.Module):
    """Images (N, 3, H, W) in, logits (N, classes) out."""

    def __init__(self, config: VGGConfig) -> None:
        super().__init__()
        self.config = c = config
        layers: list[nn.Module] = []
        channels = 3
        for depth, width in zip(c.depths, c.widths, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(channels, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if c.batch_norm else []
                layers.append(nn.ReLU())
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, c.hidden), nn.ReLU(), nn.Dropout(c.dropout),
            nn.Linear(c.hidden, c.hidden), nn.ReLU(), nn.Dropout(c.dropout),
            nn.Linear(c.hidden, c.num_classes),
        )  # fmt: skip
        initialise_convolutions(self)
        for module in self.classifier.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
