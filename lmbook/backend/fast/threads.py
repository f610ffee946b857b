"""Share a kernel's loop among threads.

Compiled kernels release the interpreter's lock, so the parts run at the same time. Only the main
thread shares: a thread that already works on its own part of a batch keeps its kernels to itself.

Waking a thread that sleeps takes longer than many a kernel, so the helpers look for work for a
moment before they sleep, in compiled code and without the lock. NumPy's BLAS has helpers that do
the same, and two such crowds would fight for the processors: products are shared here too
(`dense.product`), with BLAS on one thread.
"""

import os
import threading
import time
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import pairwise
from queue import SimpleQueue

import numba
import numpy as np

from lmbook.backend.fast.compile import jit
from lmbook.backend.fast.tile import peek

WORTH, MUCH = 1 << 16, 1 << 20
"""Numbers to go through, at least, for a thread to pay, and for parts that threads take in turn."""
LOOK, PAUSE = 100e-6, 3e-6
"""Seconds to look for work or for its end before sleep, and that a helper leaves its giver to begin."""

Run = Callable[[int, int], object]


@cache
def count() -> int:
    """How many threads share a loop: OMP_NUM_THREADS if set, which BLAS heeds too, else all cores."""
    cores = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return int(os.environ.get("OMP_NUM_THREADS") or cores)


@jit
def _differs(number, value, looks, pause):  # type: ignore[no-untyped-def]
    """Look until number[0] is not `value`, at most `looks` times; whether it is not."""
    for _ in range(looks):
        if peek(number) != value:  # type: ignore[call-arg]
            for _ in range(pause):
                peek(number)
            return True
    return False


@jit
def _equals(number, value, looks):  # type: ignore[no-untyped-def]
    """Look until number[0] is `value`, at most `looks` times; whether it is."""
    for _ in range(looks):  # noqa: SIM110
        if peek(number) == value:  # type: ignore[call-arg]
            return True
    return False


@cache
def _looks_a_second() -> float:
    number, looks = np.zeros(1, np.int64), 1 << 15
    _differs(number, 0, 1, 0)
    start = time.perf_counter()
    _differs(number, 0, looks, 0)
    return looks / (time.perf_counter() - start)


class _Bell:
    """Lets one thread sleep until another rings; now and then it sleeps too short.

    Whoever waits says so first and then looks whether there is need to; who rings has made it
    needless before. So no ring is lost.
    """

    def __init__(self) -> None:
        self.asleep, self.rings = False, SimpleQueue[None]()

    def sleep(self, needless: Callable[[], bool]) -> None:
        """Sleep until the next ring, but not where `needless()`."""
        self.asleep = True
        if not needless():
            self.rings.get()
        self.asleep = False

    def ring(self) -> None:
        """Wake the sleeper, if there is one."""
        if self.asleep:
            self.rings.put(None)


class _Helper:
    """A thread that waits for something to do."""

    def __init__(self) -> None:
        self.given, self.done = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.looks, self.pause = (int(t * _looks_a_second()) for t in (LOOK, PAUSE))
        self.begin, self.end = _Bell(), _Bell()
        self.jobs: list[tuple[int, Callable[[], None]]] = []
        self.error: BaseException | None = None
        threading.Thread(target=self._wait, name="lmbook-kernel", daemon=True).start()

    def give(self, job: Callable[[], None]) -> None:
        """Let the helper call job()."""
        number = int(self.given[0]) + 1
        self.jobs.append((number, job))
        self.given[0] = number
        self.begin.ring()

    def join(self) -> None:
        """Wait for the job, or take it back where it was not begun; raise what it raised."""
        try:
            self.jobs.pop()
        except IndexError:
            number = int(self.given[0])
            while not _equals(self.done, number, self.looks):
                self.end.sleep(lambda: bool(self.done[0] == number))
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _wait(self) -> None:
        seen = 0
        while True:
            if not _differs(self.given, seen, self.looks, self.pause):
                self.begin.sleep(lambda seen=seen: bool(self.given[0] != seen))  # type: ignore[misc]
            seen = int(self.given[0])
            try:
                number, job = self.jobs.pop()
            except IndexError:  # taken back
                continue
            try:
                job()
            except BaseException as error:
                self.error = error
            del job
            self.done[0] = number
            self.end.ring()


@lru_cache(maxsize=1)
def _helpers(number: int) -> list[_Helper]:
    return [_Helper() for _ in range(number)]


_busy = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a fork takes no threads along


def share(run: Run, steps: int, work: int, turns: int = 4) -> None:
    """Call run(first, last) so that together the calls cover range(steps), which is `work` large.

    Where that is much, each thread takes about `turns` parts, one after the other: then one that
    the system keeps from working does not keep the rest waiting.
    """
    number = min(count(), steps, work // WORTH)
    if (
        number < 2
        or threading.current_thread() is not threading.main_thread()
        or not _busy.acquire(blocking=False)
    ):
        run(0, steps)
        return
    try:
        chunks = min(steps, number if work < MUCH else turns * number)
        cuts = [steps * i // chunks for i in range(chunks + 1)]
        left = list(pairwise(cuts))[::-1]

        def work_off() -> None:
            while True:
                try:
                    first, last = left.pop()
                except IndexError:
                    return
                run(first, last)

        helpers = _helpers(count() - 1)[: number - 1]
        for helper in helpers:
            helper.give(work_off)
        try:
            work_off()
        finally:
            left.clear()
            for helper in helpers:
                helper.join()
    finally:
        _busy.release()
