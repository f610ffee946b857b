"""Blocks that vision networks share, with torchvision's names."""

from collections.abc import Callable

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.nn.activation import ReLU, Sigmoid
from lmbook.nn.container import Sequential
from lmbook.nn.conv import Conv2d, Conv2dSame
from lmbook.nn.module import Module
from lmbook.nn.norm import BatchNorm2d
from lmbook.nn.pool import AdaptiveAvgPool2d


class Conv2dNormActivation(Sequential):
    """Convolution (0), normalisation (1), activation (2); the size stays but for the stride.

    `same` pads as TensorFlow does, see `Conv2dSame`; None leaves out norm or activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        norm_layer: Callable[[int], Module] | None = BatchNorm2d,
        activation_layer: Callable[[], Module] | None = ReLU,
        dilation: int = 1,
        same: bool = False,
    ) -> None:
        kind = Conv2dSame if same else Conv2d
        padding = {} if same else {"padding": (kernel_size - 1) // 2 * dilation}
        layers: list[Module] = [
            kind(
                in_channels, out_channels, kernel_size, stride, dilation=dilation, groups=groups,
                bias=norm_layer is None, **padding,  # type: ignore[arg-type]
            )
        ]  # fmt: skip
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer())
        super().__init__(*layers)


class SqueezeExcitation(Module):
    """x times a gate for each channel: sigmoid(fc2(relu(fc1(mean of x over the image)))).

    Shapes: x (N, C, H, W), like the result; `fc1` (S, C, 1, 1) and `fc2` (C, S, 1, 1) with S =
    `squeeze_channels`. Source: Hu et al. 2018.
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Callable[[], Module] = ReLU,
        scale_activation: Callable[[], Module] = Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = Conv2d(squeeze_channels, input_channels, 1)
        self.activation, self.scale_activation = activation(), scale_activation()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of x."""
        gate = self.activation(self.fc1(self.avgpool(x)))
        return x * self.scale_activation(self.fc2(gate))


class StochasticDepth(Module):
    """Drop whole examples of a residual branch while training, see `functional.stochastic_depth`."""

    def __init__(
        self, p: float, mode: str = "row", generator: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        self.p, self.mode, self.generator = p, mode, generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop."""
        return F.stochastic_depth(x, self.p, self.mode, self.training, self.generator)

    def extra_repr(self) -> str:
        """Probability and mode."""
        return f"p={self.p}, mode={self.mode!r}"
