"""Is the rating 4 or 5? Four models of features, tuned alike, on MovieLens-100k.

    python -m lmbook.apps.clicks

Logistic regression, a factorisation machine, DeepFM and AutoInt get the same grid of learning rates and
weight decays and stop at the best validation AUC. The setting with the best one is trained again from
several seeds and tested once, on a split at random and on one by time.
"""

import argparse
import csv
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmbook import data, nn
from lmbook.apps.recommendation import click_arrays, click_scores, train_clicks
from lmbook.backend import manual_seed
from lmbook.data import MovieLens, Ratings, Splits
from lmbook.models.autoint import AutoInt, AutoIntConfig
from lmbook.models.factorization_machine import (
    DeepFM,
    FactorizationMachine,
    FieldConfig,
    LogisticRegression,
)
from lmbook.training.metrics import Interval, bootstrap_interval, roc_auc_score

Arrays = tuple[np.ndarray, ...]
Build = Callable[[], nn.Module]
STORED = Path(__file__).with_suffix(".csv")
SPLITS: dict[str, Callable[[Ratings], Splits[Ratings]]] = {
    "at random": data.random_split,
    "by time": data.time_split,
}


class Setting(NamedTuple):
    """What is tuned; the number of passes is found by stopping early."""

    lr: float
    weight_decay: float


def models(fields: data.Features) -> dict[str, Build]:
    """Builders of the four, with vectors 16 wide."""
    sizes: dict[str, Any] = {"sizes": fields.sizes, "slots": fields.slots, "width": 16}
    return {
        "logistic": lambda: LogisticRegression(FieldConfig(**sizes)),
        "FM": lambda: FactorizationMachine(FieldConfig(**sizes)),
        "DeepFM": lambda: DeepFM(FieldConfig(**sizes, dropout=0.3)),
        "AutoInt": lambda: AutoInt(AutoIntConfig(**sizes, layers=2, dropout=0.3)),
    }


def arrays(table: MovieLens, splits: Splits[Ratings]) -> Splits[Arrays]:
    """Feature numbers, values and clicks of the three parts."""
    return Splits(*(click_arrays(table, part) for part in splits))


def film_share(splits: Splits[Ratings], films: int, extra: float = 5) -> np.ndarray:
    """The baseline: a film's share of clicks in training, drawn to that of all by `extra` more: (films,)."""
    liked = splits.train.ratings >= 4
    seen = np.bincount(splits.train.items, minlength=films)
    return (np.bincount(splits.train.items, liked, films) + extra * liked.mean()) / (seen + extra)


def fit(
    build: Build, setting: Setting, parts: Splits[Arrays], seed: int = 0, epochs: int = 20
) -> nn.Module:
    """A fresh model, trained by Adam and stopped at the best validation AUC."""
    manual_seed(seed)
    return train_clicks(
        build(), parts.train, parts.validation, epochs, setting.lr, setting.weight_decay, seed=seed
    )


def tune(
    build: Build, parts: Splits[Arrays], lrs: Iterable[float] = (1e-3, 3e-3, 1e-2),
    decays: Iterable[float] = (1e-5, 1e-4), epochs: int = 20,
) -> dict[Setting, float]:  # fmt: skip
    """The validation AUC of every learning rate with every weight decay."""
    tried = {}
    index, values, clicked = parts.validation
    for setting in itertools.starmap(Setting, itertools.product(lrs, decays)):
        model = fit(build, setting, parts, epochs=epochs)
        tried[setting] = roc_auc_score(clicked, click_scores(model, index, values))
    return tried


def best(tried: dict[Setting, float]) -> Setting:
    """The setting with the largest AUC."""
    return max(tried, key=tried.__getitem__)


def auc_interval(clicked: np.ndarray, score: np.ndarray, people: np.ndarray) -> Interval:
    """AUC; the interval draws people, as the ratings of one person are not independent."""
    return bootstrap_interval(roc_auc_score, clicked, score, groups=people, n_resamples=300)


def auc_difference(
    clicked: np.ndarray, one: np.ndarray, other: np.ndarray, people: np.ndarray
) -> Interval:
    """AUC of `one` less that of `other` on the same examples, drawing people."""

    def difference(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return roc_auc_score(y, a) - roc_auc_score(y, b)

    return bootstrap_interval(difference, clicked, one, other, groups=people, n_resamples=300)


class Run(NamedTuple):
    """A model tuned in `seconds`, trained again from `seed` and tested: its AUC with the interval, and
    how far it is ahead of logistic regression from the same seed."""

    split: str
    model: str
    lr: float
    weight_decay: float
    seconds: float
    seed: int
    auc: float
    low: float
    high: float
    ahead: float
    ahead_low: float
    ahead_high: float


def measured(path: Path = STORED) -> list[Run]:
    """Runs of `--split "by time"`, on a server that did other work: seconds are at most."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = Run.__annotations__
    return [Run(**{k: kinds[k](v) for k, v in row.items()}) for row in rows]


def run_split(name: str, table: MovieLens, ratings: Ratings, seeds: int, epochs: int) -> list[Run]:
    """Tune and test all four on one split."""
    splits = SPLITS[name](ratings)
    parts = arrays(table, splits)
    index, values, clicked = parts.test
    logistic: dict[int, np.ndarray] = {}
    rows = []
    fields = data.pair_features(table, ratings.users[:1], ratings.items[:1])
    for kind, build in models(fields).items():
        start = time.perf_counter()
        tried = tune(build, parts, epochs=epochs)
        chosen = best(tried)
        spent = round(time.perf_counter() - start)
        print(f"{name}, {kind}: {chosen}, validation {tried[chosen]:.4f}, {spent} s", flush=True)
        for seed in range(seeds):
            score = click_scores(fit(build, chosen, parts, seed, epochs), index, values)
            base = logistic.setdefault(seed, score)
            own = auc_interval(clicked, score, splits.test.users)
            ahead = auc_difference(clicked, score, base, splits.test.users)
            figures = (round(v, 4) for v in (*own[:3], *ahead[:3]))
            rows.append(Run(name, kind, *chosen, spent, seed, *figures))
            print(f"  seed {seed}: {own}, ahead by {ahead}", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Tune and test all, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20, help="passes at most")
    parser.add_argument("--ratings", type=int, default=100_000, help="use so many, drawn by lot")
    parser.add_argument("--split", choices=tuple(SPLITS), help="this one only")
    parser.add_argument("--save", type=Path, help="a file to write the figures to")
    chosen = parser.parse_args(arguments)
    table = data.movielens_100k()
    some = np.random.default_rng(0).permutation(len(table.all.users))[: chosen.ratings]
    ratings = table.all if len(some) == len(table.all.users) else table.all.take(np.sort(some))
    rows = []
    for name in [chosen.split] if chosen.split else SPLITS:
        rows += run_split(name, table, ratings, chosen.seeds, chosen.epochs)
    if chosen.save:
        with chosen.save.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([Run._fields, *rows])


if __name__ == "__main__":
    main()
