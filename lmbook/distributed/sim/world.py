"""The simulated machine: messages on their way, ports and links and when they are free, the log."""

from collections import deque
from collections.abc import Hashable
from heapq import heapreplace
from typing import Any

from lmbook.distributed.log import Log
from lmbook.distributed.network import Network
from lmbook.distributed.sim.baton import Task
from lmbook.distributed.sim.faults import Faults
from lmbook.distributed.transport import Channel


class Message:
    """A value under way. `done` is when it has arrived; None while it waits for a receiver."""

    __slots__ = (
        "channel", "done", "dst", "nbytes", "note", "posted", "src", "taken", "task", "value",
        "waiter", "where",
    )  # fmt: skip

    def __init__(
        self, src: int, dst: int, channel: Channel, note: Any, value: Any, nbytes: int, task: Task
    ) -> None:
        self.src, self.dst, self.channel, self.note = src, dst, channel, note
        self.value, self.nbytes, self.task, self.posted = value, nbytes, task, task.clock
        self.done: float | None = None
        self.taken = False
        self.waiter: Task | None = None
        self.where: Any = None


class Wanted:
    """A receive that was posted; `message` once one fits."""

    __slots__ = ("channel", "dst", "message", "posted", "src", "waiter")

    def __init__(self, src: int | None, dst: int, channel: Channel, posted: float) -> None:
        self.src, self.dst, self.channel, self.posted = src, dst, channel, posted
        self.message: Message | None = None
        self.waiter: Task | None = None


class World:
    """All state that ranks share. `eager` is the largest message that is buffered, in bytes."""

    def __init__(self, size: int, network: Network, eager: float, faults: Faults) -> None:
        self.size, self.network, self.eager, self.faults = size, network, eager, faults
        self.log = Log(size)
        self.out_free, self.in_free = [0.0] * size, [0.0] * size
        self.lanes: dict[Hashable, list[float]] = {}
        self.under_way: dict[tuple[int, Channel], dict[int, deque[Message]]] = {}
        self.wanted: dict[tuple[int, Channel], deque[Wanted]] = {}
        self.lost: list[Message] = []
        self._routes: dict[tuple[int, int], tuple] = {}

    def transfer(self, m: Message, start: float) -> None:
        """Find when a message goes and arrives; hold its ports and links for that time."""
        src, dst = m.src, m.dst
        way = self._routes.get((src, dst))
        if way is None:
            way = self._routes[src, dst] = (
                *self.network.cost(src, dst),
                self.network.route(src, dst),
            )
        alpha, beta, latency, route = way
        start = max(start, self.out_free[src], self.in_free[dst])
        for link, lanes in route:
            free = self.lanes.get(link)
            if free is None:
                free = self.lanes[link] = [0.0] * lanes
            start = max(start, free[0])
        end = start + alpha + m.nbytes * beta
        for link, _ in route:
            heapreplace(self.lanes[link], end)
            self.log.link_bytes[link] += m.nbytes
        self.out_free[src] = self.in_free[dst] = end
        late = self.faults.delay(m, self.log, start)
        m.done = end + latency + late
        tag, label = m.channel[1], m.note[1] if m.note else ""
        self.log.rows.append((src, "send", start, end, dst, m.nbytes, tag, label, m.task.stream))

    def is_eager(self, m: Message) -> bool:
        """Whether the sender goes on before the receiver has asked."""
        return m.nbytes <= self.eager

    def unreceived(self) -> list[Message]:
        """Messages that nobody took, in the order in which they were sent."""
        left = [m for by in self.under_way.values() for q in by.values() for m in q]
        return sorted(left, key=lambda m: m.posted)
