"""Work beside a rank function: a task of its own, which does one job after the other."""

from collections import deque
from collections.abc import Callable
from typing import Any

from lmbook.distributed.errors import RankError, RankLost, Stopped
from lmbook.distributed.failure import rank_error
from lmbook.distributed.sim.baton import Baton, Task


class Job:
    """One piece of work; `end` is its virtual end once it is done."""

    def __init__(self, work: Callable[[Any], Any], posted: float) -> None:
        self.work, self.posted = work, posted
        self.done, self.end, self.value = False, 0.0, None
        self.waiter: Task | None = None


class Stream:
    """The jobs of one rank, in the order in which they were given."""

    def __init__(self, baton: Baton, rank: int, transport: Callable[[Task], Any]) -> None:
        self.baton, self.rank, self.transport = baton, rank, transport
        self.jobs: deque[Job] = deque()
        self.clock, self.busy = 0.0, False

    def add(self, work: Callable[[Any], Any], now: float) -> Job:
        """Queue a job that may start now, when those before it are done."""
        job = Job(work, now)
        self.jobs.append(job)
        if not self.busy:
            self.busy = True
            task = Task(self.rank, 1)
            task.clock = max(self.clock, now)
            self.baton.start(task, lambda: self._run(task))
        return job

    def _run(self, task: Task) -> None:
        try:
            transport = self.transport(task)
            while self.jobs:
                job = self.jobs.popleft()
                task.clock = max(task.clock, job.posted)
                job.value = job.work(transport)
                job.done, job.end = True, task.clock
                if job.waiter is not None:
                    self.baton.push(job.waiter, job.end)
                    job.waiter.waits, job.waiter = None, None
        except Stopped:
            pass
        except (RankError, RankLost, KeyboardInterrupt) as error:
            self.baton.fail(error)
        except BaseException as error:
            self.baton.fail(rank_error(self.rank, error))
        self.clock, self.busy = task.clock, False
