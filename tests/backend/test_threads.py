"""Loops shared among threads: every step once, errors raised, nothing waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from lmbook.backend import machine
from lmbook.backend.fast import blas, dense, threads
from lmbook.backend.kernels import dense as reference

LARGE = 1 << 30


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "count", lambda: 3)
    yield
    for helper in threads._helpers(2):
        assert not helper.jobs and helper.error is None


def shared(steps: int, work: int = LARGE, turns: int = 4) -> tuple[np.ndarray, set[str]]:
    """How often each step was taken, and by whom."""
    taken, names = np.zeros(steps, int), set()

    def run(first: int, last: int) -> None:
        names.add(threading.current_thread().name)
        taken[first:last] += 1
        time.sleep(1e-4)

    threads.share(run, steps, work, turns)
    return taken, names


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("turns", [1, 4])
def test_every_step_once(steps: int, turns: int) -> None:
    for _ in range(50):
        taken, names = shared(steps, turns=turns)
        assert (taken == 1).all()
    assert names <= {"MainThread", "lmbook-kernel"}


def test_helpers_do_take_part_asleep_or_awake() -> None:
    assert any("lmbook-kernel" in shared(100)[1] for _ in range(20))
    time.sleep(0.05)  # long enough for them to fall asleep
    assert any("lmbook-kernel" in shared(100)[1] for _ in range(20))


def test_little_work_stays() -> None:
    assert shared(100, work=10)[1] == {"MainThread"}


def test_other_threads_keep_their_work() -> None:
    found: list[set[str]] = []
    other = threading.Thread(target=lambda: found.append(shared(100)[1]), name="other")
    other.start()
    other.join()
    assert found == [{"other"}]


def test_a_shared_loop_may_share() -> None:
    total = []
    threads.share(lambda i, j: threads.share(lambda a, b: total.append(b - a), 10, LARGE), 3, LARGE)
    assert sum(total) in (10, 20, 30)  # one inner loop a part, each whole


@pytest.mark.parametrize("bad", [0, 9])
def test_an_error_in_any_part_is_raised_and_the_next_loop_works(bad: int) -> None:
    def run(first: int, last: int) -> None:
        time.sleep(1e-3)
        if first <= bad < last:
            raise ValueError(f"step {bad}")

    for _ in range(5):
        with pytest.raises(ValueError, match=f"step {bad}"):
            threads.share(run, 10, LARGE, turns=1)
        assert (shared(10)[0] == 1).all()


def test_index_errors_are_errors() -> None:
    with pytest.raises(IndexError):
        threads.share(lambda i, j: [][0], 10, LARGE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(300, 70, 90), (40, 200, 333), (65, 1000, 9), (17, 129, 128)])
def test_products(shape: tuple[int, int, int], dtype: type) -> None:
    """Plain, turned and sliced matrices; the bias; against NumPy."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b, bias = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), n))
    if blas.addresses() is not None and m * n * k > dense.SMALL:
        assert blas.order(a) == (blas.PLAIN, k) and blas.order(a.T) == (blas.TURNED, k)
    wide = rng.normal(size=(2 * m, 2 * k)).astype(dtype)
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-10}
    for left in (a, a.T.copy().T, wide[:m, :k], wide[::2, :k], wide[:m, ::2]):
        for right in (b, b.T.copy().T):
            np.testing.assert_allclose(dense.product(left, right), left @ right, **close)
    np.testing.assert_allclose(
        dense.product(a, b, bias), reference.linear.reference(a, b.T, bias), **close
    )


def test_blas_has_its_threads_again() -> None:
    before = machine._blas()[0]() if machine._blas() else 0
    dense.product(np.ones((200, 100)), np.ones((100, 200)))
    assert not machine._blas() or machine._blas()[0]() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_helpers_of_its_own() -> None:
    code = (
        "import os, sys\n"
        "import numpy as np\n"
        "from lmbook.backend.fast import threads\n"
        "threads.count = lambda: 3\n"
        "def once():\n"
        "    taken = np.zeros(50, int)\n"
        "    def run(i, j): taken[i:j] += 1\n"
        "    threads.share(run, 50, 1 << 30)\n"
        "    assert (taken == 1).all()\n"
        "once()\n"
        "pid = os.fork()\n"
        "once()\n"
        "if pid == 0: os._exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
