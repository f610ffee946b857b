"""Which implementation runs: plain NumPy, NumPy with numba kernels, or CuPy."""

import os
import sys
from importlib.util import find_spec

from lmbook.backend import table
from lmbook.backend.errors import MissingDependency, require

_CHOICES = ("numpy", "numba", "cupy")
_current: str | None = None


def available() -> dict[str, bool]:
    """Which backends can be used here, by name."""
    return {
        "numpy": True,
        "numba": find_spec("numba") is not None,
        "cupy": "cupy" in sys.modules or find_spec("cupy") is not None,
    }


def gpu_found() -> bool:
    """Whether CuPy is installed and finds a GPU."""
    try:
        return bool(require("cupy", "gpu", "gpu_found").is_available())
    except MissingDependency:
        return False


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
    table.select({"numba": "fast", "cupy": "cupy"}.get(name, "reference"))
    _current = name
    return name


def current() -> str:
    """Name of the backend in use; the first call settles it."""
    return _current or use(os.environ.get("LMBOOK_BACKEND", "auto"))


table.on_first_use(current)
table.gpu = os.environ.get("LMBOOK_BACKEND") == "cupy"  # tensors may be made before a kernel runs
