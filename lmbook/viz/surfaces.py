"""Functions of two variables: loss surfaces and decision boundaries."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from lmbook.viz.canvas import array, axes
from lmbook.viz.colours import INK, PALETTE, SEQUENTIAL
from lmbook.viz.styling import figsize

MARKERS = "osD^vP"


def surface(
    f: Callable[[np.ndarray], Any],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    *,
    kind: str = "contour",
    levels: Any = 12,
    resolution: int = 200,
    points: Any = None,
    classes: Any = None,
    path: Any = None,
    xlabel: str = "",
    ylabel: str = "",
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw `f` over a rectangle, with points or a descent's path on top.

    `f` maps points (M, 2) to M numbers. `kind="contour"` draws filled level lines of a real value;
    `kind="regions"` colours each class that `f` returns (0, 1, ...). `points` is (N, 2), coloured
    by `classes`; `path` is (steps, 2). `label` adds a colour bar of that name.
    """
    if kind not in ("contour", "regions"):
        raise ValueError(f"surface: kind is 'contour' or 'regions', not {kind!r}")
    ax = axes(ax, figsize(0.86, 0.62))
    x, y = np.meshgrid(np.linspace(*xlim, resolution), np.linspace(*ylim, resolution))
    z = array(f(np.stack([x.ravel(), y.ravel()], axis=1))).reshape(x.shape)
    if kind == "regions":
        n = int(max(z.max(), 0 if classes is None else array(classes).max())) + 1
        ax.imshow(z, origin="lower", extent=(*xlim, *ylim), aspect="auto", alpha=0.3, vmin=-0.5,
                  vmax=n - 0.5, cmap=ListedColormap(PALETTE[:n]))  # fmt: skip
    else:
        filled = ax.contourf(x, y, z, levels=levels, cmap=SEQUENTIAL)
        ax.contour(x, y, z, levels=filled.levels, colors="white", linewidths=0.5, alpha=0.5)
        if label is not None:
            ax.figure.colorbar(filled, ax=ax, label=label, pad=0.02).outline.set_edgecolor(INK)
    if points is not None:
        p = array(points)
        group = np.zeros(len(p), int) if classes is None else array(classes).astype(int)
        for c in np.unique(group):
            mine = p[group == c]
            ax.scatter(mine[:, 0], mine[:, 1], s=34, color=PALETTE[c % len(PALETTE)], zorder=3,
                       marker=MARKERS[c % len(MARKERS)], edgecolor="white", linewidth=0.7)  # fmt: skip
    if path is not None:
        p = array(path)
        ax.plot(
            p[:, 0],
            p[:, 1],
            "-o",
            color=PALETTE[1],
            markersize=5,
            markeredgecolor="white",
            zorder=4,
        )
    ax.grid(False)
    ax.set(xlim=xlim, ylim=ylim, xlabel=xlabel, ylabel=ylabel)
    return ax
