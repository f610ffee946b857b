"""The table of kernels, the choice of backend, random numbers, and optional libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import lmbook
from lmbook import backend
from lmbook.backend import (
    KERNELS,
    MissingDependency,
    default_generator,
    fork,
    kernel,
    manual_seed,
    using,
)

ROOT = Path(__file__).resolve().parents[2]


def test_a_kernel_runs_the_variant_that_was_chosen() -> None:
    @kernel
    def planted(x: int) -> str:
        """One line."""
        return "reference"

    try:
        backend.use("numpy")
        assert planted(1) == "reference" and planted.__doc__ == "One line."
        planted.variant("fast", lambda x: "fast")
        assert planted(1) == "reference"
        backend.use("numba")
        assert planted(1) == "fast" and planted.reference(1) == "reference"
        assert "reference, fast" in repr(planted)
        backend.use("numpy")
        assert planted(1) == "reference"
        with pytest.raises(ValueError, match="'planted' is defined twice"):
            kernel(planted.reference)
    finally:
        del KERNELS["planted"]


def test_use_returns_and_current_remembers() -> None:
    for name in ("numpy", "numba"):
        assert backend.use(name) == name == backend.current()
    assert backend.use() == "numba"  # auto: numba where it is installed
    assert backend.available()["numpy"]


def test_without_numba_auto_is_numpy_and_asking_for_it_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lmbook.backend import config

    monkeypatch.setattr(config, "available", lambda: {"numpy": True, "numba": False, "cupy": False})
    assert backend.use() == "numpy"
    with pytest.raises(
        MissingDependency, match=r'"numba" is not installed: pip install "lmbook\[fast\]"'
    ):
        backend.use("numba")
    assert backend.current() == "numpy"  # the failed choice changed nothing


def test_cupy_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingDependency, match=r'pip install "lmbook\[gpu\]"'):
        backend.use("cupy")


def test_namespace_of_arrays() -> None:
    assert backend.namespace(np.zeros(1), 2.0) is np


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_the_environment_variable_chooses(name: str) -> None:
    code = (
        "import sys, lmbook; from lmbook import functional as F;"
        "assert 'numba' not in sys.modules; F.softmax(lmbook.zeros(2));"
        "print(lmbook.backend.current(), 'numba' in sys.modules)"
    )
    environment = {**os.environ, "LMBOOK_BACKEND": name}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == [name, str(name == "numba")], done.stderr


def test_seeds() -> None:
    manual_seed(3)
    a = lmbook.randn(4).tolist()
    manual_seed(3)
    assert lmbook.randn(4).tolist() == a != lmbook.randn(4).tolist()
    assert lmbook.manual_seed(3) is default_generator()


def test_generators_of_threads() -> None:
    manual_seed(0)
    first, second = fork(2)
    assert first.random() != second.random()
    manual_seed(0)
    again = fork(2)
    first, second = (g.random() for g in fork(2))
    manual_seed(0)
    fork(2)
    assert [g.random() for g in fork(2)] == [first, second]
    seen = {}
    with using(again[0]):
        assert default_generator() is again[0]
        with using(again[1]):
            assert default_generator() is again[1]
        assert default_generator() is again[0]
        thread = threading.Thread(target=lambda: seen.update(other=default_generator()))
        thread.start()
        thread.join()
    assert seen["other"] is default_generator() is not again[0]


def test_creation_functions() -> None:
    from lmbook import (
        arange,
        empty,
        from_numpy,
        full,
        ones,
        ones_like,
        rand,
        randint,
        randn,
        zeros,
        zeros_like,
    )

    assert zeros(2, 3).shape == zeros((2, 3)).shape == (2, 3) and zeros(2).dtype == np.float32
    assert (
        ones(2).tolist() == [1, 1] and full((2,), 7.0).tolist() == [7, 7] and empty(3).shape == (3,)
    )
    assert (
        zeros_like(ones(2)).tolist() == [0, 0]
        and ones_like(zeros(2, dtype=np.float64)).dtype == np.float64
    )
    assert arange(3).tolist() == [0, 1, 2] and arange(3).dtype == np.int64
    assert arange(0.0, 1.0, 0.25).dtype == np.float32
    array = np.zeros(2)
    from_numpy(array)[0] = 5.0
    assert array[0] == 5
    assert lmbook.tensor(array).data is not array
    for dtype, data in [
        (np.float32, [1.5]),
        (np.int64, [1]),
        (np.bool_, [True]),
        (np.float64, array),
    ]:
        assert lmbook.tensor(data).dtype == dtype
    assert lmbook.tensor([lmbook.tensor(1.0), 2.0]).tolist() == [1, 2]
    manual_seed(0)
    u, z, i = rand(10000), randn(10000), randint(2, 5, (10000,))
    assert u.min().item() >= 0 and u.max().item() < 1 and abs(u.mean().item() - 0.5) < 0.02
    assert abs(z.mean().item()) < 0.04 and abs(z.std().item() - 1) < 0.03
    assert set(i.tolist()) == {2, 3, 4}
    assert (
        randn(2, generator=np.random.default_rng(1)).tolist()
        == randn(2, generator=np.random.default_rng(1)).tolist()
    )
