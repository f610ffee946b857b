"""Operations on several tensors, as functions under PyTorch's names."""

from collections.abc import Sequence
from typing import Any

from lmbook.autograd.tensor import Tensor, apply, raw


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of each pair; a tie shares its gradient."""
    return apply("maximum", a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of each pair; a tie shares its gradient."""
    return apply("minimum", a, b)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, b elsewhere."""
    return apply("where", raw(condition), a, b)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sum of products over named axes, e.g. einsum("ij,jk->ik", a, b)."""
    return apply("einsum", *operands, equation=equation)


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Join along an existing axis."""
    return apply("cat", *tensors, axis=dim)


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Join along a new axis."""
    return apply("stack", *tensors, axis=dim)
