"""Which implementation runs: plain NumPy, NumPy with numba kernels, or CuPy."""

import os
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from lmbook.backend import table
from lmbook.backend.errors import MissingDependency, require

_CHOICES = ("numpy", "numba", "cupy")
_current: str | None = None


def available() -> dict[str, bool]:
    """Which backends can be used here, by name."""
    return {
        "numpy": True,
        "numba": find_spec("numba") is not None,
        "cupy": find_spec("cupy") is not None,
    }


def use(name: str = "auto") -> str:
    """Choose the backend; return the name of the one now in use.

    `"numpy"` runs the readable kernels, `"numba"` the compiled ones that stand behind the same
    functions, `"cupy"` runs on a GPU, `"auto"` takes numba where it is installed, else NumPy.
    The environment variable LMBOOK_BACKEND sets the choice at start.
    """
    global _current
    if name == "auto":
        name = "numba" if available()["numba"] else "numpy"
    if name not in _CHOICES:
        raise ValueError(
            f"backend {name!r}: choose one of 'auto', {', '.join(map(repr, _CHOICES))}"
        )
    if name == "numba" and not available()["numba"]:
        raise MissingDependency('backend "numba" is not installed: pip install "lmbook[fast]"')
    if name == "cupy":
        require("cupy", "gpu", 'backend "cupy"')
    if name == "numba":
        from lmbook.backend import fast

        fast.register()
    table.select("fast" if name == "numba" else "reference")
    _current = name
    return name


def current() -> str:
    """Name of the backend in use; the first call settles it."""
    return _current or use(os.environ.get("LMBOOK_BACKEND", "auto"))


def namespace(*arrays: Any) -> ModuleType:
    """The array library that made `arrays`: numpy, or cupy if one of them lives on a GPU."""
    for array in arrays:
        if type(array).__module__.startswith("cupy"):
            return require("cupy", "gpu", "an array on the GPU")
    return np


table.on_first_use(current)
