"""What all tests share: a fresh random state, the backend left as it was, and no stray threads."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import cupy_stand_in
import numpy as np
import pytest

from lmbook import backend
from lmbook.backend.operators import declare_torchvision_operators
from tests import parity

declare_torchvision_operators()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell: without this, tests of interrupts would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
STAND_IN = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend", default="auto", choices=("auto", "numpy", "numba", "cupy"),
        help="run the engine on this backend alone; cupy without a GPU runs on a stand-in",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--backend")
    if name != "auto":
        parity.ONLY = parity.BACKENDS = (name,)
    if name == "cupy" and not backend.gpu_found():
        config.stash[STAND_IN] = cupy_stand_in.installed()
        config.stash[STAND_IN].__enter__()
    backend.use(name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # the files with most slow tests first, so that no worker begins a long one when the others are done
    slow = Counter(i.path for i in items if any(i.iter_markers("slow")))
    slow.update({i.path: 1000 for i in items if any(i.iter_markers("browser"))})
    items.sort(key=lambda i: -slow[i.path])
    if config.getoption("--backend") == "cupy":  # arrays there share no memory with NumPy's
        away = [i for i in items if i.get_closest_marker("host")]
        config.hook.pytest_deselected(items=away)
        items[:] = [i for i in items if i not in away]


def pytest_unconfigure(config: pytest.Config) -> None:
    if STAND_IN in config.stash:
        backend.use("auto")
        config.stash[STAND_IN].__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _known_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Seed the default generator before each test; all start on the backend that was asked for."""
    name = request.config.getoption("--backend")
    backend.manual_seed(0)
    yield
    backend.use(name)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)
