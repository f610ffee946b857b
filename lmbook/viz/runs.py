"""What a run recorded, and what its probabilities are worth."""

from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from lmbook.viz.canvas import axes
from lmbook.viz.charts import DASHES, curves
from lmbook.viz.colours import BLUE, FAINT, INK, PALETTE
from lmbook.viz.styling import figsize

RATES = ("lr", "grad_norm", "loss_scale")
"""Columns that a trainer records and that have a scale of their own."""


class Recorded(Protocol):
    """What `history` needs: the columns of `lmbook.training.History`."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        ...

    def steps(self, name: str) -> list[int]:
        """Steps at which a column was recorded."""
        ...

    def __getitem__(self, name: str) -> list[float]: ...


def smooth(values: Any, weight: float = 0.9) -> np.ndarray:
    """Exponential running mean, corrected for its start."""
    mean, out = 0.0, []
    for i, v in enumerate(np.asarray(values, float), 1):
        mean = weight * mean + (1 - weight) * v
        out.append(mean / (1 - weight**i))
    return np.array(out)


def history(
    recorded: Recorded, *, losses: list[str] | None = None, below: list[str] | None = None
) -> np.ndarray:
    """A run at a glance: losses on top, and a panel for each of the other columns `below`.

    The loss of every step is drawn faintly with its running mean. By default `losses` are "loss" and
    whatever evaluations gave, `below` are the rate, the gradient's norm and the loss scale where
    they were recorded. Returns the axes.
    """
    if not recorded.names:
        raise ValueError("history: nothing was recorded; call Trainer.fit first")
    kept = [n for n in recorded.names if n not in (*RATES, "skipped")]
    tops = kept if losses is None else losses
    rates = [n for n in RATES if n in recorded.names] if below is None else below
    rows = 1 + len(rates)
    figure, panels = plt.subplots(
        rows, 1, figsize=figsize(1, 0.42 + 0.17 * len(rates)), sharex=True, squeeze=False,
        height_ratios=[2.4] + [1] * len(rates), layout="constrained",
    )  # fmt: skip
    top, *others = panels[:, 0]
    for i, name in enumerate(sorted(tops, key=lambda n: n != "loss")):
        steps, values = recorded.steps(name), np.asarray(recorded[name])
        colour, dashes = PALETTE[i % len(PALETTE)], DASHES[i % len(DASHES)]
        many = name == "loss" and len(values) > 30
        if many:
            top.plot(steps, values, color=colour, alpha=0.28, linewidth=0.8,
                     label=f"{name} (each step)")  # fmt: skip
            values = smooth(values)
        few = len(values) <= 30
        top.plot(steps, values, color=colour, linestyle=dashes, marker="o" if few else None,
                 markersize=4, label=f"{name} (running mean)" if many else name)  # fmt: skip
    top.set_ylabel("loss" if "loss" in tops else "")
    top.legend()
    for ax, name in zip(others, rates):
        ax.plot(recorded.steps(name), recorded[name], color=INK, linewidth=1.2)
        ax.set_ylabel(
            {"lr": "rate", "grad_norm": "gradient\nnorm", "loss_scale": "scale"}.get(name, name)
        )
        if name == "loss_scale":
            ax.set_yscale("log", base=2)
    panels[-1, 0].set_xlabel("step")
    figure.align_ylabels(list(panels[:, 0]))
    return panels[:, 0]


def reliability(diagram: Any, *, name: str = "model", ax: Axes | None = None) -> Axes:
    """Frequency against forecast, of a `lmbook.training.metrics.reliability`, with its intervals.

    On the thin diagonal the probabilities mean what they say; below it they promise too much.
    """
    ax = axes(ax, figsize(1, 0.6))
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5, zorder=1)
    ax.vlines(diagram.prob_pred, diagram.low, diagram.high, color=BLUE, linewidth=1.6, zorder=2)
    curves({name: diagram.prob_true}, x=diagram.prob_pred, xlabel="forecast probability",
           ylabel="how often it was so", ax=ax)  # fmt: skip
    ax.plot(diagram.prob_pred, diagram.prob_true, "o", color=BLUE, markersize=5)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return ax
