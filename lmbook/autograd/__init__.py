"""Level 1: tensors, the table of derivatives, and reverse-mode differentiation."""

from lmbook.autograd.creation import as_tensor, from_numpy, tensor
from lmbook.autograd.gradcheck import gradcheck
from lmbook.autograd.gradients import grad
from lmbook.autograd.graph import Node, detect_anomaly, enable_grad, is_grad_enabled, no_grad
from lmbook.autograd.primitives import PRIMITIVES
from lmbook.autograd.register import primitive
from lmbook.autograd.tensor import Tensor, apply

__all__ = [
    "PRIMITIVES", "Node", "Tensor", "apply", "as_tensor", "detect_anomaly", "enable_grad",
    "from_numpy", "grad", "gradcheck", "is_grad_enabled", "no_grad", "primitive", "tensor",
]  # fmt: skip
