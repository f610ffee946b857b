"""Faults for the simulator, each repeatable: the same seed, the same faults."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmbook.distributed.errors import RankLost
from lmbook.distributed.log import Log

if TYPE_CHECKING:
    from lmbook.distributed.sim.world import Message


@dataclass(frozen=True)
class Delay:
    """Messages arrive `seconds` later.

    Those from `src` to `dst` (None: any), each with `probability`. Messages of one pair keep their
    order all the same.
    """

    seconds: float
    src: int | None = None
    dst: int | None = None
    probability: float = 1.0


@dataclass(frozen=True)
class Drop:
    """The `nth` message (from 0) from `src` to `dst` is lost, and nobody is told."""

    src: int
    dst: int
    nth: int = 0


@dataclass(frozen=True)
class Crash:
    """Rank `rank` dies at its first message or computation from time `at` on.

    The run ends with `RankLost`.
    """

    rank: int
    at: float = 0.0


@dataclass(frozen=True)
class Straggler:
    """Computation on rank `rank` takes `factor` times as long."""

    rank: int
    factor: float


Fault = Delay | Drop | Crash | Straggler


class Faults:
    """The faults of one run."""

    def __init__(self, faults: Sequence[Fault], size: int, seed: int) -> None:
        for f in faults:
            if not isinstance(f, (Delay, Drop, Crash, Straggler)):
                raise TypeError(f"run: {f!r} is no fault; use Delay, Drop, Crash or Straggler")
            ranks = (f.src, f.dst) if isinstance(f, (Delay, Drop)) else (f.rank,)
            for r in ranks:
                if r is not None and not 0 <= r < size:
                    raise ValueError(f"run: {f} names a rank that is not among 0 to {size - 1}")
        self.delays = [f for f in faults if isinstance(f, Delay)]
        self.drops = {(f.src, f.dst, f.nth) for f in faults if isinstance(f, Drop)}
        self.crashes = {f.rank: f.at for f in faults if isinstance(f, Crash)}
        self.factors = {f.rank: f.factor for f in faults if isinstance(f, Straggler)}
        self._rng = random.Random(seed + 1)
        self._sent: dict[tuple[int, int], int] = {}
        self._last: dict[tuple[int, int], float] = {}

    def delay(self, m: "Message", log: Log, start: float) -> float:
        """Seconds by which a message comes late."""
        late = 0.0
        for f in self.delays:
            if (
                f.src in (None, m.src)
                and f.dst in (None, m.dst)
                and (f.probability >= 1 or self._rng.random() < f.probability)
            ):
                late += f.seconds
        if late:
            log.rows.append((m.src, "fault", start, start, m.dst, m.nbytes, -1, "delay"))
        return late

    def loses(self, m: "Message", log: Log) -> bool:
        """Whether this message is dropped."""
        if not self.drops:
            return False
        n = self._sent[m.src, m.dst] = self._sent.get((m.src, m.dst), -1) + 1
        if (m.src, m.dst, n) not in self.drops:
            return False
        log.rows.append((m.src, "fault", m.posted, m.posted, m.dst, m.nbytes, -1, "drop"))
        return True

    def check(self, rank: int, clock: float, log: Log) -> None:
        """Raise `RankLost` when the rank's hour has come."""
        if rank in self.crashes and clock >= self.crashes[rank]:
            log.rows.append((rank, "fault", clock, clock, -1, 0, -1, "crash"))
            raise RankLost(rank, f"crashed by a fault at {clock:.3g} s")
