"""Random numbers: one default generator, reset by `manual_seed`, and one per thread on request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_default = np.random.Generator(np.random.PCG64(0))
_own: ContextVar[np.random.Generator | None] = ContextVar("generator", default=None)


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator in force (this thread's, or the default), in place; return it."""
    generator = default_generator()
    generator.bit_generator.state = type(generator.bit_generator)(seed).state  # type: ignore[call-arg]
    return generator


def default_generator() -> np.random.Generator:
    """The generator that layers and creation functions draw from: this thread's, or the default."""
    return _own.get() or _default


def fork(n: int) -> list[np.random.Generator]:
    """`n` independent generators, seeded from the default one: one for each thread."""
    return [
        np.random.Generator(np.random.PCG64(s)) for s in default_generator().integers(2**63, size=n)
    ]


@contextmanager
def using(generator: np.random.Generator) -> Iterator[None]:
    """Make `generator` this thread's default inside the block."""
    before = _own.get()
    _own.set(generator)
    try:
        yield
    finally:
        _own.set(before)
