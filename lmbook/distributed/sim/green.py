"""The baton in one thread: ranks are greenlets, stacks that one thread changes between in half a microsecond.

Used where `greenlet` is installed; order, clocks and log are those of the threads, to the bit.
"""

import sys
from collections.abc import Callable
from heapq import heappop
from typing import Any

from lmbook.distributed.errors import Stopped
from lmbook.distributed.sim.baton import Baton, Task
from lmbook.distributed.where import Lines, of_frame


class GreenBaton(Baton):
    """Gives the baton to one greenlet after another; the one that called `run` starts and buries them."""

    def __init__(self, seed: int, stuck: Callable[[], BaseException]) -> None:
        super().__init__(seed, stuck)
        import greenlet

        self._greenlet, self._hub = greenlet, greenlet.getcurrent()
        self._following: Task | None = None

    def start(self, task: Task, body: Callable[[], None]) -> None:
        """Add a task that may run from its clock on, as a greenlet that the hub will begin."""

        def run() -> None:
            try:
                if not self.stopping:
                    body()
            finally:
                self.alive.pop(task, None)

        task.carrier = self._greenlet.greenlet(run, self._hub)
        self.alive[task] = None
        self.push(task)

    def _hand_over(self, task: Task) -> None:
        if not self._heap:
            self.fail(self._stuck())
            raise Stopped
        following = heappop(self._heap)[3]
        if following is task:
            return
        if following.carrier:  # it has begun
            following.carrier.switch()
        else:  # stacks that begin on top of one another would pile up: the hub begins it
            self._following = following
            self._hub.switch()
        if self.stopping:
            raise Stopped

    def run(self) -> None:
        """Let the tasks run to the end; raise the error that stopped them, if one did."""
        try:
            self._go_round()
        except BaseException:  # an interrupt between two ranks
            self.stopping = True
            self._go_round()
            raise
        if self.failure is not None:
            raise self.failure

    def _go_round(self) -> None:
        """Resume tasks until all have ended. Control comes back when one has, or names one to begin."""
        while self.alive:
            if self.stopping:
                following = next(iter(self.alive))
            elif self._following is not None:
                following, self._following = self._following, None
            elif self._heap:
                following = heappop(self._heap)[3]
            else:
                self.fail(self._stuck())
                continue
            if following.carrier.dead:  # an interrupt came between its end and its leaving
                self.alive.pop(following, None)
            else:
                following.carrier.switch()

    def places(self) -> dict[Task, Lines]:
        """Where each task that is left stands."""
        current = self._greenlet.getcurrent()
        return {t: of_frame(_frame(t.carrier, current)) for t in self.alive}


def _frame(carrier: Any, current: Any) -> Any:
    """The innermost frame of a greenlet: it keeps none while it runs."""
    return sys._getframe() if carrier is current else carrier.gr_frame
