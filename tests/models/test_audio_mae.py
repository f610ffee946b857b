"""The masked autoencoder: patches there and back, nothing hidden is seen, and what is learnt."""

import numpy as np
import pytest

import lmbook
from lmbook.autograd import Tensor, gradcheck
from lmbook.backend import ShapeError
from lmbook.models.audio_mae import AudioMAE, AudioMAEConfig
from lmbook.optim import AdamW
from tests.parity import as_function

SMALL = AudioMAEConfig(8, 4, 2, 0.75, 8, 1, 2, 8, 1, 2)


def test_patches_hold_every_point_once():
    x = np.arange(2 * 8 * 4.0).reshape(2, 8, 4)
    patches = AudioMAE(SMALL).patches(Tensor(x)).data
    assert patches.shape == (2, 8, 4) and SMALL.grid == (4, 2) and SMALL.kept == 2
    np.testing.assert_array_equal(patches[0, 0], x[0, :2, :2].reshape(-1))
    np.testing.assert_array_equal(patches[1, 3], x[1, 2:4, 2:].reshape(-1))


def test_what_is_hidden_is_not_seen(rng):
    """Changing the hidden patches leaves the drawing as it was; changing one that is kept does not."""
    model = AudioMAE(SMALL).double()
    x = rng.standard_normal((3, 8, 4))
    first = model(Tensor(x), np.random.default_rng(5))
    assert first.mask.sum(axis=1).tolist() == [6, 6, 6]
    hidden = np.repeat(np.repeat(first.mask.reshape(3, 4, 2), 2, axis=1), 2, axis=2)
    other = model(Tensor(np.where(hidden, 7.0, x)), np.random.default_rng(5))
    np.testing.assert_array_equal(first.patches.data, other.patches.data)
    changed = model(Tensor(np.where(hidden, x, 7.0)), np.random.default_rng(5))
    assert np.abs(changed.patches.data - first.patches.data).max() > 1e-3


def test_the_loss_is_that_of_hidden_patches(rng):
    model, x = AudioMAE(SMALL).double(), rng.standard_normal((3, 8, 4))
    r = model(Tensor(x), np.random.default_rng(5))
    goal = model.patches(Tensor(x)).data
    goal = (goal - goal.mean(-1, keepdims=True)) / (goal.std(-1, keepdims=True) + 1e-3)
    want = ((r.patches.data - goal) ** 2)[r.mask].mean()
    assert r.loss.item() == pytest.approx(want)


def test_gradients(rng):
    model, x = AudioMAE(SMALL).double(), Tensor(rng.standard_normal((2, 8, 4)))
    _, names = as_function(model)
    leaves = [Tensor(p.data.copy(), True) for p in model.parameters()]

    def loss(*ps):
        function, _ = as_function(model)
        return function(x, np.random.default_rng(3), *ps).loss

    assert len(names) == len(leaves) and gradcheck(loss, leaves)


def test_it_draws_what_must_be_there(rng):
    """Held tones: what is hidden follows from what is left, and is drawn for tones never met."""

    def held(n):
        pitch, phase = rng.uniform(0.2, 1.5, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
        tone = np.cos(pitch * np.arange(16) + phase).astype(np.float32)
        return lmbook.tensor(np.repeat(tone[:, None], 24, axis=1))

    test = held(64)
    model = AudioMAE(AudioMAEConfig(24, 16, 4, 0.75, 32, 2, 4, 32, 2, 4, norm_targets=False))
    optimizer = AdamW(model.parameters(), lr=3e-3)
    for _ in range(130):
        optimizer.zero_grad()
        model(held(24)).loss.backward()
        optimizer.step()
    nothing = float(test.data.var())  # of a drawing that is flat
    assert model(test, np.random.default_rng(0)).loss.item() < 0.4 * nothing


def test_wrong_sizes_are_named():
    with pytest.raises(ShapeError, match="9 x 4 does not divide into patches of 2"):
        AudioMAE(AudioMAEConfig(9, 4, 2))
    with pytest.raises(ShapeError, match=r"must be \(batch, 8, 4\)"):
        AudioMAE(SMALL)(Tensor(np.zeros((1, 4, 8))))
