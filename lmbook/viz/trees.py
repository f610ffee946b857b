"""A decision tree, drawn: questions in boxes, answers at the leaves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lmbook.viz.canvas import axes, bare
from lmbook.viz.colours import INK, PALETTE, ink_on
from lmbook.viz.styling import WIDTH

MOST = 12


def tree(
    grown: Any,
    *,
    features: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    fmt: str = ".3g",
    ax: Axes | None = None,
) -> Axes:
    """Draw a tree of at most 12 leaves: yes to the left, no to the right.

    `grown` is `tree_` of one of lmbook's trees or of scikit-learn's. `features` names the columns,
    `classes` the classes; without them a leaf shows its mean, written with `fmt`. A leaf says what it
    predicts, and for how many of its rows that is right, in the colour of its class.
    """
    left, right, value = grown.children_left, grown.children_right, np.asarray(grown.value)
    value = value.reshape(len(left), -1)
    leaves = int((left < 0).sum())
    if leaves > MOST:
        raise ValueError(
            f"tree: {leaves} leaves are too many to read; draw one with a smaller max_depth"
        )
    place, depth, below = (np.zeros(len(left)), *np.zeros((2, len(left)), int))
    taken = 0

    def settle(node: int, level: int) -> None:
        nonlocal taken
        depth[node] = level
        if left[node] < 0:
            place[node], below[node], taken = taken, 1, taken + 1
            return
        for child in (left[node], right[node]):
            settle(child, level + 1)
        place[node] = (place[left[node]] + place[right[node]]) / 2
        below[node] = below[left[node]] + below[right[node]]

    settle(0, 0)
    rows = int(depth.max()) + 1
    ax = bare(axes(ax, (WIDTH, max(1.1 * rows, 1.2))))
    ax.set(xlim=(-0.55, max(leaves - 0.45, 0.55)), ylim=(-rows + 0.55, 0.45))
    for node in range(len(left)):
        x, y = place[node], -depth[node]
        for child, word, side in ((left[node], "yes", "right"), (right[node], "no", "left")):
            if left[node] >= 0:
                ax.plot([x, place[child]], [y, y - 1], color=INK, linewidth=1.2, zorder=1)
                middle = (x + place[child]) / 2
                ax.text(middle, y - 0.5, f" {word} ", ha=side, va="center", fontsize=11)
        text, colour = _box(grown, value[node], node, features, classes, fmt)
        size = 12 if leaves < 7 else 9.5
        wide = 0.9 if below[node] == 1 else min(below[node] - 0.1, 1.7)
        ax.add_patch(
            FancyBboxPatch(
                (x - wide / 2, y - 0.26),
                wide,
                0.52,
                facecolor=colour,
                linewidth=0,
                zorder=2,
                boxstyle="round,pad=0,rounding_size=0.08",
            )
        )
        ax.text(x, y, text, ha="center", va="center", fontsize=size, color=ink_on(colour), zorder=3)
    return ax


def _box(
    grown: Any, value: np.ndarray, node: int, features: Sequence[str] | None,
    classes: Sequence[str] | None, fmt: str,
) -> tuple[str, str]:  # fmt: skip
    """What a node says, and its colour."""
    if grown.children_left[node] >= 0:
        f = int(grown.feature[node])
        name = features[f] if features is not None else f"x[{f}]"
        return f"{name}\n\u2264 {grown.threshold[node]:{fmt}}?", INK
    n = int(grown.n_node_samples[node])
    if classes is None:
        return f"{value[0]:{fmt}}\n{n} rows", PALETTE[2]
    best = int(value.argmax())
    right = value[best] / value.sum()
    return f"{classes[best]}\n{round(n * right)} of {n}", PALETTE[best % len(PALETTE)]
