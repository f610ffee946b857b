"""What losses share."""

from typing import Any

from lmbook.autograd import Tensor
from lmbook.backend import ShapeError


def reduce(each: Tensor, reduction: str) -> Tensor:
    """Mean or sum of all entries, or the entries as they are."""
    if reduction == "mean":
        return each.mean()
    if reduction == "sum":
        return each.sum()
    if reduction == "none":
        return each
    raise ValueError(f"reduction {reduction!r} is none of 'mean', 'sum', 'none'")


def same_shape(name: str, input: Tensor, target: Any) -> None:
    """Refuse a target that would be broadcast, which is nearly always a mistake."""
    shape = getattr(target, "shape", ())
    if shape != input.shape:
        raise ShapeError(
            f"{name}: input {input.shape} and target {shape} must have the same shape; "
            "broadcasting here would average over pairs that do not belong together"
        )
