"""What a backend provides: messages between two ranks. All else is built on it."""

from typing import Any

Channel = tuple[str, int]
"""The communicator's context and the tag; messages are matched within a channel, in order."""
Parcel = tuple[int, Any, Any]
"""Sender, note of the collective (None outside one), and value."""


class Transport:
    """The ranks of a whole run, numbered from 0, and messages between them.

    `post_send` and `post_recv` start a transfer and return a handle at once; `wait` finishes it. `src` None
    takes the message of any rank that comes first. Two messages of one rank in one channel keep their
    order.
    """

    rank: int
    size: int
    copies = False
    """Whether a value may be changed as soon as `post_send` returns; otherwise only after `wait`."""

    def post_send(self, dst: int, channel: Channel, note: Any, value: Any) -> Any:
        """Start to send a value."""
        raise NotImplementedError(f"{type(self).__name__} has no post_send method: write one")

    def post_recv(self, src: int | None, channel: Channel) -> Any:
        """Ask for the next message of a channel."""
        raise NotImplementedError(f"{type(self).__name__} has no post_recv method: write one")

    def wait(self, handle: Any) -> Parcel | None:
        """Finish a transfer: what was received, or None for a message sent."""
        raise NotImplementedError(f"{type(self).__name__} has no wait method: write one")

    def ready(self, handle: Any) -> bool:
        """Whether `wait` would return without waiting."""
        raise NotImplementedError(f"{type(self).__name__} has no ready method: write one")

    def now(self) -> float:
        """Seconds since the start of the run."""
        raise NotImplementedError(f"{type(self).__name__} has no now method: write one")

    def compute(self, seconds: float, label: str) -> None:
        """Let time pass, where time is simulated; elsewhere it passes by itself."""

    def mark(self, label: str) -> None:
        """Note a moment in the log, where there is one."""

    def spawn(self, work: Any) -> Any:
        """Run `work(transport)` beside the rank function; a handle for `join`."""
        return work(self)

    def join(self, handle: Any) -> Any:
        """What `work` returned."""
        return handle
