"""Turn an array library's complaint into one that names the operation, the shapes and a fix."""

from typing import Any

import numpy as np

from lmbook.backend import (
    DTypeError,
    IndexRangeError,
    NonFiniteError,
    ShapeError,
    ShapeOnly,
    host,
)
from lmbook.backend.shape_only import refusal

_FIXES = {
    "matmul": "the last axis of the first must be as long as the second-last of the second; "
    "transpose one with .mT, or reshape",
    "reshape": "the number of entries must stay the same; one length may be -1",
    "cat": "all lengths but the one along the joined axis must agree",
    "stack": "all shapes must be equal",
    "permute": "give each axis once",
    "getitem": "index each axis within its length",
    "gather": "the index must have as many axes as the tensor",
    "einsum": "give one letter per axis, and the same length wherever a letter repeats",
}
_BROADCAST = (
    "compared from the right, two lengths must be equal or one of them 1; reshape, unsqueeze or "
    "transpose one of them"
)


def describe(x: Any) -> str:
    """The shape of an array, or the value of anything small."""
    return str(tuple(x.shape)) if hasattr(x, "shape") else repr(x)[:40]


def entries(data: Any) -> str:
    """The entries of an array as the text of a tensor; of a mere shape, that."""
    if type(data) is ShapeOnly:
        return repr(data)
    return np.array2string(host(data), precision=4, separator=", ", prefix="tensor(")


def explain(name: str, arrays: tuple[Any, ...], error: Exception, wanted: Any = None) -> Exception:
    """An error of the right kind for operation `name`; one of our own, or unknown, is passed on.

    `wanted` is the shape asked for, where the operation has such a thing.
    """
    if any(type(a) is ShapeOnly for a in arrays):
        return refusal(f"{name}, shapes {' and '.join(map(describe, arrays))}")
    if isinstance(error, ShapeError | DTypeError | IndexRangeError) or not isinstance(
        error, ValueError | IndexError | TypeError
    ):
        return error
    shapes = " and ".join(describe(a) for a in arrays)
    shapes += "" if wanted is None else f" and the wanted {tuple(wanted)}"
    fix = _FIXES.get(name, _BROADCAST)
    if isinstance(error, IndexError):
        return IndexRangeError(f"{name}: {error}, for shape {shapes}; {fix}")
    if isinstance(error, TypeError):
        types = ", ".join(str(getattr(a, "dtype", type(a).__name__)) for a in arrays)
        return DTypeError(f"{name}: cannot work on {types} (shapes {shapes}): {error}")
    return ShapeError(f"{name}: shapes {shapes} do not fit; {fix} ({error})")


def nonfinite(name: str, out: np.ndarray, inputs: list[Any]) -> None:
    """Raise if `out` holds NaN or infinity."""
    if out.dtype.kind != "f" or np.isfinite(out).all().item():
        return
    kind = "NaN" if np.isnan(out).any().item() else "infinity"
    shapes = ", ".join(describe(a) for a in inputs)
    raise NonFiniteError(
        f"{name}: the result holds {kind} (inputs: {shapes}); look at the inputs' range: "
        "log or division near 0, exp of large numbers, or a learning rate that is too high"
    )
