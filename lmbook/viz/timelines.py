"""What ranks did when: a row for each rank, time to the right."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Patch

from lmbook.viz.canvas import axes
from lmbook.viz.colours import FAINT, INK, ORANGE, PALETTE
from lmbook.viz.styling import WIDTH

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
COLOURS = tuple(c for c in PALETTE if c != ORANGE)
"""For computation; orange is for messages."""
Span = tuple[float, float, float, float]
"""Left, right, bottom, top."""
MANY = 400
"""From here on, messages are not drawn as lines unless asked for."""


def _unit(longest: float) -> tuple[float, str]:
    """The unit in which the longest time is at least one."""
    return next((u for u in UNITS if longest >= u[0]), UNITS[-1]) if longest else UNITS[0]


def _bars(ax: Axes, spans: list[Span], gap: float, **look: Any) -> None:
    """Rectangles as one collection, those that are long enough with a gap after them."""
    corners = []
    for left, right, low, high in spans:
        right = right - gap if right - left > 4 * gap else right
        corners.append([(left, low), (right, low), (right, high), (left, high)])
    ax.add_collection(PolyCollection(corners, **look))


def timeline(
    log: Any,
    *,
    ranks: Sequence[int] | None = None,
    messages: bool | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """The log of a run of `lmbook.distributed`: when each rank computes, waits and sends.

    A row has, from top to bottom, the rank function (one colour for each label of `compute`, pale where it
    waits), its background work if there is any, and the messages that leave it (orange). A line goes from
    where a message leaves to where it arrives; `messages` says whether to draw them (default: up to 400).
    `ranks` chooses rows.
    """
    rows = list(range(log.size) if ranks is None else ranks)
    if any(not 0 <= r < log.size for r in rows):
        raise ValueError(f"timeline: ranks {rows}, but the log has 0 to {log.size - 1}")
    place = {r: i for i, r in enumerate(rows)}
    events = [e for e in log.events if e.rank in place]
    scale, unit = _unit(max((e.end for e in events), default=0.0))
    if ax is None:
        height = 0.9 + min(0.42, 9.0 / max(len(rows), 1)) * len(rows) + 0.35 * legend
        ax = axes(None, (WIDTH, height))
    beside = any(e.stream for e in events)
    lanes = {0: (-0.38, 0.0 if beside else 0.16), 1: (0.02, 0.18)}

    def spans(kind: str, label: str | None = None) -> list[Span]:
        chosen = [e for e in events if e.kind == kind and label in (None, e.label)]
        return [
            (e.start / scale, e.end / scale, *(place[e.rank] + y for y in lanes[e.stream]))
            for e in chosen
        ]  # fmt: skip

    gap = 0.003 * log.time / scale
    labels = list(dict.fromkeys(e.label for e in events if e.kind == "compute"))
    handles = []
    for i, label in enumerate(labels):
        colour = COLOURS[i % len(COLOURS)]
        _bars(ax, spans("compute", label), gap, facecolor=colour, edgecolor="none")
        handles.append(Patch(facecolor=colour, label=label or "compute"))
    if waits := spans("wait"):
        _bars(ax, waits, 0.0, facecolor=FAINT, edgecolor="none")
        handles.append(Patch(facecolor=FAINT, label="wait"))
    sends = [e for e in events if e.kind == "send"]
    if sends:
        below = [
            (e.start / scale, e.end / scale, place[e.rank] + 0.21, place[e.rank] + 0.38)
            for e in sends
        ]
        _bars(ax, below, gap, facecolor=ORANGE, edgecolor="none")
        handles.append(Patch(facecolor=ORANGE, label="send"))
    if sends and (messages or (messages is None and len(sends) <= MANY)):
        lines = [
            [(e.start / scale, place[e.rank] + 0.3), (e.end / scale, place[e.peer] - 0.1)]
            for e in sends
            if e.peer in place
        ]
        ax.add_collection(LineCollection(lines, colors=INK, linewidths=0.7, alpha=0.55, zorder=3))
    for e in events:
        if e.kind == "mark":
            ax.plot([e.start / scale] * 2, [place[e.rank] - 0.45, place[e.rank] + 0.45], color=INK,
                    linewidth=1.2, zorder=4)  # fmt: skip
        elif e.kind == "fault":
            ax.plot([e.start / scale], [place[e.rank]], "x", color=INK, markersize=8, zorder=5)
    _dress(ax, rows, log.time / scale, unit)
    if legend and handles:
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0),
                  ncols=min(5, len(handles)), handlelength=1.2)  # fmt: skip
    return ax


def _dress(ax: Axes, rows: list[int], end: float, unit: str) -> None:
    """Names of rows, the axis of time."""
    step = -(-len(rows) // 16)
    ax.set_yticks(range(0, len(rows), step), [f"rank {r}" for r in rows[::step]])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, end * 1.01 or 1.0)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_xlabel(f"time ({unit})")
