"""Level 0: the array library, its accelerated kernels, data types and random numbers."""

import numpy as np

from lmbook.backend.config import available, current, namespace, use
from lmbook.backend.dtypes import bool_, default_dtype, float16, float32, float64, int32, int64
from lmbook.backend.errors import (
    DTypeError,
    GradientError,
    IndexRangeError,
    MissingDependency,
    NonFiniteError,
    ShapeError,
    require,
)
from lmbook.backend.random import default_generator, fork, manual_seed, using
from lmbook.backend.table import KERNELS, kernel

Array = np.ndarray

__all__ = [
    "KERNELS",
    "Array", "DTypeError", "GradientError", "IndexRangeError", "MissingDependency",
    "NonFiniteError", "ShapeError", "available", "bool_", "current", "default_dtype",
    "default_generator", "float16", "float32", "float64", "fork", "int32", "int64", "kernel",
    "manual_seed", "namespace", "require", "use", "using",
]  # fmt: skip
