"""Shared memory for large messages: the sender puts one on a shelf, the receiver uses it where it lies.

The launcher makes one piece of memory without a name, which the ranks inherit as they inherit sockets. So
nothing is left behind, however the run ends. Each ordered pair of ranks has a shelf in it. Pages cost
memory only once they are used.
"""

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable

import numpy as np

LEAST = 1 << 15
"""Bytes from which a message goes by a shelf; smaller ones are quicker through the socket."""
SLOTS = 32
PAGE = 4096
MOST = 1 << 27
"""Bytes of a shelf."""
TOTAL = 1 << 31
"""Bytes of all shelves of a run."""


def nameless(size: int) -> int:
    """The file descriptor of `size` bytes of memory that no name leads to."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("lmbook")
    else:
        with tempfile.TemporaryFile(prefix="lmbook-") as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


def room(ranks: int) -> int:
    """Bytes of each shelf in a run of `ranks` ranks."""
    pairs = max(1, ranks * (ranks - 1))
    grain = mmap.ALLOCATIONGRANULARITY
    return max(grain, min(MOST, TOTAL // pairs) // grain * grain)


class Shelf:
    """The memory from one rank to another: a flag for each slot, then the messages.

    The sender sets a slot's flag and says over the socket where the message lies; the receiver
    clears it when the last array that uses the message is gone.
    """

    def __init__(self, fd: int, ranks: int, src: int, dst: int) -> None:
        self.size = room(ranks)
        self._memory = mmap.mmap(fd, self.size, offset=self.size * (src * ranks + dst))
        self._bytes = np.frombuffer(self._memory, np.uint8)
        self._flags = self._bytes[:SLOTS]
        self._used: dict[int, tuple[int, int]] = {}
        self._kept: dict[int, weakref.ref] = {}

    def put(self, body: memoryview) -> tuple[int, int] | None:
        """Copy a message to the shelf; its slot and place, or None where there is no room now."""
        for slot in [s for s in self._used if not self._flags[s]]:
            del self._used[slot]
        free = next((s for s in range(SLOTS) if s not in self._used), None)
        at = self._gap(len(body))
        if free is None or at is None:
            return None
        self._bytes[at : at + len(body)] = np.frombuffer(body, np.uint8)
        self._used[free] = at, len(body)
        self._flags[free] = 1
        return free, at

    def _gap(self, n: int) -> int | None:
        """The first place for n bytes; low ones are used again and again, and stay in the cache."""
        at = PAGE
        for first, length in sorted(self._used.values()):
            if first - at >= n:
                return at
            at = -(-(first + length) // PAGE) * PAGE
        return at if self.size - at >= n else None

    def get(self, slot: int, at: int, n: int) -> np.ndarray:
        """The message as an array of bytes; its slot is free again when nothing uses it any more."""
        found = np.frombuffer(self._memory, np.uint8, n, at)
        self._kept[slot] = weakref.ref(found, self._freeing(slot))
        return found

    def _freeing(self, slot: int) -> Callable[[weakref.ref], None]:
        def free(_: weakref.ref) -> None:
            del self._kept[slot]
            self._flags[slot] = 0

        return free
