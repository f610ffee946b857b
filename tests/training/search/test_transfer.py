"""muP's table, and what it is for: changes of the outputs that do not grow with the width."""

import numpy as np
import pytest

import lmbook
from lmbook import functional as F
from lmbook import nn, optim
from lmbook.backend import host
from lmbook.training.search import mup_groups


def mlp(width, seed=0):
    lmbook.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(20, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5)
    )


def test_rates_are_those_of_the_table():
    wide, base = mlp(256), mlp(32)
    adam = [g["lr"] for g in mup_groups(wide, base, 0.8, rescale=False)]
    assert adam == [0.8, 0.8, 0.1, 0.8, 0.1, 0.8]
    sgd = [g["lr"] for g in mup_groups(wide, base, 0.8, optimizer="sgd", rescale=False)]
    assert sgd == pytest.approx([6.4, 6.4, 0.8, 6.4, 0.1, 0.8])


def test_output_weights_alone_are_rescaled():
    wide, plain, base = mlp(256), mlp(256), mlp(16)
    mup_groups(wide, base, 1.0)
    for (name, p), q in zip(wide.named_parameters(), plain.parameters()):
        factor = 4.0 if name == "4.weight" else 1.0
        assert np.allclose(host(p.data) * factor, host(q.data)), name


def test_at_the_base_width_nothing_changes():
    model = mlp(64)
    groups = mup_groups(model, mlp(64, seed=9), 0.3)
    assert {g["lr"] for g in groups} == {0.3}
    assert all(
        np.array_equal(host(p.data), host(q.data))
        for p, q in zip(model.parameters(), mlp(64).parameters())
    )


def change_of_the_output(width, mup, steps=4, lr=0.02):
    """How far a few steps of Adam move the outputs, root mean square."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 20)).astype(np.float32), rng.integers(0, 5, 64)
    model, x = mlp(width), lmbook.tensor(x)
    groups = mup_groups(model, mlp(32), lr) if mup else model.parameters()
    optimizer = optim.Adam(groups, lr=lr)
    before = host(model(x).data).copy()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), lmbook.tensor(y)).backward()
        optimizer.step()
    return float(np.sqrt(((host(model(x).data) - before) ** 2).mean()))


def test_coordinate_check():
    """Yang et al. 2022, section 8: under the standard rules the change grows with width, under muP not."""
    widths = [32, 128, 512, 1024]
    slope = {
        mup: np.polyfit(np.log(widths), np.log([change_of_the_output(w, mup) for w in widths]), 1)[
            0
        ]
        for mup in (False, True)
    }
    assert slope[False] > 0.35 and abs(slope[True]) < 0.2


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda: mup_groups(mlp(64), nn.Linear(20, 5), 1.0), "differ in more than width"),
        (
            lambda: mup_groups(mlp(64), mlp(32), 1.0, optimizer="lion"),
            "'adam' or 'sgd', not 'lion'",
        ),
        (
            lambda: mup_groups(nn.Conv2d(1, 4, 3), nn.Conv2d(1, 2, 3), 1.0),
            r"weight has shape \(4, 1, 3, 3\).*want vectors and matrices",
        ),
    ],
)
def test_bad_input(run, says):
    with pytest.raises(ValueError, match=says):
        run()
