"""Curves, bars and histograms."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lmbook.viz.canvas import array, axes
from lmbook.viz.colours import FAINT, INK, PALETTE
from lmbook.viz.styling import figsize

DASHES = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
"""Line styles in step with the palette, so that colour is never the only difference."""


def _levels(ax: Axes, levels: Mapping[str, float] | None, across: bool) -> None:
    """Mark reference values with a thin line and a name."""
    for name, value in (levels or {}).items():
        if across:
            ax.axhline(value, color=INK, linewidth=1.2, zorder=1)
            ax.annotate(name, (1, value), (-2, 3), xycoords=("axes fraction", "data"),
                        textcoords="offset points", ha="right", va="bottom", fontsize=12)  # fmt: skip
        else:
            ax.axvline(value, color=INK, linewidth=1.2, zorder=1)
            ax.annotate(name, (value, 1), (0, 2), xycoords=("data", "axes fraction"),
                        textcoords="offset points", ha="center", va="bottom", fontsize=12)  # fmt: skip


def curves(
    series: Mapping[str, Any],
    x: Any = None,
    *,
    bands: Mapping[str, tuple[Any, Any]] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    log: bool = False,
    levels: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One line per entry of `series`, with optional intervals and reference levels.

    `x` holds the positions (default 0, 1, 2, ...), or a mapping from name to positions. `bands`
    maps a name to its (low, high). `log` makes the vertical axis logarithmic. `levels` maps a name
    to a value at which a thin line is drawn across.
    """
    ax = axes(ax, figsize(1, 0.5))
    for i, (name, values) in enumerate(series.items()):
        y = array(values)
        at = array(x[name] if isinstance(x, Mapping) else x) if x is not None else np.arange(len(y))
        if len(at) != len(y):
            raise ValueError(f"curves: {name!r} has {len(y)} values at {len(at)} positions")
        colour = PALETTE[i % len(PALETTE)]
        if bands and name in bands:
            low, high = bands[name]
            ax.fill_between(at, array(low), array(high), color=colour, alpha=0.22, linewidth=0)
        ax.plot(at, y, color=colour, linestyle=DASHES[i % len(DASHES)], label=name)
    _levels(ax, levels, across=True)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if log:
        ax.set_yscale("log")
    if len(series) > 1:
        ax.legend()
    return ax


def bars(
    values: Mapping[str, float],
    *,
    errors: Mapping[str, Any] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    fmt: str = "",
    levels: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One horizontal bar per entry, the first on top: names stay readable on a phone.

    `errors` maps a name to its interval (low, high), or to half its width. `fmt` (such as ".1f")
    writes the value at the end of the bar. The measured axis is labelled by `xlabel` or `ylabel`.
    """
    names, sizes = list(values), array(list(values.values())).astype(float)
    ax = axes(ax, figsize(1, 0.14 + 0.075 * len(names)))
    ax.barh(range(len(names)), sizes, height=0.62, color=PALETTE[0], zorder=2,
            alpha=0.4 if errors else 1.0)  # fmt: skip
    ends = sizes.copy()
    for i, name in enumerate(names):
        if errors and name in errors:
            e = errors[name]
            low, high = e if np.ndim(e) else (sizes[i] - e, sizes[i] + e)
            ax.plot([low, sizes[i], high], [i] * 3, "-|", color=INK, zorder=3, markersize=11,
                    markeredgewidth=2)  # fmt: skip
            ends[i] = max(high, sizes[i])
        if fmt:
            ax.annotate(format(sizes[i], fmt), (ends[i], i), (5, 0), textcoords="offset points",
                        va="center", fontsize=13)  # fmt: skip
    _levels(ax, levels, across=False)
    if fmt:
        ax.margins(x=0.12)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.invert_yaxis()
    ax.set_xlabel(xlabel or ylabel)
    return ax


def histograms(
    groups: Mapping[str, Any],
    *,
    bins: int = 40,
    xlabel: str = "",
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """The distributions of several groups of numbers, one row each, on a common axis.

    Each row shows densities scaled to its own height, so that shapes can be compared; `log` scales
    by the logarithm of the counts.
    """
    flat = {name: array(v).astype(float).ravel() for name, v in groups.items()}
    low, high = min(v.min() for v in flat.values()), max(v.max() for v in flat.values())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    ax = axes(ax, figsize(1, 0.14 + 0.11 * len(flat)))
    for row, (i, v) in enumerate(zip(range(len(flat)), flat.values())):
        counts = np.histogram(v, edges)[0].astype(float)
        counts = np.log1p(counts) if log else counts
        height = 0.85 * counts / max(counts.max(), 1.0)
        base = len(flat) - 1 - row
        ax.stairs(base + height, edges, baseline=base, fill=True, color=PALETTE[i % len(PALETTE)])
        ax.axhline(base, color=FAINT, linewidth=1)
    ax.set_yticks([len(flat) - 1 - i for i in range(len(flat))], list(flat), va="bottom")
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_xlabel(xlabel)
    return ax
