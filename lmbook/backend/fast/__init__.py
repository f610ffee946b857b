"""Compiled variants of the kernels, in numba: same names, same signatures, same results.

The code releases the interpreter lock, so that threads share a long loop (`threads.share`), or the
trainer's shards of a batch run side by side; two thread pools never fight. Compiled at first use and
cached on disk.
"""

from importlib import import_module

_FAMILIES = (
    "activation",
    "attention",
    "convolution",
    "dense",
    "loss",
    "norm",
    "optim",
    "pool",
    "recurrent",
    "trees",
)

_KERNELS = {"convolution": "conv"}


def register() -> None:
    """Enter every compiled kernel into the table, after its reference."""
    for family in _FAMILIES:
        references = import_module(f"lmbook.backend.kernels.{_KERNELS.get(family, family)}")
        compiled = import_module(f"lmbook.backend.fast.{family}")
        for name in compiled.__all__:
            getattr(references, name).variant("fast", getattr(compiled, name))
