"""The table of kernels: pure array functions, each with one readable version and faster ones.

    @kernel
    def softmax(x): ...            # the specification, in NumPy

    softmax.variant("fast", f)     # a compiled version with the same signature

Calling `softmax(x)` runs the variant that `backend.use` selected, or the reference where that
variant does not exist.
"""

from collections.abc import Callable
from typing import Any

KERNELS: dict[str, "Kernel"] = {}
gpu = False
"""Whether the backend in use keeps arrays on a GPU; `select` and `backend.config` set it, all may read it."""
_selected: str | None = None
_settle: Callable[[], Any] = lambda: None  # noqa: E731


class Kernel:
    """A named array function with a reference and optional faster variants."""

    def __init__(self, reference: Callable[..., Any]) -> None:
        self.name = reference.__name__
        self.__doc__ = reference.__doc__
        self.__wrapped__ = reference
        self.variants: dict[str, Callable[..., Any]] = {"reference": reference}
        self.run: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        run = self.run
        if run is None:
            run = self._resolve()
        return run(*args, **kwargs)

    def _resolve(self) -> Callable[..., Any]:
        if _selected is None:
            _settle()
        self.run = self.variants.get(_selected or "reference", self.variants["reference"])
        return self.run

    @property
    def reference(self) -> Callable[..., Any]:
        """The readable version, which is the specification."""
        return self.variants["reference"]

    def variant(self, name: str, function: Callable[..., Any]) -> None:
        """Register another implementation with the same signature and results.

        What a kernel hands to its own backward kernel may be something else, if both are registered.
        """
        self.variants[name] = function
        self.run = None

    def __repr__(self) -> str:
        return f"<kernel {self.name}: {', '.join(self.variants)}>"


def kernel(reference: Callable[..., Any]) -> Kernel:
    """Enter a function into the table of kernels, under its own name."""
    if reference.__name__ in KERNELS:
        raise ValueError(f"kernel {reference.__name__!r} is defined twice")
    entry = KERNELS[reference.__name__] = Kernel(reference)
    return entry


def select(variant: str) -> None:
    """Run `variant` of every kernel that has one."""
    global _selected, gpu
    _selected, gpu = variant, variant == "cupy"
    for entry in KERNELS.values():
        entry.run = None


def settled() -> None:
    """Choose the backend now, if none was chosen."""
    if _selected is None:
        _settle()


def on_first_use(settle: Callable[[], Any]) -> None:
    """Call `settle` when the first kernel runs before any backend was chosen."""
    global _settle
    _settle = settle
