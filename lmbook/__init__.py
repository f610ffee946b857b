"""Large Models from Scratch: the companion package of the book.

A deep-learning library on NumPy, small enough to read: tensors with reverse-mode
differentiation, layers, optimisers, models. Names follow PyTorch's where PyTorch has the thing.
"""

from importlib import import_module
from typing import Any

from lmbook import backend
from lmbook.autograd import Tensor, enable_grad, no_grad
from lmbook.autograd.creation import (
    arange,
    as_tensor,
    empty,
    from_numpy,
    full,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    tensor,
    zeros,
    zeros_like,
)
from lmbook.autograd.ops import cat, einsum, maximum, minimum, stack, where
from lmbook.backend import float16, float32, float64, int32, int64, manual_seed

__version__ = "0.1.0"

_ROOMS = {
    "accelerators", "apps", "autograd", "data", "distributed", "functional", "gpu", "grader",
    "models", "nn", "optim", "parallel", "training", "viz",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a room of the package when it is first asked for."""
    if name in _ROOMS:
        return import_module(f"lmbook.{name}")
    raise AttributeError(f"module 'lmbook' has no attribute {name!r}")


__all__ = [
    "Tensor", "arange", "as_tensor", "backend", "cat", "einsum", "empty", "enable_grad", "float16",
    "float32", "float64", "from_numpy", "full", "int32", "int64", "manual_seed", "maximum",
    "minimum", "no_grad", "ones", "ones_like", "rand", "randint", "randn", "stack", "tensor",
    "where", "zeros", "zeros_like",
]  # fmt: skip
