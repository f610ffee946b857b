"""Matrices as colours: heat maps, attention, pictures."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from lmbook.viz.canvas import array, axes, bare
from lmbook.viz.colours import DIVERGING, INK, SEQUENTIAL, ink_on
from lmbook.viz.styling import WIDTH, figsize


def _frame(ax: Axes) -> None:
    ax.grid(False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set(visible=True, color=INK, linewidth=0.8)


def _name(ax: Axes, which: str, names: Sequence[Any] | None, n: int, what: str) -> None:
    """Write token names along an axis; those under the map stand upright where they would touch."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    if names is None:
        return
    labels = [str(s).replace("\n", "\\n").replace(" ", "\u2423") for s in names]
    if len(labels) != n:
        raise ValueError(
            f"{what}: {len(labels)} names for {n} {'columns' if which == 'x' else 'rows'}"
        )
    widest = max((sum(0.19 if ord(c) > 0x2E7F else 0.11 for c in s) for s in labels), default=0)
    room = ax.get_window_extent().width / ax.figure.dpi / n - 0.08
    axis.set_ticks(range(n), labels, rotation=90 if which == "x" and widest > room else 0)


def heatmap(
    matrix: Any,
    rows: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    *,
    values: str | None = None,
    cmap: Any = None,
    centre: float | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    label: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
    ax: Axes | None = None,
) -> Axes:
    """A matrix as coloured cells, row 0 on top.

    `values` (such as ".2f") writes each entry; `centre` makes the map diverge about that value;
    `label` adds a colour bar of that name. NaN is drawn faint.
    """
    m = np.ma.masked_invalid(array(matrix).astype(float))
    if m.ndim != 2:
        raise ValueError(f"heatmap: needs a matrix, got shape {m.shape}")
    if ax is None:
        width = min(WIDTH, max(3.5, 0.5 * m.shape[1] + 1.5))
        ax = axes(None, (width, min(9.0, max(1.8, width * 0.8 * m.shape[0] / m.shape[1] + 0.7))))
    if centre is not None:
        reach = float(abs(m - centre).max()) or 1.0
        vmin, vmax = centre - reach, centre + reach
    shown = ax.imshow(m, cmap=cmap or (SEQUENTIAL if centre is None else DIVERGING),
                      vmin=vmin, vmax=vmax, aspect="auto")  # fmt: skip
    if values:
        for (i, j), v in np.ma.ndenumerate(m):
            ink = ink_on(shown.cmap(shown.norm(v))[:3])
            ax.text(j, i, format(v, values), ha="center", va="center", color=ink, fontsize=12)
    _name(ax, "y", rows, m.shape[0], "heatmap")
    _name(ax, "x", columns, m.shape[1], "heatmap")
    _frame(ax)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if label is not None:
        bar = ax.figure.colorbar(shown, ax=ax, label=label, pad=0.02)
        bar.outline.set(edgecolor=INK, linewidth=0.8)
    return ax


def attention(
    weights: Any,
    queries: Sequence[Any] | None = None,
    keys: Sequence[Any] | None = None,
    *,
    heads: Sequence[str] | None = None,
    values: str | None = None,
    ax: Axes | None = None,
) -> Any:
    """Attention weights: queries down, keys across, dark 0 to pale 1.

    `weights` is (queries, keys) or (heads, queries, keys); each row sums to one. One panel per
    head, named by `heads`. Returns the axes, an array of them for several heads.
    """
    w = array(weights)
    if w.ndim == 3 and len(w) == 1:
        w = w[0]
    if w.ndim not in (2, 3):
        raise ValueError(
            f"attention: needs (queries, keys) or (heads, queries, keys), got {w.shape}"
        )
    if w.ndim == 2:
        return heatmap(w, queries, keys, values=values, vmin=0, vmax=1, ax=ax,
                       xlabel="key", ylabel="query")  # fmt: skip
    across = min(len(w), 4 if keys is None else 2)
    down = -(-len(w) // across)
    figure, grid = plt.subplots(down, across, squeeze=False, sharex=True, sharey=True,
                                figsize=figsize(1, min(1.3, 0.1 + down * 0.95 / across)))  # fmt: skip
    for i, panel in enumerate(grid.flat):
        if i >= len(w):
            panel.remove()
            continue
        heatmap(w[i], queries, keys, values=values, vmin=0, vmax=1, ax=panel)
        panel.set_title(heads[i] if heads else f"head {i}")
    figure.supxlabel("key", color=INK, fontsize=14)
    figure.supylabel("query", color=INK, fontsize=14)
    return grid


def images(
    stack: Any,
    labels: Sequence[Any] | None = None,
    *,
    columns: int = 8,
    cmap: Any = "gray",
    vmin: float | None = None,
    vmax: float | None = None,
) -> np.ndarray:
    """A grid of pictures: (N, H, W), (N, 1, H, W), (N, 3, H, W) or (N, H, W, 3), with labels."""
    x = array(stack)
    if x.ndim == 2:
        x = x[None]
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[-1] not in (1, 3):
        x = np.moveaxis(x, 1, -1)
    x = x[..., 0] if x.ndim == 4 and x.shape[-1] == 1 else x
    if x.ndim not in (3, 4):
        raise ValueError(f"images: needs (N, H, W), (N, C, H, W) or (N, H, W, 3), got {x.shape}")
    if labels is not None and len(labels) != len(x):
        raise ValueError(f"images: {len(labels)} labels for {len(x)} pictures")
    columns = min(columns, len(x))
    down = -(-len(x) // columns)
    cell = min(WIDTH / columns, 1.8)
    tall = cell * x.shape[1] / x.shape[2] + (0.32 if labels is not None else 0.0)
    _, grid = plt.subplots(down, columns, squeeze=False, figsize=(cell * columns, tall * down))
    for i, panel in enumerate(grid.flat):
        if i >= len(x):
            panel.remove()
            continue
        panel.imshow(x[i], cmap=cmap, vmin=vmin, vmax=vmax)
        bare(panel)
        if labels is not None:
            panel.set_title(str(labels[i]), pad=3)
    return grid
