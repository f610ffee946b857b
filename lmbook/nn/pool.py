"""Pooling, flattening and upsampling, as modules without parameters."""

from typing import Any

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.functional.conv import Sizes
from lmbook.nn.module import Module


class _Pool(Module):
    """Keeps the arguments of a pooling function and calls it."""

    function: Any

    def __init__(self, kernel_size: Sizes, stride: Sizes | None, **options: Any) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.options = options

    def forward(self, x: Tensor) -> Any:
        """Pool the last axes of x."""
        return type(self).function(x, self.kernel_size, self.stride, **self.options)

    def extra_repr(self) -> str:
        """Arguments."""
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        return f"kernel_size={self.kernel_size}, stride={self.stride}{options}"


class _MaxPool(_Pool):
    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1, return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode,
            return_indices=return_indices,
        )  # fmt: skip


class MaxPool1d(_MaxPool):
    """Largest entry of each window of a signal, see `functional.max_pool1d`."""

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """Largest entry of each window of an image, see `functional.max_pool2d`."""

    function = staticmethod(F.max_pool2d)


class AvgPool1d(_Pool):
    """Mean of each window of a signal, see `functional.avg_pool1d`."""

    function = staticmethod(F.avg_pool1d)

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )  # fmt: skip


class AvgPool2d(_Pool):
    """Mean of each window of an image, see `functional.avg_pool2d`."""

    function = staticmethod(F.avg_pool2d)

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            kernel_size, stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad, divisor_override=divisor_override,
        )  # fmt: skip


class AdaptiveAvgPool2d(Module):
    """Mean over windows chosen so that the output is `output_size`; 1 pools the whole image."""

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, H, W)."""
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        """Output size."""
        return f"output_size={self.output_size}"


class Flatten(Module):
    """Merge the axes from `start_dim` to `end_dim` into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """Flatten x."""
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Upsample(Module):
    """Repeat every entry `scale_factor` times along each axis (nearest neighbour)."""

    def __init__(self, scale_factor: Sizes) -> None:
        super().__init__()
        self.scale_factor = scale_factor

    def forward(self, x: Tensor) -> Tensor:
        """Widen x."""
        return F.upsample_nearest(x, self.scale_factor)

    def extra_repr(self) -> str:
        """Factor."""
        return f"scale_factor={self.scale_factor}"
