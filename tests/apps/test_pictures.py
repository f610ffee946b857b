"""The recipes learn, repeat themselves, and name what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from lmbook import data
from lmbook.apps import pictures
from lmbook.apps.pictures import RECIPES, Batches, train


@pytest.mark.parametrize("name", [n for n in RECIPES if "mnist" in n])
def test_a_tiny_share_learns_more_than_chance_and_repeats(name):
    repeats = 2 if name.startswith("lenet on") else 1
    runs = [train(name, seed=1, share=0.1, epochs=3, progress=False) for _ in range(repeats)]
    assert len(runs[0].losses) == 3 * (350 // 64)
    assert np.mean(runs[0].losses[-3:]) < 0.9 * np.mean(runs[0].losses[:3])
    assert 15 < runs[0].test <= 100 and runs[0].seconds > 0
    np.testing.assert_array_equal(runs[0].losses, runs[-1].losses)
    assert runs[0].test == runs[-1].test and not runs[0].model.training


def test_the_recipe_of_cells_learns_that_dark_ones_are_bad(rng):
    def part(n):
        x, y = rng.random((n, 1, 40, 40)).astype("f4"), np.arange(n) % 2
        x[y == 1] *= 0.5
        return data.Cells(x, y, y.astype(float), np.full(n, "mono"))

    whole = RECIPES["resnet on solar_cells"]
    small = replace(whole, data=lambda: (part(160), part(40), part(100)), epochs=3)
    outcome = train(small, progress=False)
    assert len(outcome.losses) == 3 * (160 // 32) and outcome.test > 80
    assert outcome.model.num_parameters() == 700_786


def test_a_turned_cell_is_the_same_cell():
    x = np.random.default_rng(0).random((4, 1, 6, 6)).astype("f4")
    y = pictures._turn(x, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(y.reshape(4, -1)), np.sort(x.reshape(4, -1)))
    assert y.shape == x.shape and not np.array_equal(x, y)


def test_every_example_comes_once_a_pass():
    recipe = pictures.Recipe(list, list, lambda x, g: x, 1, batch_size=4)
    batches = Batches(np.arange(10.0), np.arange(10), recipe, 0)
    first, second = (np.concatenate([y for _, y in batches]) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10)) and list(first) != list(second)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="no recipe 'lenet'; there are lenet on mnist_5k, "):
        train("lenet")
    with pytest.raises(ValueError, match=r"share 0 is not in \(0, 1\]"):
        train("lenet on mnist_5k", share=0)
