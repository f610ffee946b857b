"""ResNet: layers that add to what they are given, so that 152 of them train.

Names of parameters: torchvision's, so that its checkpoints load; `ResNet.from_pretrained` reads those
of Hugging Face's library, and of timm, whose names are torchvision's. Bottlenecks halve the image in
their 3 x 3 convolution, as torchvision's do ("v1.5"; the paper's halve it in the 1 x 1 before).
Shapes: N batch; images (N, 3, 224, 224). Source: He et al. 2016.
"""

from dataclasses import dataclass, replace
from typing import Any

from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.backend import CheckpointError
from lmbook.models.pretrained import Names, PretrainedModule, classes_of, from_hub, refuse
from lmbook.models.vision import initialise_convolutions


@dataclass
class ResNetConfig:
    """Blocks in each stage; the defaults are ResNet-18's.

    `small_images` replaces the first 7 x 7 convolution of stride 2 and the pooling after it by a 3 x 3
    of stride 1, for images of some 32 x 32 (section 4.2 of the paper).
    """

    layers: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False
    num_classes: int = 1000
    in_channels: int = 3
    width: int = 64
    small_images: bool = False
    zero_init_residual: bool = False

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "ResNetConfig":
        """The sizes in a config.json: of transformers, or of timm, which has the network's name."""
        if "architecture" in given:
            refuse(given, architecture=tuple(RESNETS))
            known = RESNETS[given["architecture"]]
            return replace(known, num_classes=given.get("num_classes", 1000))
        refuse(
            given, hidden_act=("relu",), downsample_in_first_stage=(False,),
            downsample_in_bottleneck=(False,), layer_type=("basic", "bottleneck"),
        )  # fmt: skip
        added = {
            "bottleneck": given.get("layer_type", "bottleneck") == "bottleneck",
            "num_classes": classes_of(given),
        }
        keys = {"in_channels": "num_channels", "layers": "depths", "width": "embedding_size"}
        config = from_hub(cls, {**given, **added}, ("resnet",), "layers width", **keys)
        depths = config.layers
        if not isinstance(depths, list) or not all(type(n) is int and n > 0 for n in depths):
            raise CheckpointError(f"config.json: depths is {depths!r}, no list of whole numbers")
        widest = config.width * (4 if config.bottleneck else 1)
        outputs = [widest << i for i in range(len(depths))]
        refuse({"hidden_sizes": given.get("hidden_sizes", outputs)}, hidden_sizes=(outputs,))
        return replace(config, layers=tuple(depths))


RESNETS = {
    "resnet18": ResNetConfig(),
    "resnet34": ResNetConfig((3, 4, 6, 3)),
    "resnet50": ResNetConfig((3, 4, 6, 3), bottleneck=True),
    "resnet101": ResNetConfig((3, 4, 23, 3), bottleneck=True),
    "resnet152": ResNetConfig((3, 8, 36, 3), bottleneck=True),
}
"""The published networks, under torchvision's names."""


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """relu(x + f(x)) with two 3 x 3 convolutions in f."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """relu(x + f(x)), where f narrows to `width`, convolves 3 x 3 and widens to four times that."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = _conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 4 width, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """A 1 x 1 convolution where x has another shape than what is added to it."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


NAMES = (
    (r"resnet\.embedder\.embedder\.convolution\.(\w+)", r"conv1.\1"),
    (r"resnet\.embedder\.embedder\.normalization\.(\w+)", r"bn1.\1"),
    *((rf"resnet\.encoder\.stages\.{i}\.layers\.(.+)", rf"layer{i + 1}.\1") for i in range(4)),
    (r"(.+)\.shortcut\.convolution\.(\w+)", r"\1.downsample.0.\2"),
    (r"(.+)\.shortcut\.normalization\.(\w+)", r"\1.downsample.1.\2"),
    *((rf"(.+)\.layer\.{i}\.convolution\.(\w+)", rf"\1.conv{i + 1}.\2") for i in range(3)),
    *((rf"(.+)\.layer\.{i}\.normalization\.(\w+)", rf"\1.bn{i + 1}.\2") for i in range(3)),
    (r"classifier\.1\.(\w+)", r"fc.\1"),
)
"""Hugging Face's names, and what they are here."""


class ResNet(PretrainedModule):
    """Images (N, 3, H, W) in, logits (N, classes) out."""

    config_class = ResNetConfig
    names = Names(NAMES)

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.conv1 = _conv(c.in_channels, c.width, 3 if c.small_images else 7, 2 - c.small_images)
        self.bn1, self.relu = nn.BatchNorm2d(c.width), nn.ReLU()
        self.maxpool = nn.Identity() if c.small_images else nn.MaxPool2d(3, 2, padding=1)
        block: Any = Bottleneck if c.bottleneck else BasicBlock
        channels = c.width
        for i, depth in enumerate(c.layers):
            width = c.width << i
            stage = []
            for j in range(depth):
                stage.append(block(channels, width, 2 if i and not j else 1))
                channels = width * block.expansion
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, c.num_classes)
        initialise_convolutions(self)
        if c.zero_init_residual:  # every block begins as the identity (Goyal et al. 2017)
            for module in self.modules():
                if isinstance(module, BasicBlock | Bottleneck):
                    nn.init.zeros_((module.bn3 if c.bottleneck else module.bn2).weight)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the last stage's maps (N, C, H / 32, W / 32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(len(self.config.layers)):
            x = getattr(self, f"layer{i + 1}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        return self.fc(self.avgpool(self.features(x)).flatten(1))
