"""A deadlock in words: who waits for whom, in which line, and what lies there untaken."""

from typing import Any

from lmbook.distributed.errors import DeadlockError, UnreceivedError
from lmbook.distributed.sim.baton import Task
from lmbook.distributed.sim.stream import Job
from lmbook.distributed.sim.world import Message, Wanted, World
from lmbook.distributed.where import Lines, line_of, tell, tell_line

MOST = 8
"""Ranks and messages that are listed before the rest is only counted."""


def _tag(channel: Any) -> str:
    return "in a collective" if channel[1] < 0 else f"with tag {channel[1]}"


def _waits(waits: Any) -> tuple[str, list[int]]:
    """What a task waits for, and for which rank."""
    if isinstance(waits, Message):
        return f"until rank {waits.dst} takes its message {_tag(waits.channel)}", [waits.dst]
    if isinstance(waits, Wanted) and waits.src is not None:
        return f"for a message of rank {waits.src} {_tag(waits.channel)}", [waits.src]
    if isinstance(waits, Wanted):
        return f"for a message of any rank {_tag(waits.channel)}", []
    if isinstance(waits, Job):
        return "for its own background work", []
    return "for its turn", []


def _cycle(waiting: dict[int, list[int]]) -> list[int]:
    """Ranks that wait for each other in a circle, if there are any."""
    for start in sorted(waiting):
        path = [start]
        while waiting.get(path[-1]):
            following = waiting[path[-1]][0]
            if following in path:
                return path[path.index(following) :]
            path.append(following)
    return []


def _message(m: Message, lost: bool = False) -> str:
    fate = ", lost by a fault" if lost else ""
    sent = f", sent in {tell_line(line_of(m.where))}" if m.where else ""
    return f"  from rank {m.src} to rank {m.dst} {_tag(m.channel)}, {m.nbytes} bytes{fate}{sent}"


def _listed(lines: list[str], what: str) -> list[str]:
    more = len(lines) - MOST
    return lines if more <= 0 else [*lines[:MOST], f"  and {more} more {what}"]


def _untaken(world: World) -> list[str]:
    lines = [_message(m) for m in world.unreceived()] + [_message(m, True) for m in world.lost]
    return ["messages that nobody has taken:", *_listed(lines, "messages")] if lines else []


def deadlock(world: World, places: dict[Task, Lines]) -> DeadlockError:
    """The error for a run in which every task that is left waits."""
    waiting: dict[int, list[int]] = {}
    lines = []
    for task in sorted(places, key=lambda t: (t.rank, t.stream)):
        what, whom = _waits(task.waits)
        waiting.setdefault(task.rank, []).extend(whom)
        beside = " (background)" if task.stream else ""
        lines.append(f"  rank {task.rank}{beside} waits {what}, in {tell(places[task])}")
    parts = ["deadlock: every rank that is left waits for another", *_listed(lines, "ranks")]
    circle = _cycle(waiting)
    if circle:
        parts.append("the circle: " + " waits for ".join(f"rank {r}" for r in [*circle, circle[0]]))
    ended = sorted(set(range(world.size)) - set(waiting))
    if ended:
        some = ", ".join(map(str, ended[:MOST])) + (" ..." if len(ended) > MOST else "")
        parts.append(f"already finished: rank {some}")
    return DeadlockError("\n".join(parts + _untaken(world)), waiting)


def unreceived(world: World) -> UnreceivedError | None:
    """The error for a run that ended with messages that nobody took."""
    left = world.unreceived()
    if not left:
        return None
    lines = _listed([_message(m) for m in left], "messages")
    return UnreceivedError("\n".join(["the run ended with messages that nobody took:", *lines]))
