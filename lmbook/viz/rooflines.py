"""Rooflines: attainable speed against FLOP a byte, both axes logarithmic."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from lmbook.accelerators import Roofline, Work, attainable
from lmbook.viz.canvas import axes
from lmbook.viz.charts import DASHES
from lmbook.viz.colours import INK, PALETTE
from lmbook.viz.styling import figsize

MARKS = "osD^vP"


def roofline(
    machines: Sequence[Roofline],
    works: Sequence[Work] = (),
    *,
    reached: Mapping[str, float] | None = None,
    low: float = 0.05,
    high: float = 3000.0,
    ax: Axes | None = None,
) -> Axes:
    """A roof for each machine; each work as a mark on the roof of the first one, which it cannot pass.

    `reached` maps a work's name to FLOP/s that were reached, drawn as a larger open mark, on the roof or
    below, and named so in the legend. Intensities run from `low` to `high` FLOP a byte.
    """
    if not machines:
        raise ValueError("roofline: no machines; give at least one")
    ax = axes(ax, figsize(1, 0.75))
    x = np.geomspace(low, high, 400)
    for i, m in enumerate(machines):
        y = [attainable(v, m.peak, m.bandwidth) for v in x]
        ax.plot(x, y, color=PALETTE[i % 6], linestyle=DASHES[i % len(DASHES)], label=m.name)
    first = machines[0]
    for k, work in enumerate(works):
        roof = attainable(work.intensity, first.peak, first.bandwidth)
        mark = MARKS[k % len(MARKS)]
        ax.plot(work.intensity, roof, mark, color=INK, markersize=8, label=work.name, zorder=3)
        if reached and work.name in reached:
            ax.plot(work.intensity, reached[work.name], mark, color=INK, markersize=13,
                    markerfacecolor="none", zorder=3)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="FLOP a byte", ylabel="FLOP/s, at most")
    ax.set_xlim(low, high)
    ax.minorticks_off()
    if reached:
        ax.plot(
            [], [], "o", color=INK, markersize=12, markerfacecolor="none", label="open: reached"
        )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=12)
    return ax
