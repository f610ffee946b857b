"""A warp's memory request as a picture: lanes over bytes and sectors, over banks, and at work or at rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from lmbook.gpu import Request
from lmbook.viz.canvas import array
from lmbook.viz.colours import BLUE, FAINT, INK, ORANGE, SEQUENTIAL, ink_on
from lmbook.viz.styling import WIDTH

SECTOR, SEGMENT = 32, 128
BANKS, WORD = 32, 4
GAP = "\u22ee"
WIDE = 0.25  # inches of a cell in which two digits have room at the usual size
Array = np.ndarray


def _lanes(request: Any, size: int, base: int, what: str) -> tuple[Array, Array, int]:
    """Lanes at work, the first byte of each, and how many bytes each wants."""
    if isinstance(request, Request):
        index, size, base = request.index, request.size, request.base
    else:
        index = array(request)
    if index.ndim != 1 or not 1 <= len(index) <= 32 or index.dtype.kind not in "iu":
        raise ValueError(f"{what}: needs an index for each of up to 32 lanes, got {index.shape}")
    if size not in (1, 2, 4, 8, 16):
        raise ValueError(f"{what}: an element has 1, 2, 4, 8 or 16 bytes, not {size}")
    lanes = np.flatnonzero(index >= 0)
    if not len(lanes):
        raise ValueError(f"{what}: no lane is at work (an index of -1 is a lane at rest)")
    return lanes, base + size * index[lanes].astype(int), size


def _owners(lanes: Array, place: Array) -> dict[int, str]:
    """For each place the lane that wants it, or how many do."""
    found: dict[int, list[int]] = {}
    for lane, where in zip(lanes.tolist(), place.tolist()):
        found.setdefault(where, []).append(lane)
    return {p: str(who[0]) if len(who) == 1 else f"\u00d7{len(who)}" for p, who in found.items()}


def _fold(rows: Array, most: int) -> list[int | None]:
    """Which rows to draw, None for those left out."""
    kept = [int(r) for r in rows]
    if len(kept) <= most:
        return list(kept)
    return [*kept[: most - 2], None, kept[-1]]


def _cell(ax: Axes, left: float, row: float, width: float, colour: Any, label: str = "") -> None:
    ax.add_patch(Rectangle((left, row), width, 0.8, facecolor=colour, linewidth=0))
    if label:
        wide = _inches(ax, ax.get_xlim()[1] / width) > WIDE
        ink, size = ink_on(colour), 11 if wide and label.isdigit() else 8
        ax.text(left + width / 2, row + 0.4, label, color=ink, ha="center", va="center",
                fontsize=size, clip_on=True)  # fmt: skip


def _left_out(ax: Axes, row: int, middle: float, text: str) -> None:
    ax.text(middle, row + 0.4, f"{GAP}  {text}", ha="center", va="center", color=INK, fontsize=11)


def _inches(ax: Axes, cells: float) -> float:
    """The width of one of `cells` across the axes."""
    return float(ax.get_window_extent().width / ax.figure.dpi / cells)


def _legible(owners: dict[int, str], ax: Axes, cells: float) -> dict[int, str]:
    """The labels that can be read with `cells` across the axes: of all lanes, of every fourth, or none."""
    inches = _inches(ax, cells)
    if inches <= 0.14:
        return {}
    step = 1 if inches > 0.3 else 4
    return {p: who for p, who in owners.items() if not who.isdigit() or int(who) % step == 0}


def sectors(
    request: Any, size: int = 4, *, base: int = 0, rows: int = 8, legend: bool = True,
    title: bool = True, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """What one request of a warp takes from global memory: 128 bytes a row, in sectors of 32.

    `request` is a `gpu.Request` of a watched launch, or the index of each lane's element of `size` bytes
    (-1 for a lane at rest), `base` the byte where the array starts. Bytes that a lane wants carry its
    number (every fourth, where they are narrow); bytes of the same sectors that nobody wants move as well.
    At most `rows` rows are drawn.
    """
    lanes, address, size = _lanes(request, size, base, "sectors")
    moved = np.unique(address // SECTOR)  # an element never straddles two: all are aligned
    shown = _fold(np.unique(moved * SECTOR // SEGMENT), rows)
    if ax is None:
        height = 0.27 * len(shown) + 0.55 + 0.35 * legend + 0.3 * title
        _, ax = plt.subplots(figsize=(WIDTH, height))
    ax.set(xlim=(0, SEGMENT), ylim=(len(shown), -0.15))
    owners = _owners(lanes, address)
    labels = _legible(owners, ax, SEGMENT / size)
    for row, segment in enumerate(shown):
        if segment is None:
            left_out = len(np.unique(moved * SECTOR // SEGMENT)) - len(shown) + 1
            _left_out(ax, row, SEGMENT / 2, f"{left_out} rows more")
            continue
        start = segment * SEGMENT
        for s in range(start, start + SEGMENT, SECTOR):
            if s // SECTOR not in moved:
                _cell(ax, s - start + 0.3, row, SECTOR - 0.6, FAINT)
                continue
            idle = 0  # bytes of the run that nobody wants, up to here
            for place in range(s, s + SECTOR, size):
                if place in owners:
                    who = labels.get(place, "")
                    _cell(ax, place - start + 0.3, row, size - 0.6, BLUE, who)
                idle = 0 if place in owners else idle + size
                if idle and (place + size == s + SECTOR or place + size in owners):
                    end = place + size - start
                    _cell(ax, end - idle + 0.3, row, idle - 0.6, ORANGE)
    ax.set_yticks(
        [r + 0.4 for r, s in enumerate(shown) if s is not None],
        [f"byte {s * SEGMENT:,}" for s in shown if s is not None], fontsize=11,
    )  # fmt: skip
    _dress(ax)
    if title:
        used = size * len(owners)
        ax.set_title(
            f"{_plural(len(moved), 'sector')}, {used:,} of {SECTOR * len(moved):,} bytes wanted",
            fontsize=13,
        )
    if legend:
        _legend(ax, {"wanted, by lane": BLUE, "moved, not wanted": ORANGE, "not moved": FAINT})
    return ax


def wavefronts(
    lanes: Array, address: Array, size: int, store: bool = False
) -> tuple[dict[int, int], int]:
    """In which pass over the banks each word of shared memory comes, and how many passes there are.

    8 bytes a lane go by half warps, 16 bytes by quarters, loads that want one address in pairs of lanes by
    twice as many; words of one bank come one after the other.
    """
    width = 32 if size <= WORD else 32 * WORD // size
    if width < 32 and not store:
        of = dict(zip(lanes.tolist(), address.tolist()))
        pairs = [all(of.get(i ^ step, at) == at for i, at in of.items()) for step in (1, 2)]
        width *= 2 if any(pairs) else 1
    turn: dict[int, int] = {}
    passes = 0
    for first in range(0, 32, width):
        mine = (lanes >= first) & (lanes < first + width)
        if not mine.any():
            continue
        parts = address[mine][:, None] // WORD + np.arange(max(1, size // WORD))
        depth = np.zeros(BANKS, int)
        for word in np.unique(parts).tolist():
            turn.setdefault(word, passes + int(depth[word % BANKS]))
            depth[word % BANKS] += 1
        passes += int(depth.max())
    return turn, passes


def banks(
    request: Any, size: int = 4, *, rows: int = 32, title: bool = True, ax: Axes | None = None
) -> Axes:
    """What one request of a warp takes from shared memory: 32 words a row, one for each bank.

    `request` is as for `sectors`, a load unless it says otherwise. Words carry the number of the lane that
    wants them, if there is room; the colour, from dark to light, is the pass, or wavefront, in which they
    come: a bank gives one word a pass.
    """
    lanes, address, size = _lanes(request, size, 0, "banks")
    stored = isinstance(request, Request) and request.store
    turn, passes = wavefronts(lanes, address, size, stored)
    shown = _fold(np.unique(np.array(list(turn)) // BANKS), rows)
    if ax is None:
        _, ax = plt.subplots(figsize=(WIDTH, 0.9 + max(0.14, 0.3 - 0.01 * len(shown)) * len(shown)))
    ax.set(xlim=(0, BANKS), ylim=(len(shown), -0.2))
    owners = _owners(np.repeat(lanes, max(1, size // WORD)),
                     (address[:, None] // WORD + np.arange(max(1, size // WORD))).ravel())  # fmt: skip
    labels = _legible(owners, ax, BANKS)
    for row, line in enumerate(shown):
        if line is None:
            _left_out(ax, row, BANKS / 2, "more")
            continue
        for word in range(line * BANKS, (line + 1) * BANKS):
            colour: Any = FAINT
            if word in turn:
                # both ends of the map would be lost on a dark or on a light page
                colour = SEQUENTIAL(
                    0.25 + 0.65 * turn[word] / (passes - 1) if passes > 1 else 0.45
                )[:3]
            _cell(ax, word % BANKS + 0.06, row, 0.88, colour, labels.get(word, ""))
    ax.set_xticks(np.arange(0, BANKS, 8) + 0.5, [str(b) for b in range(0, BANKS, 8)], fontsize=11)
    _dress(ax)
    ax.set_xlabel("bank", fontsize=12)
    named = [r for r, s in enumerate(shown) if s is not None and (len(shown) <= 4 or r % 8 == 0)]
    ax.set_yticks([r + 0.4 for r in named],
                  [f"word {(shown[r] or 0) * BANKS:,}" for r in named], fontsize=11)  # fmt: skip
    if title:
        ax.set_title(_plural(passes, "wavefront"), fontsize=13)
    return ax


def lanes(requests: Sequence[Request], *, most: int = 24, ax: Axes | None = None) -> Axes:
    """Which lanes of a warp take part in each of its loads and stores, from the first on top."""
    if not requests:
        raise ValueError("lanes: no requests; launch with watch=(block, warp)")
    shown = list(requests)[:most]
    if ax is None:
        _, ax = plt.subplots(figsize=(WIDTH, 0.27 * len(shown) + 0.85))
    ax.set(xlim=(0, 32), ylim=(len(shown), -0.15))
    for row, request in enumerate(shown):
        for lane, index in enumerate(request.index):
            _cell(ax, lane + 0.06, row, 0.88, BLUE if index >= 0 else FAINT)
    ax.set_yticks(
        [r + 0.4 for r in range(len(shown))],
        [f"{'store' if q.store else 'load'} {q.name}, line {q.line}" for q in shown], fontsize=11,
    )  # fmt: skip
    ax.set_xticks(np.arange(0, 32, 8) + 0.5, [str(k) for k in range(0, 32, 8)], fontsize=11)
    _dress(ax)
    ax.set_xlabel("lane", fontsize=12)
    return ax


def _plural(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _dress(ax: Axes) -> None:
    ax.grid(False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if len(ax.get_xticks()) and ax.get_xlim()[1] == SEGMENT:
        ax.set_xticks([])


def _legend(ax: Axes, colours: dict[str, str]) -> None:
    handles = [Patch(facecolor=c, label=name) for name, c in colours.items()]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(handles),
              fontsize=11, handlelength=1.1)  # fmt: skip
