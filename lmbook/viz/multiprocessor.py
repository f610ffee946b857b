"""How many blocks a multiprocessor holds, as a picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lmbook.gpu import Device, device
from lmbook.gpu import occupancy as count
from lmbook.viz.canvas import bare
from lmbook.viz.colours import BLUE, FAINT, GREEN, INK, ORANGE, VIOLET
from lmbook.viz.styling import WIDTH

ACROSS = 16


def occupancy(
    name: str | Device = "A100", threads: int = 256, registers: int = 32, shared: int = 0
) -> tuple[Axes, Axes]:
    """Warp slots of one multiprocessor, filled by blocks, and the blocks that each resource allows.

    `registers` a thread and `shared` bytes a block are what `Kernel.compile` reports. Colours tell
    neighbouring blocks apart; the scarcest resource is orange. A bar that would be far too long is cut, and
    says so.
    """
    d = device(name)
    found = count(d, threads, registers, shared)
    slots = d.limits.threads // 32
    each = -(-threads // 32)
    _, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 2.3), gridspec_kw={"width_ratios": [1.2, 1], "wspace": 0.08}
    )
    down = -(-slots // ACROSS)
    for k in range(slots):
        block = k // each
        colour = (BLUE, GREEN, VIOLET)[block % 3] if block < found.blocks else FAINT
        left.add_patch(
            Rectangle((k % ACROSS + 0.06, k // ACROSS + 0.06), 0.88, 0.88, color=colour, lw=0)
        )
    left.set(xlim=(0, ACROSS), ylim=(down, 0), aspect="equal")
    bare(left)
    left.set_title(f"{found.warps} of {slots} warps: {found.fraction:.0%}", fontsize=13)
    names = list(found.limits)
    cut = 8 * d.limits.blocks  # shared memory may allow tens of thousands
    across = min(max(found.limits.values()), cut)
    for row, resource in enumerate(names):
        n = found.limits[resource]
        scarce = resource == found.limited_by
        right.barh(row, min(n, cut), height=0.6, color=ORANGE if scarce else BLUE)
        label = str(n) if n <= cut else f"{n}, cut"
        right.text(min(n, cut) + 0.02 * across, row, label, va="center", color=INK, fontsize=12)
    right.set_yticks(np.arange(len(names)), names, fontsize=12)
    right.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, across * 1.2), xticks=[])
    right.set_title("blocks that fit, by", fontsize=13)
    right.grid(False)
    right.tick_params(length=0)
    right.spines["bottom"].set_visible(False)
    return left, right
