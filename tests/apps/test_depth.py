"""Deep networks with and without shortcuts."""

import numpy as np
import pytest

from lmbook.apps import depth
from lmbook.autograd import Tensor
from lmbook.backend import manual_seed


def test_a_block_with_a_shortcut_adds_what_it_is_given():
    manual_seed(0)
    plain, added = depth.Block(4, shortcut=False), depth.Block(4, shortcut=True)
    added.load_state_dict(plain.state_dict())
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 5)).astype(np.float32)
    plain.conv2.weight.data[:] = added.conv2.weight.data[:] = 0  # so that f(x) is 0
    assert np.allclose(added(Tensor(x)).data, np.maximum(x, 0), atol=1e-6)
    assert not plain(Tensor(x)).data.any()


@pytest.mark.parametrize("shortcut", [False, True])
def test_depth_counts_layers_with_weights(shortcut):
    model = depth.network(20, shortcut)
    assert sum(p.ndim > 1 for p in model.parameters()) == 20
    assert model(Tensor(np.zeros((2, 1, 14, 14), np.float32))).shape == (2, 10)


def test_shortcuts_cost_no_parameters():
    assert depth.network(8, True).num_parameters() == depth.network(8, False).num_parameters()


@pytest.mark.parametrize("layers", [2, 9])
def test_a_depth_that_blocks_cannot_make_is_refused(layers):
    with pytest.raises(ValueError, match=f"depth {layers} must be even"):
        depth.network(layers, True)


def test_training_learns_and_repeats():
    first = depth.train(8, True, 0.1, 0, epochs=3)
    again = depth.train(8, True, 0.1, 0, epochs=3)
    assert first[:-1] == again[:-1]
    assert first.loss < np.log(10) - 0.5


def test_gradients_vanish_without_norm_where_weights_are_small_and_not_with_it():
    vanished = depth.gradient_norms(40, False, norm=False, scale=0.7)
    assert len(vanished) == 39 and vanished.max() < 1e-4
    kept = depth.gradient_norms(40, False, scale=0.7)
    assert kept[1] > kept[-1] > 1e-3
