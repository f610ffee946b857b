"""Threads of which one runs at a time: whoever has the earliest virtual time; a seed breaks ties."""

import random
import sys
import threading
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from lmbook.distributed.errors import Stopped
from lmbook.distributed.where import Lines, of_frame


class Task:
    """A line of execution with a virtual clock: a rank function, or background work."""

    def __init__(self, rank: int, stream: int = 0) -> None:
        self.rank, self.stream = rank, stream
        self.clock = 0.0
        self.waits: Any = None
        self.carrier: Any = None
        """The thread, or the greenlet, that it runs in."""
        self._lock = threading.Lock()
        self._lock.acquire()


class Baton:
    """Gives the baton to one task after another. Same seed, same order.

    `stuck()` is called when all tasks wait; it returns the error to end the run with.
    """

    def __init__(self, seed: int, stuck: Callable[[], BaseException]) -> None:
        self._rng, self._stuck = random.Random(seed), stuck
        self._heap: list[tuple[float, float, int, Task]] = []
        self._count = 0
        self._over = threading.Lock()
        self._over.acquire()
        self.alive: dict[Task, None] = {}
        self.failure: BaseException | None = None
        self.stopping = False

    def start(self, task: Task, body: Callable[[], None]) -> None:
        """Add a task that may run from its clock on. `body` must not raise."""

        def run() -> None:
            task._lock.acquire()
            try:
                if not self.stopping:
                    body()
            finally:
                self._finish(task)

        task.carrier = threading.Thread(
            target=run, daemon=True, name=f"rank {task.rank}" + "b" * task.stream
        )
        self.alive[task] = None
        self.push(task)
        task.carrier.start()

    def push(self, task: Task, at: float | None = None) -> None:
        """The task may go on from its clock, or from a later time, on."""
        self._count += 1
        time = task.clock if at is None else max(at, task.clock)
        heappush(self._heap, (time, self._rng.random(), self._count, task))

    def turn(self, task: Task, at: float | None = None) -> bool:
        """Let those go first whose time is earlier; whether there were any."""
        if self.stopping:
            raise Stopped
        time = task.clock if at is None else max(at, task.clock)
        if self._heap and self._heap[0][0] < time:
            self.push(task, at)
            self._hand_over(task)
            return True
        return False

    def block(self, task: Task) -> None:
        """Wait until someone pushes the task."""
        if self.stopping:
            raise Stopped
        self._hand_over(task)

    def _hand_over(self, task: Task) -> None:
        if not self._heap:
            self.fail(self._stuck())
            raise Stopped
        following = heappop(self._heap)[3]
        if following is task:
            return
        following._lock.release()
        task._lock.acquire()
        if self.stopping:
            raise Stopped

    def fail(self, error: BaseException) -> None:
        """End the run with an error: every task that comes to a message is stopped there."""
        if self.failure is None:
            self.failure = error
        self.stopping = True

    def _finish(self, task: Task) -> None:
        del self.alive[task]
        if not self.stopping and self.alive and not self._heap:
            self.fail(self._stuck())
        if not self.alive:
            self._over.release()
        elif self.stopping:
            next(iter(self.alive))._lock.release()
        else:
            heappop(self._heap)[3]._lock.release()

    def run(self) -> None:
        """Let the tasks run to the end; raise the error that stopped them, if one did."""
        if self.alive:
            heappop(self._heap)[3]._lock.release()
            try:
                while not self._over.acquire(timeout=0.1):  # wakes for an interrupt
                    pass
            except BaseException:  # an interrupt: let the tasks unwind, but do not wait for ever
                self.stopping = True
                self._over.acquire(timeout=5)
                raise
        if self.failure is not None:
            raise self.failure

    def places(self) -> dict[Task, Lines]:
        """Where each task that is left stands."""
        now = sys._current_frames()
        return {t: of_frame(now.get(t.carrier.ident or 0)) for t in self.alive}
