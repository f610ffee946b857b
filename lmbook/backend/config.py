"""Which implementation runs: plain NumPy, NumPy with numba kernels, or CuPy."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec

from lmbook.backend import table
from lmbook.backend.errors import MissingDependency, require

_CHOICES = ("numpy", "numba", "cupy")
_current: str | None = None
products_are_own: ContextVar[bool] = ContextVar("products_are_own", default=False)


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
    functions, `"auto"` takes numba where it is installed, else NumPy. The environment variable
    LMBOOK_BACKEND sets the choice at start.

    `"cupy"` keeps every tensor made from then on in the memory of an NVIDIA GPU and runs the same
    functions there, with kernels of `lmbook.gpu` where its ladder has the operation. Choose it
    before making a model; a tensor's `numpy()` copies it back, `host` of `lmbook.backend` any array.

    Raises `MissingDependency` for a library that is not installed, `RuntimeError` without a GPU.
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
        if not gpu_found():
            raise RuntimeError(
                'backend "cupy": CuPy is installed, but finds no NVIDIA GPU with a driver here; use '
                '"auto", or run on a machine that has one (in Colab: Runtime, Change runtime type)'
            )
    if name == "numba":
        from lmbook.backend import fast

        fast.register()
    table.select({"numba": "fast", "cupy": "cupy"}.get(name, "reference"))
    _current = name
    return name


@contextmanager
def own_products(on: bool = True) -> Iterator[None]:
    """Inside the block, products and 3 x 3 convolutions of float32 on a GPU run the book's own kernels.

    Outside they are cuBLAS's, through CuPy, which is faster: the best published kernel of this kind comes
    to 94 % of it (Boehm 2022, an A6000), and ours leaves out its last steps. For reading along, and for
    measuring. On the host it changes nothing.
    """
    before = products_are_own.set(on)
    try:
        yield
    finally:
        products_are_own.reset(before)


def current() -> str:
    """Name of the backend in use; the first call settles it."""
    return _current or use(os.environ.get("LMBOOK_BACKEND", "auto"))


table.on_first_use(current)
table.gpu = os.environ.get("LMBOOK_BACKEND") == "cupy"  # tensors may be made before a kernel runs
