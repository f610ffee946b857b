"""Random numbers: one default generator, reset by `manual_seed`, and one per thread on request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_default = np.random.Generator(np.random.PCG64(0))
_local = threading.local()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator in force (this thread's, or the default), in place; return it."""
    generator = default_generator()
    generator.bit_generator.state = type(generator.bit_generator)(seed).state  # type: ignore[call-arg]
    return generator


def default_generator() -> np.random.Generator:
    """The generator that layers and creation functions draw from: this thread's, or the default."""
    return getattr(_local, "generator", _default)


def fork(n: int) -> list[np.random.Generator]:
    """`n` independent generators, seeded from the default one: one for each thread."""
    return [
        np.random.Generator(np.random.PCG64(s)) for s in default_generator().integers(2**63, size=n)
    ]


@contextmanager
def using(generator: np.random.Generator) -> Iterator[None]:
    """Make `generator` this thread's default inside the block."""
    before = getattr(_local, "generator", None)
    _local.generator = generator
    try:
        yield
    finally:
        if before is None:
            del _local.generator
        else:
            _local.generator = before
