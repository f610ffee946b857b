"""What all tests share: a fresh random state, the backend left as it was, and no stray threads."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import numpy as np
import pytest

from lmbook import backend

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell: without this, tests of interrupts would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _known_state() -> Iterator[None]:
    """Seed the default generator before each test, and restore the backend after it."""
    backend.manual_seed(0)
    before = backend.current()
    yield
    backend.use(before)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)
