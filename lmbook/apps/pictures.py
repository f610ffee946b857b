"""Train small networks on small sets of pictures: digits and solar cells, against their baselines."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lmbook import data, models, nn, optim
from lmbook.backend import manual_seed
from lmbook.optim.lr_scheduler import WarmupCosineLR
from lmbook.training import Trainer
from lmbook.training.trainer import evaluate

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """What to train on what, and how: `data()` gives the parts, `build()` the network."""

    data: Callable[[], Any]
    build: Callable[[], nn.Module]
    augment: Augment
    epochs: int
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05


class Outcome(NamedTuple):
    """Accuracies in per cent, the training losses, and how long the training took."""

    test: float
    validation: float
    losses: np.ndarray
    seconds: float
    model: nn.Module


class Batches:
    """Shuffled and augmented batches of one part, anew at every pass."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, recipe: Recipe, seed: int) -> None:
        self.images, self.labels, self.recipe = images, labels, recipe
        self.generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        return max(1, len(self.labels) // self.recipe.batch_size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = self.generator.permutation(len(self.labels))
        for rows in np.array_split(order, len(self)):
            yield self.recipe.augment(self.images[rows], self.generator), self.labels[rows]


def _shift(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return data.random_shift(x, 2, generator)


def _turn(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A cell may lie any way round: flips along both axes, and half of them transposed."""
    x = data.random_flip(x, generator)
    x = data.random_flip(x.swapaxes(2, 3), generator)
    return np.ascontiguousarray(x if generator.random() < 0.5 else x.swapaxes(2, 3))


def _small_resnet() -> nn.Module:
    """Three stages of one block each, 16 to 64 channels."""
    return models.ResNet(
        models.ResNetConfig((1, 1, 1), num_classes=10, in_channels=1, width=16, small_images=True)
    )


def _cell_resnet() -> nn.Module:
    """ResNet-18's shape with a quarter of its channels."""
    return models.ResNet(models.ResNetConfig(num_classes=2, in_channels=1, width=16))


RECIPES = {
    "lenet on mnist_5k": Recipe(
        data.mnist_5k, lambda: models.LeNet(models.LeNetConfig()), _shift, epochs=20
    ),
    "lenet5 on mnist_5k": Recipe(
        data.mnist_5k, lambda: models.LeNet5(models.LeNetConfig()), _shift, epochs=20, lr=2e-3
    ),
    "resnet on mnist_5k": Recipe(data.mnist_5k, _small_resnet, _shift, epochs=12),
    "resnet on solar_cells": Recipe(
        lambda: data.solar_cells(100), _cell_resnet, _turn, epochs=40, batch_size=32
    ),
}
"""On two quiet cores digits take up to a minute, cells about four."""


def train(
    recipe: Recipe | str,
    seed: int = 0,
    share: float = 1.0,
    epochs: int | None = None,
    progress: bool | None = None,
) -> Outcome:
    """Train by a recipe, or the name of one of `RECIPES`, and score the untouched test part.

    `share` takes that part of the training examples, `epochs` replaces the recipe's. Pixels are
    normalised by the training part's mean and deviation. The same seed gives the same run.
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"train: no recipe {recipe!r}; there are {', '.join(RECIPES)}")
        recipe = RECIPES[recipe]
    if not 0 < share <= 1:
        raise ValueError(f"train: share {share} is not in (0, 1]")
    first, *others = recipe.data()
    count = max(1, int(share * len(first.labels)))
    mean, std = first.images[:count].mean(), first.images[:count].std()
    part, validation, test = (
        (data.normalise(p.images, mean, std), p.labels) for p in (first, *others)
    )
    manual_seed(seed)
    model = recipe.build()
    batches = Batches(part[0][:count], part[1][:count], recipe, seed)
    epochs = recipe.epochs if epochs is None else epochs
    optimizer = optim.AdamW(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    steps = epochs * len(batches)
    schedule = WarmupCosineLR(optimizer, max(2, steps), warmup=steps // 10)
    trainer = Trainer(model, optimizer, scheduler=schedule, progress=progress)
    start = time.perf_counter()
    history = trainer.fit(batches, epochs)
    seconds = time.perf_counter() - start
    losses = np.array(history["loss"])
    score = [100 * evaluate(model, *p, batch_size=100)["accuracy"] for p in (test, validation)]
    return Outcome(score[0], score[1], losses, seconds, model.eval())
