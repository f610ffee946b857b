"""EfficientNet: one small network, widened, deepened and given larger images together.

Names of parameters: torchvision's, so that its checkpoints of B0 to B7 load. `EfficientNet.from_pretrained`
reads those of timm and of Hugging Face's library; timm/tf_efficientnet_b0.in1k has the authors' weights, with
TensorFlow's padding (google/efficientnet-b0 has them, too, but its main branch only as a pickle).
`from_lukemelas` renames those of the package efficientnet_pytorch, as lite0's. The lite networks have no
squeeze-and-excitation, ReLU6 in place of SiLU, and TensorFlow's padding: they are for processors that reckon
in 8 bits. Shapes: N batch; images (N, 3, S, S), S = `image_size`.
Sources: Tan and Le 2019; Sandler et al. 2018 for the block; Liu 2020 for lite.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.backend import CheckpointError
from lmbook.models.pretrained import Names, PretrainedModule, classes_of, from_hub, refuse
from lmbook.models.vision import initialise_convolutions, rename

# widening, kernel, stride, inputs, outputs, blocks of each stage of B0 (table 1 of the paper)
STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)


@dataclass
class EfficientNetConfig:
    """How much wider and deeper than B0, whose values are the defaults; and what makes it lite.

    `same` pads as TensorFlow does, as the lite networks always do.
    """

    width: float = 1.0
    depth: float = 1.0
    image_size: int = 224
    dropout: float = 0.2
    lite: bool = False
    same: bool = False
    num_classes: int = 1000
    stochastic_depth: float = 0.2
    eps: float = 1e-5
    momentum: float = 0.1
    stages: tuple[tuple[int, ...], ...] = STAGES

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "EfficientNetConfig":
        """The sizes in a config.json of transformers, where `momentum` is the share of what was; or of
        timm, which has the network's name, with tf_ in front for TensorFlow's padding."""
        if "architecture" in given:
            known = {
                name: replace(c, eps=1e-5, momentum=0.1)
                for name, c in EFFICIENTNETS.items()
                if not c.lite
            }
            known |= {
                f"tf_{name}": replace(c, same=True, eps=1e-3, momentum=0.01)
                for name, c in EFFICIENTNETS.items()
            }
            refuse(given, architecture=tuple(known))
            return replace(known[given["architecture"]], num_classes=given.get("num_classes", 1000))
        refuse(
            given, hidden_act=("swish", "silu"), pooling_type=("mean",), num_channels=(3,),
            depth_divisor=(8,), squeeze_expansion_ratio=(0.25,),
        )  # fmt: skip
        keys = {
            "width": "width_coefficient", "depth": "depth_coefficient", "dropout": "dropout_rate",
            "stochastic_depth": "drop_connect_rate", "eps": "batch_norm_eps",
        }  # fmt: skip
        set_here: dict[str, Any] = {
            "num_classes": classes_of(given),
            "same": True,
            "lite": False,
            "stages": None,
        }
        momentum = given.get("batch_norm_momentum", 0.99)
        if not isinstance(momentum, int | float) or not 0 <= momentum <= 1:
            raise CheckpointError(
                f"config.json: batch_norm_momentum is {momentum!r}, not in 0 to 1"
            )
        set_here["momentum"] = 1.0 - momentum
        needed = "width depth image_size"
        config = from_hub(cls, {**given, **set_here}, ("efficientnet",), needed, **keys)
        config = replace(config, stages=_stages_of(given))
        for name in ("width", "depth"):
            if not 0 < getattr(config, name) <= 10:
                raise CheckpointError(f"config.json: {keys[name]} is {getattr(config, name)!r}")
        plan = _plan(config)
        if any(stride == 1 and inputs == outputs for _, _, stride, inputs, outputs, _ in plan):
            raise CheckpointError(
                "config.json: a stage keeps its channels and its stride is 1, which no EfficientNet has"
            )
        strided = [n for n, stride, _ in _sides(config) if stride == 2]
        odd = [n for n, stride, side in _sides(config) if stride == 2 and side % 2]
        padding = given.get("depthwise_padding") or []
        fits = isinstance(padding, list) and [n for n in strided if n in padding] == odd
        if config.image_size % 2 or not fits:
            raise CheckpointError(
                f"config.json: with image_size {config.image_size}, depthwise_padding {padding!r} does not "
                f"pad as TensorFlow does; that would be an even size and blocks {odd}"
            )
        return config


def _stages_of(given: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    keys = (
        "expand_ratios",
        "kernel_sizes",
        "strides",
        "in_channels",
        "out_channels",
        "num_block_repeats",
    )
    lists = [given.get(key) for key in keys]
    for key, values in zip(keys, lists, strict=True):
        whole = isinstance(values, list) and all(type(n) is int and 0 < n < 10_000 for n in values)
        if not whole or not values or len(values) != len(lists[0] or ()):
            raise CheckpointError(
                f"config.json: {key} is {values!r}, no list of a whole number for each stage"
            )
    refuse({"strides": max(lists[2] or ())}, strides=(1, 2))
    return tuple(zip(*lists, strict=True))  # type: ignore[arg-type]


_B5 = EfficientNetConfig(1.6, 2.2, 456, 0.4, eps=1e-3, momentum=0.01)
_LITE = EfficientNetConfig(lite=True, eps=1e-3, momentum=0.01)
EFFICIENTNETS = {
    "efficientnet_b0": EfficientNetConfig(),
    "efficientnet_b1": EfficientNetConfig(1.0, 1.1, 240, 0.2),
    "efficientnet_b2": EfficientNetConfig(1.1, 1.2, 260, 0.3),
    "efficientnet_b3": EfficientNetConfig(1.2, 1.4, 300, 0.3),
    "efficientnet_b4": EfficientNetConfig(1.4, 1.8, 380, 0.4),
    "efficientnet_b5": _B5,
    "efficientnet_b6": replace(_B5, width=1.8, depth=2.6, image_size=528, dropout=0.5),
    "efficientnet_b7": replace(_B5, width=2.0, depth=3.1, image_size=600, dropout=0.5),
    "efficientnet_lite0": _LITE,
    "efficientnet_lite1": replace(_LITE, depth=1.1, image_size=240),
    "efficientnet_lite2": replace(_LITE, width=1.1, depth=1.2, image_size=260, dropout=0.3),
    "efficientnet_lite3": replace(_LITE, width=1.2, depth=1.4, image_size=280, dropout=0.3),
    "efficientnet_lite4": replace(_LITE, width=1.4, depth=1.8, image_size=300, dropout=0.3),
}
"""The published networks; torchvision trains B5 to B7 with another eps and momentum."""


def channels(count: int, width: float) -> int:
    """`count` times `width`, rounded to a multiple of 8 and never below nine tenths."""
    wide = count * width
    rounded = max(8, int(wide + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wide else rounded


class MBConv(nn.Module):
    """x + f(x), where f widens 1 x 1, convolves each channel by itself, gates channels, and narrows.

    x is added only where f keeps its shape.
    """

    def __init__(
        self, inputs: int, outputs: int, expand: int, kernel: int, stride: int, drop: float,
        layer: Callable[..., nn.Module], lite: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        wide = channels(inputs * expand, 1.0)
        parts = [layer(inputs, wide, 1)] if wide != inputs else []
        parts.append(layer(wide, wide, kernel, stride, groups=wide))
        if not lite:
            parts.append(nn.SqueezeExcitation(wide, max(1, inputs // 4), activation=nn.SiLU))
        parts.append(layer(wide, outputs, 1, activation_layer=None))
        self.block = nn.Sequential(*parts)
        self.stochastic_depth = nn.StochasticDepth(drop, "row")
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        y = self.block(x)
        return x + self.stochastic_depth(y) if self.adds else y


class EfficientNet(PretrainedModule):
    """Images (N, 3, S, S) in, logits (N, classes) out."""

    config_class = EfficientNetConfig

    @classmethod
    def names_for(cls, config: EfficientNetConfig) -> Names:
        """Hugging Face's names and timm's; the first count blocks through, the others in their stages."""
        rules = [*_transformers_names(config), *_timm_names(config)]
        return Names(tuple((f"^{pattern}$", ours) for pattern, ours in rules))

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__()
        self.config = c = config
        plan = _plan(c)
        norm = partial(nn.BatchNorm2d, eps=c.eps, momentum=c.momentum)
        activation = nn.ReLU6 if c.lite else nn.SiLU
        layer = partial(
            nn.Conv2dNormActivation,
            norm_layer=norm,
            activation_layer=activation,
            same=c.lite or c.same,
        )
        stages: list[nn.Module] = [layer(3, plan[0][3], 3, 2)]
        total, before = sum(stage[-1] for stage in plan), 0
        for expand, kernel, stride, inputs, outputs, count in plan:
            blocks = []
            for i in range(count):
                drop = c.stochastic_depth * (before + i) / total  # deeper blocks drop more often
                first = i == 0
                blocks.append(
                    MBConv(
                        inputs if first else outputs, outputs, expand, kernel,
                        stride if first else 1, drop, layer, c.lite,
                    )
                )  # fmt: skip
            before += count
            stages.append(nn.Sequential(*blocks))
        last = plan[-1][4]
        head = 4 * (c.stages[-1][4] if c.lite else last)
        stages.append(layer(last, head, 1))
        self.features = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(c.dropout), nn.Linear(head, c.num_classes))
        initialise_convolutions(self)
        bound = 1 / math.sqrt(c.num_classes)
        nn.init.uniform_(self.classifier[1].weight, -bound, bound)
        nn.init.zeros_(self.classifier[1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _plan(c: EfficientNetConfig) -> list[tuple[int, ...]]:
    """The stages of this size; lite networks keep B0's stem, head and depth of the ends."""
    plan: list[tuple[int, ...]] = []
    for i, (expand, kernel, stride, inputs, outputs, blocks) in enumerate(c.stages):
        end = i in (0, len(c.stages) - 1)
        stem = c.lite and i == 0
        plan.append(
            (
                expand, kernel, stride,
                inputs if stem else channels(inputs, c.width), channels(outputs, c.width),
                blocks if c.lite and end else math.ceil(blocks * c.depth),
            )
        )  # fmt: skip
    return plan


