"""Convolutional layers, with PyTorch's parameters."""

import math
from typing import Any

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.functional.conv import Sizes, sizes
from lmbook.nn import init
from lmbook.nn.module import Module, Parameter


class _Conv(Module):
    """What the layers share: `weight`, `bias` and how the kernel moves."""

    dims: int
    transposed = False

    def _build(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes,
        padding: Sizes | str, dilation: Sizes, groups: int, bias: bool, padding_mode: str,
    ) -> None:  # fmt: skip
        """Make the parameters: uniform within 1 / sqrt(fan_in), as PyTorch's."""
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f"{name}: padding_mode {padding_mode!r} is not supported; use 'zeros'")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{name}: {in_channels} input and {out_channels} output channels must both divide "
                f"into groups={groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sizes(name, "kernel_size", kernel_size, self.dims)
        self.stride = sizes(name, "stride", stride, self.dims)
        self.dilation = sizes(name, "dilation", dilation, self.dims)
        self.padding: Any = (
            padding if isinstance(padding, str) else sizes(name, "padding", padding, self.dims, 0)
        )
        ends = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        weight = init.new(ends[0], ends[1] // groups, *self.kernel_size)
        self.weight = Parameter(init.kaiming_uniform_(weight, slope=math.sqrt(5)))
        bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
        self.register_parameter(
            "bias",
            Parameter(init.uniform_(init.new(out_channels), -bound, bound)) if bias else None,
        )

    def extra_repr(self) -> str:
        """Sizes, and what is not the default."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        zero, one = (0,) * self.dims, (1,) * self.dims
        for name, default in (
            ("padding", zero), ("output_padding", zero), ("dilation", one), ("groups", 1)
        ):  # fmt: skip
            if (value := getattr(self, name, default)) != default:
                text += f", {name}={value!r}"
        return text + (", bias=False" if self.bias is None else "")


class Conv1d(_Conv):
    """Convolution of signals: (N, in, L) to (N, out, L'), see `functional.conv1d`.

    `weight` has shape (out, in / groups, K), `bias` (out,).
    """

    dims = 1

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x."""
        return F.conv1d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class Conv2d(_Conv):
    """Convolution of images: (N, in, H, W) to (N, out, H', W'), see `functional.conv2d`.

    `weight` has shape (out, in / groups, K, L), `bias` (out,).
    """

    dims = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x."""
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class Conv2dSame(Conv2d):
    """Conv2d padded as TensorFlow's "SAME": ceil(size / stride) outputs, see `functional.conv2d_same`.

    Weights that were trained there need it wherever the stride is 2. There is no `padding` to give.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, "same", dilation, groups, bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x."""
        return F.conv2d_same(x, self.weight, self.bias, self.stride, self.dilation, self.groups)


class ConvTranspose1d(_Conv):
    """Transposed convolution of signals, see `functional.conv_transpose1d`.

    `weight` has shape (in, out / groups, K), `bias` (out,).
    """

    dims = 1
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, padding_mode: str = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_padding = sizes("ConvTranspose1d", "output_padding", output_padding, 1, 0)
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Widen x."""
        return F.conv_transpose1d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,
            self.dilation,
        )  # fmt: skip


class ConvTranspose2d(_Conv):
    """Transposed convolution of images, see `functional.conv_transpose2d`.

    `weight` has shape (in, out / groups, K, L), `bias` (out,).
    """

    dims = 2
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, padding_mode: str = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_padding = sizes("ConvTranspose2d", "output_padding", output_padding, 2, 0)
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Widen x."""
        return F.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,
            self.dilation,
        )  # fmt: skip
