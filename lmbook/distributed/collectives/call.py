"""The messages of one collective: who does not do the same is told so."""

from typing import TYPE_CHECKING, Any

from lmbook.distributed.errors import MismatchError
from lmbook.distributed.payload import snapshot

if TYPE_CHECKING:
    from lmbook.distributed.communicator import Communicator

Note = tuple[int, str, tuple[tuple[str, Any], ...]]
"""Number of the call on its communicator, the collective, and what all ranks must agree on."""


def tell(note: Note | None) -> str:
    """A note in words: `all_reduce(x=float64 (3,), op='sum'), collective number 4`."""
    if note is None:
        return "no collective"
    number, name, agreed = note
    inside = ", ".join(f"{k}={v if k == 'x' else repr(v)}" for k, v in agreed)
    return f"{name}({inside}), collective number {number}"


class Call:
    """One call of a collective on one rank. Algorithms use nothing else of the communicator."""

    def __init__(self, comm: "Communicator", note: Note) -> None:
        self.rank, self.size, self.note = comm.rank, comm.size, note
        self._ranks, self._transport = comm.ranks, comm.transport
        self._channel = (comm.context, -1)

    def send(self, x: Any, dst: int) -> None:
        """Send to a rank of the group."""
        transport = self._transport
        transport.wait(transport.post_send(self._ranks[dst], self._channel, self.note, x))

    def recv(self, src: int) -> Any:
        """Receive from a rank of the group, which must be in the same call."""
        transport = self._transport
        parcel = transport.wait(transport.post_recv(self._ranks[src], self._channel))
        return self._checked(src, parcel)

    def exchange(self, x: Any, dst: int, src: int) -> Any:
        """Send to one rank and receive from one, at the same time."""
        transport = self._transport
        sent = transport.post_send(self._ranks[dst], self._channel, self.note, x)
        parcel = transport.wait(transport.post_recv(self._ranks[src], self._channel))
        transport.wait(sent)
        return self._checked(src, parcel)

    def keep(self, x: Any) -> Any:
        """A copy, for what stays on its rank."""
        return snapshot(x)[0]

    def _checked(self, src: int, parcel: Any) -> Any:
        _, note, value = parcel
        if note != self.note:
            raise MismatchError(
                f"rank {self.rank} is in {tell(self.note)}, but rank {src} is in {tell(note)}; all ranks of "
                "a communicator call the same collectives in the same order, with shapes and options that fit"
            )
        return value
