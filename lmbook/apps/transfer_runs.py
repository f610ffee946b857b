"""What is a network of photographs worth to other pictures? Eight ways to classify, from few and many labels.

    python -m lmbook.apps.transfer_runs [cells] [digits] [--scratch]

Solar cells: for every seed all 2,624 are divided anew (65, 10, 25 %, kinds and grades alike). Digits: the
test part stays, the seed draws which of the others have labels. Of the training part `labels` examples are
used, each class as frequent as in the whole; nothing else is seen, and no test example chooses a setting. The
weights are those of EfficientNet-lite0, the rate of the last stage that which served a validation part best.

Rows that are there already are not computed again. With `--scratch` a small ResNet learns from random weights
as well; those runs are many minutes each, and are not among the stored ones.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmbook import data, models
from lmbook.apps import pictures, transfer
from lmbook.apps.hog import hog
from lmbook.backend import require
from lmbook.data.solar import split_cells
from lmbook.training import metrics

STORED = Path(__file__).with_suffix(".csv")
COUNTS = {"cells": (100, 400, 1705), "digits": (100, 500, 3500)}
SEEDS = {"cells": (0, 1, 2), "digits": (0, 1, 2)}
SLOW = ("last stage", "scratch", "scratch, not turned")
"""Two seeds do for these."""
PLAIN = {("cells", 400)}
"""Where a network from scratch also learns from pictures as they are."""
STEPS = {100: 60, 400: 80, 500: 80, 1705: 80, 3500: 80}
EPOCHS = {("cells", 100): 40, ("cells", 400): 30, ("cells", 1705): 12,
          ("digits", 100): 50, ("digits", 500): 25, ("digits", 3500): 8}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training: how many of the test pictures were right, the recall of each class's mean, and more."""

    data: str
    method: str
    labels: int
    seed: int
    test: int
    right: int
    balanced: float
    log_loss: float
    ece: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """In per cent."""
        return 100 * self.right / self.test


@dataclass
class Views:
    """All pictures of a set as each method sees them, and their labels."""

    small: np.ndarray
    described: np.ndarray
    maps: np.ndarray
    features: np.ndarray
    raw_features: np.ndarray
    labels: np.ndarray
    parts: Callable[[int], tuple[np.ndarray, np.ndarray]]
    build: pictures.Recipe


def network(classes: int, train_stages: int = 0) -> transfer.Transferred:
    """EfficientNet-lite0 with a new head."""
    return transfer.Transferred(models.ImageClassifier.lite0().model, classes, train_stages)


