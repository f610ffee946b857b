"""The simulator without threads: a rank that must wait is abandoned, and run again later from its start.

Each answer of the world (a message, the time) is kept in the rank's history and given again, so that
the rank comes to where it was. Works where there are no threads, as in a browser; costs the square of
the number of messages of a rank. Rank functions are run many times, so they must do the same each
time and change nothing outside. Background work takes place at once.
"""

import random
from collections.abc import Callable
from heapq import heappop, heappush
from types import TracebackType
from typing import Any

from lmbook.distributed.payload import snapshot
from lmbook.distributed.sim.baton import Task
from lmbook.distributed.sim.transport import SimTransport
from lmbook.distributed.sim.world import World
from lmbook.distributed.transport import Channel, Parcel, Transport
from lmbook.distributed.where import Lines, of_traceback


class Suspended(BaseException):
    """The rank cannot go on for now."""


class Replayer:
    """The order of tasks, as `Baton` has it; who must wait raises `Suspended`."""

    stopping = False

    def __init__(self, seed: int, stuck: Callable[[], BaseException]) -> None:
        self._rng, self._stuck = random.Random(seed), stuck
        self._heap: list[tuple[float, float, int, Task]] = []
        self._count = 0
        self.alive: dict[Task, None] = {}
        self.stands: dict[Task, TracebackType | None] = {}

    def push(self, task: Task, at: float | None = None) -> None:
        """The task may go on from its clock, or from a later time, on."""
        self._count += 1
        time = task.clock if at is None else max(at, task.clock)
        heappush(self._heap, (time, self._rng.random(), self._count, task))

    def turn(self, task: Task, at: float | None = None) -> bool:
        """Let those go first whose time is earlier."""
        time = task.clock if at is None else max(at, task.clock)
        if self._heap and self._heap[0][0] < time:
            self.push(task, at)
            raise Suspended
        return False

    def block(self, task: Task) -> None:
        """Wait until someone pushes the task."""
        raise Suspended

    def following(self) -> Task:
        """The task whose turn it is; the error of `stuck` if all wait."""
        if not self._heap:
            raise self._stuck()
        return heappop(self._heap)[3]

    def places(self) -> dict[Task, Lines]:
        """Where each task that is left stands."""
        return {t: of_traceback(self.stands.get(t)) for t in self.alive}


class ReplayTransport(SimTransport):
    """Gives the answers of the history first; then acts, and writes them down."""

    def __init__(self, world: World, replayer: Any, task: Task, history: list[Any]) -> None:
        super().__init__(world, replayer, task)
        self._history, self._at = history, 0

    def _step(self, act: Callable[[], Any]) -> Any:
        if self._at == len(self._history):
            self._history.append(act())
        self._at += 1
        return self._history[self._at - 1]

    def post_send(self, dst: int, channel: Channel, note: Any, value: Any) -> Any:
        """Start to send, or give the handle that was given before."""
        return self._step(lambda: super(ReplayTransport, self).post_send(dst, channel, note, value))

    def post_recv(self, src: int | None, channel: Channel) -> Any:
        """Ask for a message, or give the handle that was given before."""
        return self._step(lambda: super(ReplayTransport, self).post_recv(src, channel))

    def wait(self, handle: Any) -> Parcel | None:
        """What was received, as a copy of its own: the rank may change it and is run again."""
        parcel = self._step(lambda: super(ReplayTransport, self).wait(handle))
        return parcel and (parcel[0], parcel[1], snapshot(parcel[2])[0])

    def ready(self, handle: Any) -> bool:
        """Whether `wait` would return at once; the same answer at every run."""
        return self._step(lambda: super(ReplayTransport, self).ready(handle))

    def now(self) -> float:
        """The clock as it was at this call, in virtual seconds."""
        return self._step(lambda: self.task.clock)

    def compute(self, seconds: float, label: str) -> None:
        """Let virtual seconds pass, once."""
        self._step(lambda: super(ReplayTransport, self).compute(seconds, label))

    def mark(self, label: str) -> None:
        """Note a moment in the log, once."""
        self._step(lambda: super(ReplayTransport, self).mark(label))

    def spawn(self, work: Any) -> Any:
        """Do background work at once: there is nothing to run it beside."""
        return Transport.spawn(self, work)

    def join(self, handle: Any) -> Any:
        """What the work returned."""
        return Transport.join(self, handle)
