"""Errors that name the operation, the shapes and the way out."""

from importlib import import_module
from types import ModuleType

from lmbook.backend.operators import declare_torchvision_operators


class ShapeError(ValueError):
    """Shapes that do not fit an operation."""


class DTypeError(TypeError):
    """A data type that an operation cannot take."""


class IndexRangeError(IndexError):
    """An index outside the axis it points into."""


class GradientError(RuntimeError):
    """A backward pass that cannot be done: no graph, not a scalar, a value changed in place."""


class NonFiniteError(FloatingPointError):
    """NaN or infinity where training cannot go on."""


class MissingDependency(ImportError):
    """An optional library that is not installed."""


def require(module: str, extra: str, why: str) -> ModuleType:
    """Import an optional library, or say how to install it.

    Parameters: `module`, the import name; `extra`, the extra of `lmbook` that brings it; `why`,
    what needs it, for the message. Raises `MissingDependency` if it is not installed.
    """
    try:
        if module.partition(".")[0] in ("torchvision", "transformers"):
            declare_torchvision_operators()
        return import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f'{why} needs {module}, which is not installed: pip install "lmbook[{extra}]"'
        ) from error
