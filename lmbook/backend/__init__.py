"""Level 0: the array library, its accelerated kernels, data types and random numbers."""

import numpy as np

from lmbook.backend.config import available, current, gpu_found, use
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
from lmbook.backend.memory import asarray, contiguous, host, is_array, namespace, on_gpu
from lmbook.backend.random import default_generator, fork, manual_seed, using
from lmbook.backend.shape_only import ShapeOnly, ShapeOnlyError
from lmbook.backend.table import KERNELS, kernel

Array = np.ndarray

__all__ = [
    "KERNELS",
    "Array", "DTypeError", "GradientError", "IndexRangeError", "MissingDependency",
    "NonFiniteError", "ShapeError", "ShapeOnly", "ShapeOnlyError", "asarray",
    "available", "bool_", "contiguous", "current",
    "default_dtype", "default_generator", "float16", "float32", "float64", "fork", "gpu_found", "host",
    "int32", "int64", "is_array", "kernel", "manual_seed", "namespace", "on_gpu", "require", "use", "using",
]  # fmt: skip
