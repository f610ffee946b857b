"""What happened in a run: one event for each computation, message and wait, and the sums of them."""

from collections import Counter
from typing import NamedTuple

import numpy as np


class Event(NamedTuple):
    """Something that took a rank's time, in seconds since the start.

    `kind` is "compute"; "send", the time in which a message holds the sender's port; "wait", the time in
    which a rank waits for `peer`; "mark", a moment; or "fault". `tag` is -1 inside
    collectives, which `label` names. `stream` is 0 for the rank function, 1 for `background` work.
    """

    rank: int
    kind: str
    start: float
    end: float
    peer: int = -1
    nbytes: int = 0
    tag: int = -1
    label: str = ""
    stream: int = 0


class Log:
    """Events and traffic of a run of `size` ranks.

    `clocks[r]` is when rank r had finished, `link_bytes` what went over each link of the topology.
    Bytes are those of arrays (or of pickles), without headers.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: list[tuple] = []
        """Events as plain tuples, which is what a simulator has time for."""
        self._events: list[Event] = []
        self.clocks = [0.0] * size
        self.pair_bytes: Counter[tuple[int, int]] = Counter()
        self.pair_messages: Counter[tuple[int, int]] = Counter()
        self.link_bytes: Counter = Counter()

    @property
    def events(self) -> list[Event]:
        """What happened, in the order in which it was noted."""
        if len(self._events) != len(self.rows):
            self._events = [Event(*row) for row in self.rows]
        return self._events

    def count(self, src: int, dst: int, nbytes: int) -> None:
        """Note a message."""
        self.pair_bytes[src, dst] += nbytes
        self.pair_messages[src, dst] += 1

    def _matrix(self, counts: Counter[tuple[int, int]]) -> np.ndarray:
        m = np.zeros((self.size, self.size), dtype=np.int64)
        for (src, dst), n in counts.items():
            m[src, dst] = n
        return m

    @property
    def bytes(self) -> np.ndarray:
        """Bytes from each rank (row) to each rank (column)."""
        return self._matrix(self.pair_bytes)

    @property
    def messages(self) -> np.ndarray:
        """Messages from each rank (row) to each rank (column)."""
        return self._matrix(self.pair_messages)

    @property
    def total_bytes(self) -> int:
        """Bytes of all messages."""
        return sum(self.pair_bytes.values())

    @property
    def total_messages(self) -> int:
        """The number of messages."""
        return sum(self.pair_messages.values())

    @property
    def time(self) -> float:
        """Seconds until the last rank, message and background work had finished."""
        return max([*self.clocks, *(e.end for e in self.events)], default=0.0)

    def seconds(self, kind: str, rank: int | None = None) -> float:
        """Seconds spent on events of a kind, by one rank or by all."""
        return sum(
            e.end - e.start for e in self.events if e.kind == kind and rank in (None, e.rank)
        )