def _sides(c: EfficientNetConfig) -> list[tuple[int, int, int]]:
    """Of each block: its number, its stride, the side of the maps that it gets."""
    found: list[tuple[int, int, int]] = []
    side = math.ceil(c.image_size / 2)
    for _, _, stride, _, _, count in _plan(c):
        for i in range(count):
            found.append((len(found), 1 if i else stride, side))
            side = math.ceil(side / found[-1][1])
    return found


def _transformers_names(config: EfficientNetConfig) -> list[tuple[str, str]]:
    net, last = r"efficientnet\.", f"features.{len(config.stages) + 1}."
    rules = [
        (rf"{net}embeddings\.convolution\.(\w+)", r"features.0.0.\1"),
        (rf"{net}embeddings\.batchnorm\.(\w+)", r"features.0.1.\1"),
        (rf"{net}encoder\.top_conv\.(\w+)", rf"{last}0.\1"),
        (rf"{net}encoder\.top_bn\.(\w+)", rf"{last}1.\1"),
        (r"classifier\.(\w+)", r"classifier.1.\1"),
    ]
    number = 0
    for s, (expand, *_, blocks) in enumerate(_plan(config), 1):
        for i in range(blocks):
            theirs, ours = rf"{net}encoder\.blocks\.{number}\.", f"features.{s}.{i}.block."
            parts = [("expansion", "expand_conv", "expand_bn")] if expand != 1 else []
            parts += [("depthwise_conv", "depthwise_conv", "depthwise_norm")]
            k = len(parts)
            for j, name in enumerate(("reduce", "expand"), 1):
                rules.append((rf"{theirs}squeeze_excite\.{name}\.(\w+)", rf"{ours}{k}.fc{j}.\1"))
            layers = {**dict(enumerate(parts)), k + 1: ("projection", "project_conv", "project_bn")}
            for j, (part, conv, norm) in layers.items():
                rules.append((rf"{theirs}{part}\.{conv}\.(\w+)", rf"{ours}{j}.0.\1"))
                rules.append((rf"{theirs}{part}\.{norm}\.(\w+)", rf"{ours}{j}.1.\1"))
            number += 1
    return rules


