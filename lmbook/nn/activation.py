"""Activation functions as modules."""

from typing import Any

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.nn.linear import Linear
from lmbook.nn.module import Module


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.tanh(x)


class ReLU(Module):
    """max(0, x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.relu(x)


class ReLU6(Module):
    """min(max(0, x), 6)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.relu6(x)


class Hardsigmoid(Module):
    """relu6(x + 3) / 6."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.hardsigmoid(x)


class Hardswish(Module):
    """x relu6(x + 3) / 6."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.hardswish(x)


class LeakyReLU(Module):
    """x where positive, slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.leaky_relu(x, self.negative_slope)


class GELU(Module):
    """x Phi(x); approximate="tanh" as GPT-2 does."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.gelu(x, self.approximate)


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.silu(x)


class Softplus(Module):
    """log(1 + exp(x))."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each entry."""
        return F.softplus(x)


class Softmax(Module):
    """Softmax along `dim`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Positive numbers that sum to one."""
        return F.softmax(x, self.dim)


class LogSoftmax(Module):
    """Logarithm of softmax along `dim`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of probabilities."""
        return F.log_softmax(x, self.dim)


class SwiGLU(Module):
    """Gated feed-forward layer w2(silu(w1 x) * w3 x), without biases (Shazeer 2020).

    Shapes: x (..., dim), hidden width `hidden_dim`, result (..., dim).
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.w1 = Linear(dim, hidden_dim, bias=False)
        self.w2 = Linear(hidden_dim, dim, bias=False)
        self.w3 = Linear(dim, hidden_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to the last axis."""
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


def named(activation: Any) -> Any:
    """The function for "relu", "gelu", "silu" or "tanh"; a callable is returned as it is."""
    functions = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu, "tanh": F.tanh}
    if callable(activation):
        return activation
    if activation not in functions:
        raise ValueError(f"activation {activation!r} is none of {sorted(functions)}")
    return functions[activation]
