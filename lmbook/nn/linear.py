"""Fully connected layers."""

import math

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.nn import init
from lmbook.nn.module import Module, Parameter


class Linear(Module):
    """y = x W^T + b, for x of shape (..., in_features), y of shape (..., out_features).

    `weight` has shape (out_features, in_features), `bias` (out_features,); both start uniform
    within 1 / sqrt(in_features), as PyTorch's.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(init.uniform_(init.new(out_features, in_features), -bound, bound))
        self.register_parameter(
            "bias",
            Parameter(init.uniform_(init.new(out_features), -bound, bound)) if bias else None,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to the last axis of x."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """y = x."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        return x
