"""What can go wrong between ranks. Every error names the ranks and the way out."""


class CommError(RuntimeError):
    """Communication that cannot go on."""


class DeadlockError(CommError):
    """Every rank that is left waits for another one.

    `waiting` maps each of those ranks to the ranks it waits for.
    """

    def __init__(self, message: str, waiting: dict[int, list[int]] | None = None) -> None:
        super().__init__(message)
        self.waiting = waiting or {}


class MismatchError(CommError):
    """Ranks that are in different collectives, or in one with different shapes."""


class UnreceivedError(CommError):
    """Messages that were sent and that nobody took."""


class WaitTimeout(CommError):
    """A wait that took longer than its limit."""


class RankError(CommError):
    """A rank raised an exception. `rank` says which; the message holds that rank's traceback."""

    def __init__(self, rank: int, text: str, others: str = "") -> None:
        super().__init__(f"rank {rank} failed, the others were stopped:\n{text.rstrip()}{others}")
        self.rank, self.text, self.others = rank, text, others

    def __reduce__(self):
        return type(self), (self.rank, self.text, self.others)


class RankLost(CommError):
    """A rank died: its process is gone, or the simulator was told to crash it."""

    def __init__(self, rank: int, how: str, others: str = "") -> None:
        super().__init__(f"rank {rank} died ({how}), the others were stopped{others}")
        self.rank, self.how, self.others = rank, how, others

    def __reduce__(self):
        return type(self), (self.rank, self.how, self.others)


class Stopped(BaseException):
    """Raised inside a rank that is told to stop because the run is over; not for catching."""
