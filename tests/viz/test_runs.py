"""Pictures of runs: every column is drawn, and the words say what."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lmbook import viz
from lmbook.training import History, metrics


def recorded(steps: int = 100) -> History:
    h = History()
    for step in range(1, steps + 1):
        h.add(step, loss=3 / step, grad_norm=1.0, lr=step / 100, loss_scale=2.0**10, skipped=0.0)
        if step % 25 == 0:
            h.add(step, validation=3.5 / step)
    return h


def test_a_history_has_a_panel_for_the_losses_and_one_for_each_rate():
    h = recorded()
    panels = viz.history(h)
    assert [ax.get_ylabel() for ax in panels] == ["loss", "rate", "gradient\nnorm", "scale"]
    top = panels[0].lines
    assert [len(line.get_xdata()) for line in top] == [100, 100, 4]
    assert np.allclose(top[0].get_ydata(), h["loss"])  # each step, faint, then the running mean
    assert top[0].get_label() == "loss (each step)"
    assert top[1].get_label() == "loss (running mean)" and top[2].get_label() == "validation"
    assert panels[-1].get_xlabel() == "step"
    plt.gcf().canvas.draw()


def test_the_running_mean_starts_at_the_first_value():
    smooth = viz.runs.smooth([5.0, 5.0, 5.0, 1.0])
    assert np.allclose(smooth[:3], 5) and 1 < smooth[3] < 5


def test_columns_may_be_chosen():
    panels = viz.history(recorded(10), losses=["validation", "loss"][1:], below=[])
    assert len(panels) == 1 and len(panels[0].lines) == 1
    with pytest.raises(ValueError, match="nothing was recorded"):
        viz.history(History())
    with pytest.raises(KeyError, match="history has no 'accuracy'"):
        viz.history(recorded(10), losses=["accuracy"])


def test_a_reliability_diagram_shows_bins_and_intervals():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=400)
    diagram = metrics.reliability((rng.random(400) < p).astype(int), p)
    ax = viz.reliability(diagram)
    assert np.allclose(ax.lines[1].get_ydata(), diagram.prob_true)
    assert len(ax.collections[0].get_segments()) == len(diagram.counts) == 10
    assert ax.get_xlabel() == "forecast probability"
