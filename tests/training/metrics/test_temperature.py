"""Temperature scaling finds the least log loss."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.backend import ShapeError
from lmbook.training import metrics as m


def test_fit_temperature_finds_the_scale_of_honest_scores(rng: np.random.Generator) -> None:
    z = rng.normal(size=(20_000, 4)) * 1.5
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) > rng.random((len(z), 1))).argmax(axis=1)
    for scale in (0.5, 1.0, 3.0):
        assert abs(m.fit_temperature(y, scale * z) / scale - 1) < 0.03
    found = m.fit_temperature(y[:200], 3 * z[:200])

    def loss(t: float) -> float:
        q = np.exp(3 * z[:200] / t)
        return m.log_loss(y[:200], q / q.sum(axis=1, keepdims=True))

    assert loss(found) <= min(loss(found * 1.01), loss(found / 1.01))
    assert m.fit_temperature([0, 1], [[9.0, 0.0], [0.0, 9.0]]) < 0.02
    with pytest.raises(ShapeError, match=r"logits \(3,\) for labels \(3,\)"):
        m.fit_temperature([0, 1, 0], [0.1, 0.2, 0.3])
