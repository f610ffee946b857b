"""What all real backends share: values as frames of bytes, a mailbox, waits with a limit."""

import pickle
import select
import time
from collections import Counter, deque
from typing import Any

from lmbook.distributed.errors import WaitTimeout
from lmbook.distributed.log import Log
from lmbook.distributed.payload import nbytes, pack, unpack
from lmbook.distributed.transport import Channel, Parcel, Transport


class Ask:
    """A receive that was posted; `parcel` once a frame fits."""

    def __init__(self, src: int | None, channel: Channel) -> None:
        self.src, self.channel = src, channel
        self.parcel: Parcel | None = None


def tell_ask(src: int | None, channel: Channel) -> str:
    """What is waited for, in words."""
    whose = "any rank" if src is None else f"rank {src}"
    return f"a message of {whose} " + (
        "in a collective" if channel[1] < 0 else f"with tag {channel[1]}"
    )


class WireTransport(Transport):
    """Frames between processes. A backend provides `_push`, `_flush`, `_progress`.

    `timeout` is the limit of each wait in seconds; `start` the common beginning of time
    (`time.monotonic`).
    """

    def __init__(self, rank: int, size: int, timeout: float, start: float | None = None) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self._start = time.monotonic() if start is None else start
        self._pending: dict[Channel, deque[Parcel]] = {}
        self._asks: dict[tuple[int, Channel], deque[Ask]] = {}
        self.log = Log(size)
        self.wake: Any = None
        """A socket that is readable when the launcher wants the run to end, where there is a launcher."""
        self.waiting: str = ""
        """What this rank waits for at the moment, in words."""

    # --- What a backend provides ---------------------------------------------------------------

    def _push(self, dst: int, header: bytes, body: memoryview) -> Any:
        """Start to send a frame; a handle for `_flush`."""
        raise NotImplementedError(f"{type(self).__name__} has no _push method: write one")

    def _flush(self, handle: Any, limit: float) -> bool:
        """Finish to send a frame; False if the time `limit` (`time.monotonic`) has come before."""
        raise NotImplementedError(f"{type(self).__name__} has no _flush method: write one")

    def _progress(self, src: int | None, limit: float) -> bool:
        """Receive something, from `src` if the backend must choose, and `_deliver` it; False at the limit.

        A limit of 0 takes only what is there.
        """
        raise NotImplementedError(f"{type(self).__name__} has no _progress method: write one")

    def finish(self) -> None:
        """Called when the rank function has returned: all that was sent must be on its way."""

    def drain(self, until: float) -> None:
        """Called when this rank is done and others may not be: take in what they send until told to end."""
        while self.wake is not None and time.monotonic() < until:
            if not self._progress(None, 0.0) and select.select([self.wake], [], [], 0.002)[0]:
                break

    def close(self) -> None:
        """Let go of everything."""

    # --- The mailbox ---------------------------------------------------------------------------

    def _deliver(self, src: int, header: Any, body: Any) -> None:
        channel, note, form = pickle.loads(header)
        parcel = (src, note, unpack(form, body))
        asks = self._asks.get((src, channel))
        if asks:
            asks.popleft().parcel = parcel
        else:
            self._pending.setdefault(channel, deque()).append(parcel)

    def _find(self, src: int | None, channel: Channel) -> Parcel | None:
        """Take the first parcel that fits out of the mailbox."""
        box = self._pending.get(channel)
        if box:
            for i, parcel in enumerate(box):
                if src is None or parcel[0] == src:
                    del box[i]
                    return parcel
        return None

    def unreceived(self) -> list[tuple[int, int, int]]:
        """(sender, tag, bytes) of the messages that nobody took."""
        return [
            (p[0], c[1], nbytes(p[2])) for c, box in self._pending.items() for p in box
        ]  # fmt: skip

    # --- The transport -------------------------------------------------------------------------

    def post_send(self, dst: int, channel: Channel, note: Any, value: Any) -> Any:
        """Start to send a value as a frame; counts its bytes without header."""
        form, body = pack(value)
        n = nbytes(value) if type(value) is list else len(body)
        begin = self.now()
        handle = self._push(dst, pickle.dumps((channel, note, form), protocol=5), body)
        self.log.count(self.rank, dst, n)
        label = note[1] if note else ""
        self.log.rows.append((self.rank, "send", begin, self.now(), dst, n, channel[1], label))
        return dst, channel, handle

    def post_recv(self, src: int | None, channel: Channel) -> Ask:
        """Ask for a message; one that lies in the mailbox is taken at once."""
        ask = Ask(src, channel)
        if src is not None:
            ask.parcel = self._find(src, channel)
            if ask.parcel is None:
                self._asks.setdefault((src, channel), deque()).append(ask)
        return ask

    def wait(self, handle: Any) -> Parcel | None:
        """Finish a transfer; raises `WaitTimeout` after `timeout` seconds, and says what it waited for."""
        if not isinstance(handle, Ask):
            dst, channel, sending = handle
            self.waiting = f"until rank {dst} takes its message"
            if not self._flush(sending, time.monotonic() + self.timeout):
                raise WaitTimeout(
                    f"{self._slow()} until rank {dst} took its message of tag {channel[1]}"
                )
            self.waiting = ""
            return None
        if self._look(handle):
            return handle.parcel
        begin = self.now()
        limit = time.monotonic() + self.timeout
        self.waiting = "for " + tell_ask(handle.src, handle.channel)
        while not self._look(handle):
            if not self._progress(handle.src, limit) and not self._look(handle):
                raise WaitTimeout(self._explain(handle))
        self.waiting = ""
        assert handle.parcel is not None
        self.log.rows.append((self.rank, "wait", begin, self.now(), handle.parcel[0]))
        return handle.parcel

    def _look(self, ask: Ask) -> bool:
        if ask.parcel is None and ask.src is None:
            ask.parcel = self._find(None, ask.channel)
        return ask.parcel is not None

    def ready(self, handle: Any) -> bool:
        """Take in what is there; whether `wait` would return at once."""
        while self._progress(None, 0.0):
            pass
        return self._look(handle) if isinstance(handle, Ask) else self._flush(handle[2], 0.0)

    def _slow(self) -> str:
        return f"rank {self.rank} waited {self.timeout:g} s"

    def _explain(self, ask: Ask) -> str:
        text = f"{self._slow()} for {tell_ask(ask.src, ask.channel)}"
        left = Counter((src, tag) for src, tag, _ in self.unreceived())
        if left:
            there = ", ".join(
                f"{n} of rank {s} " + (f"with tag {t}" if t >= 0 else "in a collective")
                for (s, t), n in left.items()
            )
            text += f"; messages that nobody has asked for: {there}"
        return text + "; if it only needs longer, give run a larger timeout"

    def now(self) -> float:
        """Seconds since the common start of the run."""
        return time.monotonic() - self._start

    def mark(self, label: str) -> None:
        """Note this moment in the log."""
        at = self.now()
        self.log.rows.append((self.rank, "mark", at, at, -1, 0, -1, label))

    def report(self) -> tuple[list[tuple], dict, dict, float]:
        """This rank's part of the log."""
        return self.log.rows, dict(self.log.pair_bytes), dict(self.log.pair_messages), self.now()


def join_logs(reports: list[Any]) -> Log:
    """The log of a run, from what its ranks report."""
    log = Log(len(reports))
    for rows, sizes, counts, _ in reports:
        log.rows += rows
        log.pair_bytes.update(sizes)
        log.pair_messages.update(counts)
    log.rows.sort(key=lambda row: (row[2], row[0]))
    log.clocks = [r[3] for r in reports]
    return log
