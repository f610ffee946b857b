"""Each mistake is met with an error that names the operation, the shapes, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lmbook
from lmbook import backend, cat, einsum, full, maximum, stack, tensor, where, zeros
from lmbook.autograd import Tensor, grad, primitive
from lmbook.backend import (
    DTypeError,
    GradientError,
    IndexRangeError,
    MissingDependency,
    ShapeError,
    require,
)

A, B, V = zeros(2, 3), zeros(4, 5), zeros(3)
X = zeros(2, 3, requires_grad=True)
N = tensor([1, 2, 3])

# what is done, the error, and words that the message must hold
MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "add": (lambda: A + B, ShapeError, ("add", "(2, 3)", "(4, 5)", "reshape")),
    "sub, array": (lambda: np.zeros(2) - A, ShapeError, ("sub", "(2,)", "(2, 3)", "unsqueeze")),
    "mul": (lambda: A * zeros(2), ShapeError, ("mul", "(2, 3)", "(2,)", "transpose")),
    "div": (lambda: A / B, ShapeError, ("div", "(2, 3)", "(4, 5)")),
    "pow": (lambda: A ** B, ShapeError, ("pow", "(2, 3)", "(4, 5)")),
    "compare": (lambda: A < B, ShapeError, ("lt", "(2, 3)", "(4, 5)")),
    "equal": (lambda: A == B, ShapeError, ("eq", "(2, 3)", "(4, 5)")),
    "maximum": (lambda: maximum(A, B), ShapeError, ("maximum", "(2, 3)", "(4, 5)")),
    "where": (lambda: where(A > 0, A, B), ShapeError, ("where", "(2, 3)", "(4, 5)")),
    "matmul": (lambda: A @ B, ShapeError, ("matmul", "(2, 3)", "(4, 5)", ".mT")),
    "matmul, vector": (lambda: A @ zeros(2), ShapeError, ("matmul", "(2, 3)", "(2,)")),
    "matmul, stacks": (lambda: zeros(2, 3, 4) @ zeros(3, 4, 5), ShapeError, ("matmul", "(2, 3, 4)")),
    "matmul, large rows": (lambda: zeros(2, 3, 4) @ A, ShapeError, ("matmul", "(2, 3, 4)", "(2, 3)")),
    "matmul, number": (lambda: A @ tensor(2.0), ShapeError, ("matmul", "use *")),
    "reshape": (lambda: A.reshape(4, 2), ShapeError, ("reshape", "(2, 3)", "(4, 2)", "-1")),
    "view": (lambda: A.view(-1, -1), ShapeError, ("reshape", "(2, 3)", "one length may be -1")),
    "permute": (lambda: A.permute(0, 0), ShapeError, ("permute", "(0, 0)", "(2, 3)", "once")),
    "permute, short": (lambda: A.permute(0), ShapeError, ("permute", "(0,)", "(2, 3)")),
    "expand": (lambda: A.expand(4, 3), ShapeError, ("expand", "(2, 3)", "(4, 3)")),
    "cat": (lambda: cat([A, B]), ShapeError, ("cat", "(2, 3)", "(4, 5)", "agree")),
    "cat, axes": (lambda: cat([A, V]), ShapeError, ("cat", "(2, 3)", "(3,)")),
    "cat, dim": (lambda: cat([A, A], 2), IndexRangeError, ("cat", "2", "(2, 3)")),
    "cat, nothing": (lambda: cat([]), ShapeError, ("cat",)),
    "stack": (lambda: stack([A, B]), ShapeError, ("stack", "(2, 3)", "(4, 5)", "equal")),
    "split": (lambda: A.split([1, 5], 1), ShapeError, ("split", "[1, 5]", "(2, 3)", "add up to 3")),
    "einsum": (lambda: einsum("ij,jk->ik", A, B), ShapeError, ("einsum", "(2, 3)", "(4, 5)", "letter")),
    "einsum, no arrow": (lambda: einsum("ij,jk", A, A.T), ShapeError, ("einsum", "->")),
    "einsum, axes": (lambda: einsum("ijk->i", A), ShapeError, ("einsum", "(2, 3)", "one letter per axis")),
    "gather": (lambda: A.gather(1, np.array([0])), ShapeError, ("gather", "(2, 3)", "as many axes")),
    "item": (lambda: A.item(), ShapeError, ("item", "(2, 3)")),
    "truth": (lambda: bool(A > 0), ShapeError, ("bool", "(2, 3)", ".any()")),
    "len": (lambda: len(tensor(1.0)), ShapeError, ("len",)),
    "iterate": (lambda: list(tensor(1.0)), ShapeError, ("len", "axes")),
    "add_": (lambda: A.clone().add_(B), ShapeError, ("add_", "(2, 3)", "(4, 5)")),
    "setitem": (lambda: A.clone().__setitem__(0, B), ShapeError, ("setitem", "(2, 3)", "(4, 5)")),
    # out of range
    "index": (lambda: A[2], IndexRangeError, ("getitem", "index 2", "(2, 3)", "within its length")),
    "index, second axis": (lambda: A[:, 3], IndexRangeError, ("getitem", "3", "(2, 3)")),
    "index, array": (lambda: A[np.array([0, 7])], IndexRangeError, ("getitem", "7", "(2, 3)")),
    "index, tensor": (lambda: V[tensor([0, -4])], IndexRangeError, ("getitem", "-4", "(3,)")),
    "too many indices": (lambda: A[0, 0, 0], IndexRangeError, ("getitem", "too many", "(2, 3)")),
    "mask": (lambda: A[np.array([True, False, True])], IndexRangeError, ("getitem", "(2, 3)")),
    "float index": (lambda: A[tensor([0.5])], (IndexRangeError, DTypeError), ("getitem", "(2, 3)")),
    "gather, range": (lambda: A.gather(1, np.array([[3]])), IndexRangeError, ("gather", "3", "(2, 3)")),
    "setitem, range": (lambda: A.clone().__setitem__(5, 0.0), IndexRangeError, ("setitem", "5", "(2, 3)")),
    "sum": (lambda: A.sum(2), IndexRangeError, ("dim 2", "(2, 3)")),
    "mean": (lambda: A.mean((0, -3)), IndexRangeError, ("dim -3", "(2, 3)")),
    "transpose": (lambda: A.transpose(0, 2), IndexRangeError, ("dim 2", "(2, 3)")),
    "unsqueeze": (lambda: A.unsqueeze(4), IndexRangeError, ("unsqueeze", "4", "(2, 3)")),
    "squeeze": (lambda: A.squeeze(5), IndexRangeError, ("dim 5", "(2, 3)")),
    # types
    "gradient of integers": (lambda: tensor([1, 2], requires_grad=True), DTypeError, ("int64", "float()")),
    "mean of integers": (lambda: N.mean(), DTypeError, ("mean", "int64", ".float()")),
    "text": (lambda: A + "one", DTypeError, ("add", "(2, 3)", "str")),
    "nothing": (lambda: A * None, DTypeError, ("mul", "(2, 3)", "NoneType")),
    "float into integers": (lambda: N.clone().add_(0.5), DTypeError, ("add_", "int64", "float")),
    "gather by floats": (lambda: A.gather(1, zeros(2, 1)), (DTypeError, IndexRangeError), ("gather",)),
    # gradients
    "backward, not a scalar": (lambda: (X * 2).backward(), GradientError,
                               ("backward", "(2, 3)", "y.sum()", "gradient=")),
    "backward, no gradient": (lambda: A.sum().backward(), GradientError, ("requires_grad=True", "no_grad")),
    "backward, gradient's shape": (lambda: (X * 2).backward(zeros(3)), ShapeError, ("(3,)", "(2, 3)")),
    "grad, not a scalar": (lambda: grad(X * 2, X), GradientError, ("(2, 3)", "y.sum()")),
    "grad of a constant": (lambda: grad((X * A).sum(), A), GradientError, ("(2, 3)", "require")),
    "numpy": (lambda: X.numpy(), GradientError, ("numpy", "x.detach().numpy()")),
    "np.asarray": (lambda: np.asarray(X), GradientError, ("detach",)),
    "cut off": (lambda: setattr(X * 2, "requires_grad", False), GradientError, ("x.detach()",)),
    # the rest
    "backend": (lambda: backend.use("abacus"), ValueError, ("'abacus'", "'numpy'", "'numba'")),
    "missing library": (lambda: require("no_such_library", "fast", "this"), MissingDependency,
                        ("this needs no_such_library", 'pip install "lmbook[fast]"')),
    "attribute of the package": (lambda: lmbook.nothing, AttributeError, ("lmbook", "'nothing'")),
    "a primitive twice": (lambda: primitive(_twice), ValueError, ("'sin'", "twice")),
}  # fmt: skip


def _twice(a: Any) -> Any:
    raise NotImplementedError


_twice.__name__ = "sin"


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_message_says_what_and_where_and_how(kind: str) -> None:
    act, error, words = MISTAKES[kind]
    with pytest.raises(error) as caught:
        act()
    message = str(caught.value)
    assert all(word in message for word in words), f"{message!r} lacks one of {words}"


def test_errors_are_also_the_usual_kinds() -> None:
    """Code that catches Python's or NumPy's own kinds keeps working."""
    kinds = {ShapeError: ValueError, DTypeError: TypeError, IndexRangeError: IndexError}
    kinds |= {GradientError: RuntimeError, MissingDependency: ImportError}
    assert all(issubclass(ours, usual) for ours, usual in kinds.items())


def test_an_error_leaves_nothing_changed() -> None:
    a = full((2, 3), 1.0)
    for act in (lambda: a.add_(B), lambda: a.__setitem__(9, 0.0), lambda: a.copy_(zeros(7))):
        with pytest.raises((ShapeError, IndexRangeError)):
            act()
    assert a.tolist() == [[1.0] * 3] * 2
    x = Tensor(np.ones(2), requires_grad=True)
    c = tensor([1.0, 1.0])
    y = (x * c).sum()
    with pytest.raises(ShapeError):
        c.add_(B)
    y.backward()  # the failed change did not count as one
