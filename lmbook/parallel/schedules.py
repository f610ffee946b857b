"""The order in which the stages of a pipeline take microbatches, and how long that takes.

A schedule is a list of actions for each rank. p stages (ranks), m microbatches, v chunks of the model a
rank: chunk c of rank r is part c p + r of p v parts of the model. "F" forward, "B" backward; a zero-bubble
schedule separates "B", the gradient of the input, from "W", that of the weights.

The bubble: with equal stages each rank is idle (p - 1)(f + b) of its m (f + b) seconds of work, by GPipe and
1F1B alike; interleaving divides that by v. 1F1B keeps p - r microbatches' activations, GPipe m.
Sources: Huang et al. 2019 (GPipe); Narayanan et al. 2019, 2021 (1F1B, interleaved); Qi et al. 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Action(NamedTuple):
    """One thing that a rank does: "F", "B" or "W" of a microbatch, with one of its chunks."""

    kind: str
    microbatch: int
    chunk: int = 0


Schedule = list[list[Action]]


def gpipe(stages: int, microbatches: int) -> Schedule:
    """All forwards, then all backwards."""
    one = [Action(kind, i) for kind in "FB" for i in range(microbatches)]
    return [list(one) for _ in range(stages)]


def one_f_one_b(stages: int, microbatches: int) -> Schedule:
    """Fill the pipeline, then one forward and one backward in turn, then drain it."""
    found: Schedule = []
    for r in range(stages):
        warm = min(stages - 1 - r, microbatches)
        actions = [Action("F", i) for i in range(warm)]
        for i in range(microbatches - warm):
            actions += [Action("F", warm + i), Action("B", i)]
        found.append(actions + [Action("B", i) for i in range(microbatches - warm, microbatches)])
    return found


def interleaved(stages: int, microbatches: int, chunks: int) -> Schedule:
    """1F1B in which every rank has `chunks` parts of the model: microbatches go round in groups of p."""
    p, m, v = stages, microbatches, chunks
    if m % p:
        raise ValueError(f"interleaved: {m} microbatches are no multiple of {p} stages")

    def at(k: int, forward: bool) -> tuple[int, int]:
        """Microbatch and chunk of a rank's k-th forward or backward step."""
        group, inside = divmod(k, p * v)
        chunk, i = divmod(inside, p)
        return group * p + i, chunk if forward else v - 1 - chunk

    found: Schedule = []
    for r in range(p):
        steps = m * v
        warm = min(2 * (p - 1 - r) + (v - 1) * p, steps)
        actions = [Action("F", *at(k, True)) for k in range(warm)]
        for k in range(steps - warm):
            actions += [Action("F", *at(warm + k, True)), Action("B", *at(k, False))]
        found.append(actions + [Action("B", *at(k, False)) for k in range(steps - warm, steps)])
    return found


def zero_bubble(stages: int, microbatches: int) -> Schedule:
    """1F1B whose weight gradients wait and fill the gaps: ZB-H1, with no more memory than 1F1B's first rank.

    Found by letting time run in equal steps: a rank takes the first that it can of F, B, W, with at most
    p - r microbatches before their B and p before their W. With equal times of F, B and W and m >= p the
    bubble is p - 1 of them, a third of 1F1B's.
    """
    p, m = stages, microbatches
    count = [dict.fromkeys("FBW", 0) for _ in range(p)]
    done: set[tuple[str, int, int]] = set()
    found: Schedule = [[] for _ in range(p)]
    while any(c["W"] < m for c in count):
        now: list[tuple[str, int, int]] = []
        for r, c in enumerate(count):
            f, b, w = c["F"], c["B"], c["W"]
            can = {
                "F": f < m and f - b < p - r and f - w < p and (r == 0 or ("F", f, r - 1) in done),
                "B": ("F", b, r) in done and (r == p - 1 or ("B", b, r + 1) in done),
                "W": w < b,
            }
            kind = next((k for k in "FBW" if can[k]), None)
            if kind:
                found[r].append(Action(kind, c[kind]))
                now.append((kind, c[kind], r))
                c[kind] += 1
        done.update(now)
    return found


SCHEDULES = {
    "gpipe": gpipe,
    "1f1b": one_f_one_b,
    "interleaved": interleaved,
    "zero_bubble": zero_bubble,
}


class Span(NamedTuple):
    """When a rank did an action."""

    rank: int
    action: Action
    start: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """What a schedule does in time: when, the whole, and how much it keeps."""

    spans: list[Span]
    time: float
    busy: list[float]
    peak: list[int]
    """The most microbatches (of one chunk each) whose activations a rank keeps at a time."""

    @property
    def bubble(self) -> float:
        """Idle time over ideal time, (time - busy) / busy, of the rank that works most."""
        return (self.time - max(self.busy)) / max(self.busy)

    @property
    def idle(self) -> float:
        """Idle time over whole time, of the rank that works most."""
        return 1 - max(self.busy) / self.time


def simulate(
    schedule: Schedule,
    forward: float | Sequence[float] = 1.0,
    backward: float | Sequence[float] = 2.0,
    weight: float | Sequence[float] = 0.0,
    message: float = 0.0,
) -> Timeline:
    """Run a schedule on a clock.

    `forward`, `backward` and `weight` are the seconds of a whole rank (all its chunks), one number or one a
    rank; where a schedule has no "W", its "B" takes backward + weight. `message` is the time between stages.
    Raises `ValueError` for a schedule in which everyone waits.
    """
    p = len(schedule)
    chunks = 1 + max(a.chunk for actions in schedule for a in actions)
    split = any(a.kind == "W" for actions in schedule for a in actions)
    last = p * chunks - 1

    def seconds(rank: int, kind: str) -> float:
        f, b, w = (
            x if isinstance(x, (int, float)) else x[rank] for x in (forward, backward, weight)
        )
        return {"F": f, "B": b if split else b + w, "W": w}[kind] / chunks

    done: dict[tuple[str, int, int], float] = {}
    clock, next_, kept = [0.0] * p, [0] * p, [0] * p
    peak, busy, spans = [0] * p, [0.0] * p, []
    while any(next_[r] < len(schedule[r]) for r in range(p)):
        moved = False
        for r in range(p):
            while next_[r] < len(schedule[r]):
                a = schedule[r][next_[r]]
                part = a.chunk * p + r
                needs: list[tuple[tuple[str, int, int], float]] = []
                if a.kind == "F" and part > 0:
                    needs = [(("F", a.microbatch, part - 1), message)]
                elif a.kind == "B":
                    needs = [(("F", a.microbatch, part), 0.0)]
                    if part < last:
                        needs.append((("B", a.microbatch, part + 1), message))
                elif a.kind == "W":
                    needs = [(("B", a.microbatch, part), 0.0)]
                if any(n not in done for n, _ in needs):
                    break
                start = max([clock[r], *(done[n] + wait for n, wait in needs)])
                clock[r] = done[a.kind, a.microbatch, part] = start + seconds(r, a.kind)
                busy[r] += clock[r] - start
                kept[r] += {"F": 1, "B": 0 if split else -1, "W": -1}[a.kind]
                peak[r] = max(peak[r], kept[r])
                spans.append(Span(r, a, start, clock[r]))
                next_[r] += 1
                moved = True
        if not moved:
            stuck = [
                f"rank {r} at {schedule[r][next_[r]]}"
                for r in range(p)
                if next_[r] < len(schedule[r])
            ]
            raise ValueError(f"simulate: every rank waits: {', '.join(stuck)}")
    return Timeline(spans, max(clock), busy, peak)