def _timm_names(config: EfficientNetConfig) -> list[tuple[str, str]]:
    last = f"features.{len(config.stages) + 1}."
    ends = {
        "conv_stem": "features.0.0.",
        "bn1": "features.0.1.",
        "conv_head": f"{last}0.",
        "bn2": f"{last}1.",
    }
    rules = [(rf"{theirs}\.(\w+)", rf"{ours}\1") for theirs, ours in ends.items()]
    for s, (expand, *_) in enumerate(config.stages):
        wide = ("conv_pw", "conv_dw", "conv_pwl") if expand != 1 else ("conv_dw", "conv_pw")
        theirs, ours = rf"blocks\.{s}\.(\d+)\.", rf"features.{s + 1}.\1.block."
        gate = len(wide) - 1
        for j, conv in enumerate(wide):
            k = j if config.lite or j < gate else j + 1
            rules.append((rf"{theirs}{conv}\.(\w+)", rf"{ours}{k}.0.\2"))
            rules.append((rf"{theirs}bn{j + 1}\.(\w+)", rf"{ours}{k}.1.\2"))
        for j, name in enumerate(("reduce", "expand"), 1):
            rules.append((rf"{theirs}se\.conv_{name}\.(\w+)", rf"{ours}{gate}.fc{j}.\2"))
    return rules


