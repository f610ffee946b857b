"""Messages of one simulated rank: posting, matching, waiting, and what each does to the clocks."""

from collections import deque
from typing import Any

from lmbook.distributed.errors import Stopped
from lmbook.distributed.payload import snapshot
from lmbook.distributed.sim.baton import Baton, Task
from lmbook.distributed.sim.stream import Job, Stream
from lmbook.distributed.sim.world import Message, Wanted, World
from lmbook.distributed.transport import Channel, Parcel, Transport
from lmbook.distributed.where import user_spot


class SimTransport(Transport):
    """A rank's hands in the world. Whatever holds a port happens in the order of virtual time."""

    copies = True

    def __init__(self, world: World, baton: Baton, task: Task) -> None:
        self.world, self.baton, self.task = world, baton, task
        self.rank, self.size = task.rank, world.size
        self._stream: Stream | None = None

    # --- Sending -------------------------------------------------------------------------------

    def post_send(self, dst: int, channel: Channel, note: Any, value: Any) -> Message:
        """Copy the value and send it from now on; a buffered one holds its ports at once."""
        task, world = self.task, self.world
        self.baton.turn(task)
        if world.faults.crashes:
            world.faults.check(self.rank, task.clock, world.log)
        value, nbytes = snapshot(value)
        m = Message(self.rank, dst, channel, note, value, nbytes, task)
        m.where = user_spot()
        world.log.count(self.rank, dst, nbytes)
        if world.faults.loses(m, world.log):
            world.lost.append(m)
            return m
        if world.is_eager(m):
            world.transfer(m, task.clock)
        self._offer(m)
        return m

    def _offer(self, m: Message) -> None:
        """Give a message to whoever asked for it, or leave it for later."""
        place = (m.dst, m.channel)
        for w in self.world.wanted.get(place, ()):
            if w.src is None:  # whoever takes any message looks for itself
                if w.waiter is not None:
                    self.baton.push(w.waiter, m.posted if m.done is None else m.done)
                    w.waiter.waits, w.waiter = None, None
            elif w.src == m.src:
                self.world.wanted[place].remove(w)
                self._match(m, w)
                return
        self.world.under_way.setdefault(place, {}).setdefault(m.src, deque()).append(m)

    def _match(self, m: Message, w: Wanted) -> None:
        if m.done is None:
            self.world.transfer(m, max(m.posted, w.posted))
        m.taken, w.message = True, m
        assert m.done is not None
        for end in (m, w):
            if end.waiter is not None:
                self.baton.push(end.waiter, m.done)
                end.waiter.waits, end.waiter = None, None

    # --- Receiving -----------------------------------------------------------------------------

    def post_recv(self, src: int | None, channel: Channel) -> Wanted:
        """Ask for the next message of `src`, or of any rank (None), in a channel."""
        task, world = self.task, self.world
        if world.eager != float("inf"):
            self.baton.turn(task)
        elif self.baton.stopping:
            raise Stopped
        w = Wanted(src, self.rank, channel, task.clock)
        if src is not None:
            waiting = world.under_way.get((self.rank, channel), {}).get(src)
            if waiting:
                self._match(waiting.popleft(), w)
                return w
        world.wanted.setdefault((self.rank, channel), deque()).append(w)
        return w

    def _take_any(self, w: Wanted) -> None:
        """Wait for the message that is there first, whoever sent it."""
        place = (self.rank, w.channel)
        while True:
            heads = [q[0] for q in self.world.under_way.get(place, {}).values() if q]
            if heads:
                first = min(heads, key=lambda m: (m.posted if m.done is None else m.done, m.src))
                at = max(first.posted if first.done is None else first.done, self.task.clock)
                if not self.baton.turn(self.task, at):  # nothing can come earlier any more
                    self.world.under_way[place][first.src].popleft()
                    self.world.wanted[place].remove(w)
                    self._match(first, w)
                    return
            else:
                self._block(w)

    def _block(self, end: Message | Wanted | Job) -> None:
        end.waiter, self.task.waits = self.task, end
        self.baton.block(self.task)

    def wait(self, handle: Message | Wanted) -> Parcel | None:
        """Wait in virtual time until a transfer is through: a parcel, or None for a message sent."""
        task = self.task
        if isinstance(handle, Message):
            if not self.world.is_eager(handle):
                while not handle.taken:
                    self._block(handle)
                assert handle.done is not None
                self._advance(handle.done, handle.dst)
            return None
        if handle.src is None and handle.message is None:
            self._take_any(handle)
        while handle.message is None:
            self._block(handle)
        m = handle.message
        assert m.done is not None
        self._advance(m.done, m.src)
        if self.world.faults.crashes:
            self.world.faults.check(self.rank, task.clock, self.world.log)
        return m.src, m.note, m.value

    def _advance(self, to: float, peer: int) -> None:
        task = self.task
        if to > task.clock:
            self.world.log.rows.append(
                (self.rank, "wait", task.clock, to, peer, 0, -1, "", task.stream)
            )
            task.clock = to

    def ready(self, handle: Message | Wanted) -> bool:
        """Whether the transfer is through at this virtual time; lets earlier ranks go first."""
        self.baton.turn(self.task)
        if isinstance(handle, Message):
            if self.world.is_eager(handle):
                return True
            return handle.done is not None and handle.done <= self.task.clock
        if handle.message is not None:
            return (handle.message.done or 0.0) <= self.task.clock
        if handle.src is not None:
            return False
        heads = self.world.under_way.get((self.rank, handle.channel), {}).values()
        return any(q and q[0].done is not None and q[0].done <= self.task.clock for q in heads)

    # --- Time ----------------------------------------------------------------------------------

    def now(self) -> float:
        """The rank's clock in virtual seconds."""
        return self.task.clock

    def compute(self, seconds: float, label: str) -> None:
        """Let `seconds` pass, times the factor of a `Straggler`; raises `RankLost` at a `Crash`."""
        if self.baton.stopping:
            raise Stopped
        task, world = self.task, self.world
        start = task.clock
        task.clock += seconds * world.faults.factors.get(self.rank, 1.0)
        world.log.rows.append(
            (self.rank, "compute", start, task.clock, -1, 0, -1, label, task.stream)
        )
        if world.faults.crashes:
            world.faults.check(self.rank, task.clock, world.log)

    def mark(self, label: str) -> None:
        """Note this moment in the log."""
        at = self.task.clock
        self.world.log.rows.append((self.rank, "mark", at, at, -1, 0, -1, label, self.task.stream))

    # --- Background ----------------------------------------------------------------------------

    def spawn(self, work: Any) -> Any:
        """Queue work for the rank's second stream, which runs beside it in virtual time."""
        if self._stream is None:
            self._stream = Stream(
                self.baton, self.rank, lambda t: SimTransport(self.world, self.baton, t)
            )
        return self._stream.add(work, self.task.clock)

    def join(self, handle: Job) -> Any:
        """Wait until a job of the second stream is done; its value."""
        while not handle.done:
            self._block(handle)
        self._advance(handle.end, self.rank)
        return handle.value
