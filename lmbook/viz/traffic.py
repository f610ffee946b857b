"""Who sent how much to whom: ranks against ranks, dark where little went."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from lmbook.viz.canvas import array, axes
from lmbook.viz.colours import INK
from lmbook.viz.maps import heatmap
from lmbook.viz.styling import WIDTH

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))
ROOM = 0.85
"""Inches for the colour bar, and as much for the names of ranks."""


def _matrix(log: Any) -> np.ndarray:
    m = array(log.bytes if hasattr(log, "pair_bytes") else log).astype(float)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ValueError(
            f"traffic: wants bytes from each rank to each rank, a square, got {m.shape}; "
            "give a log of `lmbook.distributed.run`, or its `bytes`"
        )
    return m


def traffic(
    log: Any, *, columns: int = 2, most: float | None = None, ax: Axes | None = None
) -> Any:
    """Bytes from each rank (row) to each rank (column); faint where nothing went.

    `log` is that of a run of `lmbook.distributed`, a matrix such as its `bytes`, or a mapping from names to
    them: one panel each, `columns` beside each other, with one scale of colours from 0 to `most`
    (default: the largest entry of all). Returns the axes, an array of them for a mapping.
    """
    panels = log if isinstance(log, Mapping) else {"": log}
    if not panels:
        raise ValueError("traffic: nothing to draw; give at least one log")
    matrices = {name: _matrix(entry) for name, entry in panels.items()}
    largest = most or max((float(m.max(initial=0)) for m in matrices.values()), default=0.0) or 1.0
    scale, unit = next((u for u in UNITS if largest >= u[0]), UNITS[-1])
    if not isinstance(log, Mapping):
        return _panel(matrices[""] / scale, largest / scale, axes(ax, (4.6, 3.6)), unit)
    if ax is not None:
        raise ValueError("traffic: several panels make a figure of their own; leave `ax` out")
    across = min(columns, len(matrices))
    down = -(-len(matrices) // across)
    side = min(2.9, (WIDTH - 2 * ROOM) / across)
    _, grid = plt.subplots(
        down, across, squeeze=False, sharex=True, sharey=True,
        figsize=(side * across + 2 * ROOM, (side + 0.35) * down + 0.5),
    )  # fmt: skip
    for panel, (name, m) in zip(grid.flat, matrices.items()):
        _panel(m / scale, largest / scale, panel, None)
        panel.set_title(name)
        panel.set(xlabel="", ylabel="")
    for panel in list(grid.flat)[len(matrices) :]:
        panel.remove()
    figure = grid[0, 0].figure
    shown = list(grid.flat)[: len(matrices)]
    bar = figure.colorbar(shown[0].images[0], ax=shown, label=unit, pad=0.03, shrink=0.9)
    bar.outline.set(edgecolor=INK, linewidth=0.8)
    figure.supxlabel("to rank", color=INK, fontsize=14)
    figure.supylabel("from rank", color=INK, fontsize=14)
    return grid


def _panel(m: np.ndarray, most: float, ax: Axes, unit: str | None) -> Axes:
    heatmap(np.where(m > 0, m, np.nan), vmin=0, vmax=most, label=unit, ax=ax,
            xlabel="to rank", ylabel="from rank")  # fmt: skip
    ax.set_aspect("equal")
    step = -(-len(m) // 8)
    ticks = range(0, len(m), step)
    ax.set(xticks=ticks, yticks=ticks)
    return ax
