"""Layer diagrams: neurons as circles, weights as lines."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from lmbook.viz.canvas import axes, bare
from lmbook.viz.colours import BLUE, GREEN, INK, ORANGE
from lmbook.viz.styling import figsize

MOST = 8


def _heights(size: int) -> tuple[list[float], bool]:
    """Vertical places of a layer's neurons; a long layer shows its ends and a gap."""
    shown = min(size, MOST)
    places = [(shown - 1) / 2 - i for i in range(shown)]
    cut = size > MOST
    if cut:
        del places[shown // 2]
    return places, cut


def network(
    sizes: Sequence[int], labels: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Axes:
    """A fully connected network with `sizes[i]` neurons in layer i, drawn from left to right.

    Layers of more than eight neurons are abbreviated by dots; every size is written below.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"network: needs at least two layers of at least one neuron, got {sizes}")
    if labels is not None and len(labels) != len(sizes):
        raise ValueError(f"network: {len(labels)} labels for {len(sizes)} layers")
    columns = [_heights(n) for n in sizes]
    tallest = max(c[0] - c[-1] for c, _ in columns) + 1
    ax = bare(axes(ax, figsize(1, min(0.7, 0.12 + 0.065 * tallest))))
    across = 2.2
    for i, ((left, _), (right, _)) in enumerate(pairwise(columns)):
        lines = [[(i * across, a), ((i + 1) * across, b)] for a in left for b in right]
        ax.add_collection(LineCollection(lines, colors=INK, linewidths=0.9, alpha=0.55, zorder=1))
    for i, (places, cut) in enumerate(columns):
        colour = GREEN if i == 0 else ORANGE if i == len(sizes) - 1 else BLUE
        ax.scatter([i * across] * len(places), places, s=300, color=colour, zorder=2)
        if cut:
            gap = (places[len(places) // 2] + places[len(places) // 2 + 1]) / 2
            ax.text(i * across, gap, "\u22ee", ha="center", va="center", fontsize=22)
        name = f"{labels[i]}\n{sizes[i]}" if labels else str(sizes[i])
        ax.text(i * across, -tallest / 2 - 0.35, name, ha="center", va="top")
    lines_below = max(s.count("\n") for s in labels or [""]) + (2 if labels else 1)
    ax.set(xlim=(-0.8, (len(sizes) - 1) * across + 0.8),
           ylim=(-tallest / 2 - 0.5 - 0.75 * lines_below, tallest / 2))  # fmt: skip
    return ax