def view(which: str, chunk: int = 64) -> Views:
    """Everything that does not depend on a seed, computed once."""
    if which == "cells":
        parts = data.solar_cells(300)
        cells = data.Cells(*(np.concatenate(field) for field in zip(*parts)))
        images, labels, side, name, coarse, cell = (
            cells.images,
            cells.labels,
            150,
            "solar_cells",
            3,
            10,
        )
        thin = data.Cells(labels, labels, cells.probability, cells.kind)

        def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
            train, _, test = split_cells(thin, seed)
            return train, test

    else:
        first, validation, test = data.mnist_5k()
        images = np.concatenate([first.images, validation.images, test.images])
        labels = np.concatenate([first.labels, validation.labels, test.labels])
        side, name, coarse, cell = 96, "mnist_5k", 1, 4

        def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
            order = np.random.RandomState(seed).permutation(len(first.labels))
            return order, np.arange(len(labels) - len(test.labels), len(labels))

    n, _, height, _ = images.shape
    shape = (n, 1, height // coarse, coarse, height // coarse, coarse)
    small = images.reshape(shape).mean(axis=(3, 5))
    model = network(2, train_stages=2)
    found: list[list[np.ndarray]] = [[], [], []]
    for i in range(0, n, chunk):
        body = transfer.maps(model, transfer.as_photographs(images[i : i + chunk], side))
        found[0].append(body.astype(np.float16))
        found[1].append(_pool(model, body))
        plain = transfer.as_photographs(images[i : i + chunk], side, (0, 0, 0), (1, 1, 1))
        found[2].append(_pool(model, transfer.maps(model, plain)))
    body_maps, right, raw = (np.concatenate(each) for each in found)
    described = np.concatenate([hog(small[i : i + 256], cell) for i in range(0, n, 256)])
    recipe = pictures.RECIPES[f"resnet on {name}"]
    return Views(small, described, body_maps, right, raw, labels, rows, recipe)


def _pool(model: transfer.Transferred, body: np.ndarray) -> np.ndarray:
    return transfer._in_batches(model.eval().pooled, body, 32)


def choose(labels: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The first `count` of the shuffled rows, each class as frequent as among all of them."""
    if count >= len(rows):
        return rows
    classes = np.unique(labels)
    share = np.array([(labels[rows] == c).mean() for c in classes])
    want = np.floor(share * count).astype(int)
    for i in np.argsort(want - share * count)[: count - want.sum()]:
        want[i] += 1
    return np.concatenate([rows[labels[rows] == c][:k] for c, k in zip(classes, want)])


def _softmax(z: np.ndarray) -> np.ndarray:
    p = np.exp(z - z.max(axis=1, keepdims=True), dtype=np.float64)
    return p / p.sum(axis=1, keepdims=True)


def _linear(x: np.ndarray, y: np.ndarray, xt: np.ndarray) -> np.ndarray:
    head, _ = transfer.fit_head(x, y)
    return xt @ head.weight.data.T + head.bias.data


def constant(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> np.ndarray:
    """Always the most frequent class, with the classes' shares as probabilities."""
    share = np.bincount(v.labels[train]) / len(train)
    return np.tile(np.log(share), (len(test), 1))


def support_vectors(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> Any:
    """HOG and scikit-learn's SVC; C by three-fold cross-validation. Votes, not probabilities."""
    svm = require("sklearn.svm", "notebooks", "support vectors")
    selection = require("sklearn.model_selection", "notebooks", "support vectors")
    x = v.described
    mean, std = x[train].mean(axis=0), x[train].std(axis=0) + 1e-6
    search = selection.GridSearchCV(svm.SVC(), {"C": [1, 10]}, cv=3)
    search.fit((x[train] - mean) / std, v.labels[train])
    return search.predict((x[test] - mean) / std)


def frozen(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> np.ndarray:
    """Frozen features and a logistic head."""
    return _linear(v.features[train], v.labels[train], v.features[test])


def frozen_raw(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> np.ndarray:
    """The same from pixels in 0 to 1, in training and in the test."""
    return _linear(v.raw_features[train], v.labels[train], v.raw_features[test])


def mismatched(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> np.ndarray:
    """Trained as the weights were, tested with pixels in 0 to 1."""
    return _linear(v.features[train], v.labels[train], v.raw_features[test])


def last_stage(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> np.ndarray:
    """The head as in `frozen`; then the last two stages learn along with it."""
    classes = int(v.labels.max()) + 1
    model = network(classes, train_stages=2)
    head, _ = transfer.fit_head(v.features[train], v.labels[train])
    model.head.load_state_dict(head.state_dict())
    steps = STEPS[min(STEPS, key=lambda n: abs(n - len(train)))]
    transfer.fine_tune(model, v.maps[train], v.labels[train], steps, seed=seed, progress=False)
    return transfer.scores(model, v.maps[test])


def scratch(turn: bool) -> Any:
    """A small ResNet from random weights, on pictures moved or turned, or as they are."""

    def run(v: Views, train: np.ndarray, test: np.ndarray, seed: int, which: str) -> np.ndarray:
        part, rest = (data.Images(v.small[r], v.labels[r]) for r in (train, test))
        wanted = {n: e for (w, n), e in EPOCHS.items() if w == which}
        epochs = wanted[min(wanted, key=lambda n: abs(n - len(train)))]
        recipe = replace(v.build, data=lambda: (part, rest, rest), epochs=epochs, batch_size=32)
        if not turn:
            recipe = replace(recipe, augment=lambda x, generator: x)
        outcome = pictures.train(recipe, seed, progress=False)
        mean, std = part.images.mean(), part.images.std()
        x = data.normalise(rest.images, mean, std)
        return transfer._in_batches(outcome.model, x, 64)

    return run


METHODS: dict[str, Any] = {
    "one class": constant,
    "HOG, SVM": support_vectors,
    "frozen": frozen,
    "frozen, 0 to 1": frozen_raw,
    "frozen, tested on 0 to 1": mismatched,
    "last stage": last_stage,
    "scratch": scratch(True),
    "scratch, not turned": scratch(False),
}


def score(which: str, method: str, v: Views, labels: int, seed: int) -> Run:
    """Train and test once."""
    order, test = v.parts(seed)
    train = choose(v.labels, order, labels)
    start = time.perf_counter()
    found = METHODS[method](v, train, test, seed, which)
    seconds = time.perf_counter() - start
    truth = v.labels[test]
    log_loss = ece = float("nan")
    guess = found
    if found.ndim == 2:
        p, guess = _softmax(found), found.argmax(axis=1)
        log_loss, ece = metrics.log_loss(truth, p), metrics.expected_calibration_error(truth, p)
    balanced = float(np.mean([(guess[truth == c] == c).mean() for c in np.unique(truth)]))
    return Run(which, method, labels, seed, len(test), int((guess == truth).sum()),
               round(balanced, 4), round(log_loss, 4), round(ece, 4), round(seconds, 1))  # fmt: skip


def wanted(which: str, from_scratch: bool = False) -> Iterator[tuple[str, int, int]]:
    """Method, labels, seed of every run, quick ones first."""
    for slow in (False, True):
        for count in COUNTS[which]:
            for method in METHODS:
                if method.startswith("scratch") and not from_scratch:
                    continue
                for seed in SEEDS[which][: 2 if slow else None]:
                    if seed and not slow and (which, count) == ("digits", 3500):
                        continue  # the same labels and the same test: the same numbers
                    plain = method == "scratch, not turned"
                    if (method in SLOW) == slow and not (plain and (which, count) not in PLAIN):
                        yield method, count, seed


def measured(path: Path = STORED) -> list[Run]:
    """The stored runs."""
    kinds = {"labels": int, "seed": int, "test": int, "right": int, "balanced": float,
             "log_loss": float, "ece": float, "seconds": float}  # fmt: skip
    with path.open(encoding="utf-8", newline="") as file:
        return [Run(**{n: kinds.get(n, str)(x) for n, x in row.items()})
                for row in csv.DictReader(file)]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Run what is not there yet, and store each run as it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("data", nargs="*", choices=[*COUNTS, []], default=list(COUNTS))
    parser.add_argument("--csv", type=Path, default=STORED)
    parser.add_argument("--scratch", action="store_true", help="a small ResNet from scratch, too")
    options = parser.parse_args(arguments)
    runs = measured(options.csv) if options.csv.exists() else []
    done = {(r.data, r.method, r.labels, r.seed) for r in runs}
    for which in options.data or COUNTS:
        v = None
        for method, labels, seed in wanted(which, options.scratch):
            if (which, method, labels, seed) in done:
                continue
            v = v or view(which)
            runs.append(score(which, method, v, labels, seed))
            print(runs[-1], flush=True)
            with options.csv.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, asdict(runs[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(asdict(run) for run in runs)


if __name__ == "__main__":
    main()
