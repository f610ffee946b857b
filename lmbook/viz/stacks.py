"""What fills a memory: one bar for each case, a piece for each kind of content."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from lmbook.viz.canvas import axes
from lmbook.viz.colours import INK, PALETTE
from lmbook.viz.styling import figsize

HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++", "oooo")
"""In step with the palette, so that colour is never the only difference."""


def stacks(
    rows: Mapping[str, Mapping[str, float]],
    *,
    limit: float | None = None,
    limit_name: str = "",
    fmt: str = ".1f",
    xlabel: str = "",
    ax: Axes | None = None,
) -> Axes:
    """One horizontal bar per entry of `rows`, the first on top, made of its parts in their order.

    Parts of one name have one colour in all rows. The sum stands at the end in the format `fmt`.
    `limit` draws a line across, such as the memory of an accelerator; a bar beyond it has its sum in bold.
    """
    if not rows:
        raise ValueError("stacks: no rows; give a mapping from each row's name to its parts")
    for row, parts in rows.items():
        if any(not size >= 0 for size in parts.values()):
            raise ValueError(f"stacks: row {row!r} has parts {dict(parts)}; sizes are 0 or more")
    names = list(dict.fromkeys(name for parts in rows.values() for name in parts))
    ax = axes(ax, figsize(1, 0.2 + 0.075 * len(rows)))
    ends = [0.0] * len(rows)
    for k, name in enumerate(names):
        sizes = [float(parts.get(name, 0.0)) for parts in rows.values()]
        ax.barh(range(len(rows)), sizes, left=ends, height=0.64, label=name, zorder=2,
                color=PALETTE[k % len(PALETTE)], hatch=HATCHES[k % len(HATCHES)],
                edgecolor=(1, 1, 1, 0.55), linewidth=0)  # fmt: skip
        ends = [e + s for e, s in zip(ends, sizes, strict=True)]
    for i, total in enumerate(ends):
        over = limit is not None and total > limit
        ax.annotate(format(total, fmt), (total, i), (5, 0), textcoords="offset points", va="center",
                    fontsize=13, fontweight="bold" if over else "normal", zorder=4)  # fmt: skip
    if limit is not None:
        ax.axvline(limit, color=INK, linewidth=1.4, linestyle=(0, (4, 2)), zorder=3)
        if limit_name:
            ax.annotate(limit_name, (limit, 0), (4, 4), xycoords=("data", "axes fraction"),
                        textcoords="offset points", va="bottom", fontsize=12)  # fmt: skip
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.13 * max([*ends, limit or 0.0]) or 1.0)
    ax.set_xlabel(xlabel)
    fit = 4 if sum(map(len, names)) < 48 else 3
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=min(fit, len(names)),
              handlelength=1.2, columnspacing=1.2)  # fmt: skip
    return ax
