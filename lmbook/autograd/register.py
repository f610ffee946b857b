"""`primitive`: enter a new operation, with its derivative, into the table."""

from collections.abc import Callable
from typing import Any

from lmbook.autograd.primitives import PRIMITIVES, Rule
from lmbook.autograd.tensor import Tensor, apply


def primitive(function: Rule) -> Callable[..., Tensor]:
    """Enter a rule into the table and return the operation on tensors.

    A rule takes arrays and returns `(result, pull)`, where `pull(g, needs)` gives the gradient of
    every input as fresh arrays, None where there is none to give.
    """
    name = function.__name__.strip("_")
    if name in PRIMITIVES:
        raise ValueError(f"primitive {name!r} is defined twice")
    PRIMITIVES[name] = function

    def operation(*inputs: Any, **params: Any) -> Tensor:
        return apply(name, *inputs, **params)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = function.__doc__
    operation.__wrapped__ = function  # type: ignore[attr-defined]
    return operation
