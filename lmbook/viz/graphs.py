"""Draw the computation graph that autograd recorded, or any engine's."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch
from matplotlib.path import Path

from lmbook.viz.canvas import array, axes, bare
from lmbook.viz.colours import BLUE, GREEN, INK, ink_on
from lmbook.viz.layered import layout
from lmbook.viz.styling import WIDTH

WIDE, TALL = 1.02, 0.52  # a box, in inches
MOST = 80


def _walk(root: Any, parents: Callable[[Any], list[Any]]) -> tuple[list[Any], dict[int, list[int]]]:
    """All things reachable from `root`, parents first, and each one's parents by id."""
    order: list[Any] = []
    links: dict[int, list[int]] = {}
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        thing, done = stack.pop()
        if done:
            order.append(thing)
        elif id(thing) not in links:
            above = list(parents(thing))
            links[id(thing)] = [id(p) for p in above]
            stack.append((thing, True))
            stack.extend((p, False) for p in reversed(above))
    return order, links


def _edges(thing: Any) -> list[Any]:
    """Parents in the engine's graph: a node's edges; a leaf has none."""
    return [e for e in getattr(thing, "edges", ()) if e is not None]


def _value(x: Any) -> str:
    v = array(x)
    if v.size == 1:
        return f"{float(v.ravel()[0]):.4g}"
    return "\u00d7".join(map(str, v.shape))


def graph(
    root: Any,
    *,
    names: Mapping[str, Any] | None = None,
    values: bool = False,
    parents: Callable[[Any], Any] | None = None,
    label: Callable[[Any], str] | None = None,
    down: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The graph behind `root`: leaves in green, operations in blue, each with its shape.

    `root` is a tensor that autograd computed. `names` maps labels to tensors in the graph;
    `values` writes the number of a scalar in place of its shape (known for leaves, named tensors
    and the root). For an engine of your own give `parents(thing)`, the inputs of a result, and
    `label(thing)`, what to write (several lines allowed). Flows to the right, or downwards when
    that would not fit (`down` decides).
    """
    own = parents is not None
    if not own and getattr(root, "_node", None) is None:
        raise ValueError(
            "graph: nothing was recorded for this tensor; compute it from a tensor with "
            "requires_grad=True, outside no_grad()"
        )
    nodes, links = _walk(root if own else root._node, parents or _edges)
    if len(nodes) > MOST:
        raise ValueError(f"graph: {len(nodes)} nodes are too many to read; draw a smaller part")
    known = {id(t if own else t._node or t): (n, t) for n, t in (names or {}).items()}
    known.setdefault(id(nodes[-1]), ("", root))

    def text(thing: Any) -> str:
        name, tensor = known.get(id(thing), ("", None))
        if own:
            written = label(thing) if label else str(thing)
            return f"{name} = {written}" if name and name != written else written
        leaf = not hasattr(thing, "edges")
        head = name or "leaf" if leaf else f"{name} = {thing.name}" if name else thing.name
        shape = "\u00d7".join(map(str, thing.shape)) or "scalar"
        number = thing if leaf else tensor
        scalar = number is not None and int(np.prod(thing.shape)) == 1
        return f"{head}\n{_value(number) if values and scalar else shape}"

    labels = {id(n): text(n) for n in nodes}
    return _draw(labels, links, down, ax)


def _draw(
    labels: dict[int, str], links: dict[int, list[int]], down: bool | None, ax: Axes | None
) -> Axes:
    at, ways = layout(list(labels), links)
    deep = max(p[0] for p in at.values())
    across = np.array([p[1] for way in ways.values() for p in way] or [0.0])
    wide = max(WIDE, 0.115 * max(len(s) for t in labels.values() for s in t.split("\n")) + 0.2)
    if down is None:
        down = (deep + 1) * (wide + 0.35) > WIDTH and np.ptp(across) < deep
    step = np.array([wide + 0.25, TALL + 0.34]) if down else np.array([wide + 0.45, TALL + 0.22])

    def spot(p: tuple[float, float]) -> np.ndarray:
        layer, place = p[0], p[1] - across.min()
        return np.array([place, -layer] if down else [layer, -place]) * step

    centres = np.array([spot(p) for p in at.values()])
    bends = np.array([spot(p) for way in ways.values() for p in way] or centres)
    margin = np.array([wide / 2 + 0.05, TALL / 2 + 0.05])
    low = np.minimum(centres.min(0) - margin, bends.min(0) - 0.1)
    high = np.maximum(centres.max(0) + margin, bends.max(0) + 0.1)
    size = high - low
    scale = min(1.0, WIDTH / size[0])
    ax = bare(axes(ax, tuple(size * scale)))
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")

    out, into = (np.array([0, -TALL / 2]), np.array([0, TALL / 2])) if down else (
        np.array([wide / 2, 0]), np.array([-wide / 2, 0]))  # fmt: skip
    for (parent, child), way in ways.items():
        points = [spot(p) for p in way]
        start, stop = points[0] + out, points[-1] + into
        twice = links[child].count(parent)
        for k in range(twice):  # an input used twice has two arrows
            shift = (k - (twice - 1) / 2) * 0.2 * (into[::-1] / np.abs(into).max())
            _arrow(ax, [start + shift, *points[1:-1], stop + shift], down, scale)
    for key, centre in zip(at, centres):
        fill = BLUE if links[key] else GREEN
        ax.add_patch(FancyBboxPatch(centre - [wide / 2, TALL / 2], wide, TALL, facecolor=fill,
                                    boxstyle="round,pad=0,rounding_size=0.1", linewidth=0))  # fmt: skip
        ax.text(centre[0], centre[1], labels[key], ha="center", va="center", linespacing=1.1,
                color=ink_on(fill), fontsize=12.5 * scale)  # fmt: skip
    return ax


def _arrow(ax: Axes, points: list[np.ndarray], down: bool, scale: float) -> None:
    """A smooth line through `points` that leaves and arrives along the flow."""
    along = np.array([0, 1]) if down else np.array([1, 0])
    path, codes = [points[0]], [Path.MOVETO]
    for a, b in pairwise(points):
        half = (b - a) * along / 2
        path += [a + half, b - half, b]
        codes += [Path.CURVE4] * 3
    ax.add_patch(PathPatch(Path(path, codes), facecolor="none", edgecolor=INK, linewidth=1.4))
    tip = points[-1]
    back = tip - along * np.sign((points[-1] - points[-2]) @ along) * 0.02
    ax.add_patch(FancyArrowPatch(tuple(back), tuple(tip), arrowstyle="-|>", color=INK, shrinkA=0, shrinkB=0,
                                 mutation_scale=13 * scale, linewidth=0))  # fmt: skip