def multiply_adds(config: EfficientNetConfig) -> int:
    """Multiplications with an addition in one image's forward pass: convolutions, gates, classifier.

    Twice as many FLOP; the paper's "FLOPS" are these. Norms, activations and sums are left out.
    """
    plan = _plan(config)
    side = math.ceil(config.image_size / 2)
    total = 9 * 3 * plan[0][3] * side**2  # the stem
    for expand, kernel, stride, inputs, outputs, count in plan:
        for i in range(count):
            entering = outputs if i else inputs
            wide = channels(entering * expand, 1.0)
            total += side**2 * entering * wide * (wide != entering)
            side = side if i else math.ceil(side / stride)
            total += side**2 * wide * (kernel**2 + outputs)
            total += 0 if config.lite else 2 * wide * max(1, entering // 4)
    last = plan[-1][4]
    head = 4 * (config.stages[-1][4] if config.lite else last)
    return total + side**2 * last * head + head * config.num_classes


def from_lukemelas(state: dict[str, Any], config: EfficientNetConfig) -> dict[str, Any]:
    """A state under the names of efficientnet_pytorch (and its lite version), renamed to ours."""
    rules = [
        (r"_conv_stem\.(\w+)", r"features.0.0.\1"),
        (r"_bn0\.(\w+)", r"features.0.1.\1"),
        (r"_conv_head\.(\w+)", rf"features.{len(config.stages) + 1}.0.\1"),
        (r"_bn1\.(\w+)", rf"features.{len(config.stages) + 1}.1.\1"),
        (r"_fc\.(\w+)", r"classifier.1.\1"),
    ]
    number = 0
    for s, (expand, *_, blocks) in enumerate(_plan(config), 1):
        for i in range(blocks):
            theirs, ours = rf"_blocks\.{number}\.", f"features.{s}.{i}.block."
            parts = [("_expand_conv", "_bn0")] if expand != 1 else []
            parts += [("_depthwise_conv", "_bn1")]
            for k, (conv, bn) in enumerate(parts):
                rules.append((rf"{theirs}{conv}\.(\w+)", rf"{ours}{k}.0.\1"))
                rules.append((rf"{theirs}{bn}\.(\w+)", rf"{ours}{k}.1.\1"))
            k = len(parts)
            if not config.lite:
                rules.append((rf"{theirs}_se_reduce\.(\w+)", rf"{ours}{k}.fc1.\1"))
                rules.append((rf"{theirs}_se_expand\.(\w+)", rf"{ours}{k}.fc2.\1"))
                k += 1
            rules.append((rf"{theirs}_project_conv\.(\w+)", rf"{ours}{k}.0.\1"))
            rules.append((rf"{theirs}_bn2\.(\w+)", rf"{ours}{k}.1.\1"))
            number += 1
    return rename(state, rules, "efficientnet_pytorch's EfficientNet")
