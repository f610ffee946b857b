"""Is a network better than a dot product? Both tuned alike, on the next film of MovieLens-100k.

    python -m lmbook.apps.dot_or_network

Each model gets the same grid of learning rates and weight decays, the same number of passes, the same
negatives; the settings with the best validation NDCG@10 among all films are trained again from several
seeds and tested once. After Rendle, Krichene, Zhang and Anderson (2020), who tuned NCF's own comparison.
"""

import argparse
import csv
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmbook import data
from lmbook.apps.recommendation import PairSampler, pair_loss, top_n
from lmbook.backend import manual_seed
from lmbook.data import Ratings, Splits
from lmbook.models.matrix_factorization import MatrixFactorization
from lmbook.models.ncf import MLP, NCFConfig, NeuMF
from lmbook.optim import Adam
from lmbook.training import Trainer

Build = Callable[[], Any]
STORED = Path(__file__).with_suffix(".csv")


class Setting(NamedTuple):
    """What is tuned."""

    lr: float
    weight_decay: float = 0.0
    passes: int = 4


class Tuned(NamedTuple):
    """The best setting and the validation NDCG@10 of all that were tried."""

    best: Setting
    tried: dict[Setting, float]


def models(users: int, items: int, factors: int = 16) -> dict[str, Build]:
    """A dot product with biases, the MLP and NeuMF, each with last layers (or vectors) of `factors`."""
    config = NCFConfig(users, items, factors=factors)
    return {
        "dot product": lambda: MatrixFactorization(users, items, factors),
        "MLP": lambda: MLP(config),
        "NeuMF": lambda: NeuMF(config),
    }


def fit(
    build: Build, setting: Setting, splits: Splits[Ratings], items: int, seed: int = 0,
    step: int = 0, batch: int = 1024, seen: Callable[[Any, int], None] | None = None,
) -> Any:  # fmt: skip
    """A fresh model, trained by Adam; `seen(model, passes)` is called every `step` passes, if given."""
    manual_seed(seed)
    model = build()
    optimizer = Adam(model.parameters(), lr=setting.lr, weight_decay=setting.weight_decay)
    trainer = Trainer(model, optimizer, pair_loss, progress=False)
    step = step or setting.passes
    sampler = PairSampler(splits.train, items, batch=batch, seed=seed)
    for done in range(step, setting.passes + 1, step):
        trainer.fit(sampler, step)
        if seen:
            seen(model, done)
    return model.eval()


def tune(
    build: Build, splits: Splits[Ratings], items: int, lrs: Iterable[float] = (2e-3, 5e-3, 1e-2),
    decays: Iterable[float] = (0.0, 1e-5), passes: int = 12, step: int = 4, seed: int = 0,
) -> Tuned:  # fmt: skip
    """Try every learning rate with every weight decay, judged every `step` passes."""
    if passes < 1 or step < 1 or passes % step:
        raise ValueError(f"tune: {passes} passes cannot be judged every {step}; use a divisor")
    tried: dict[Setting, float] = {}
    for lr, decay in itertools.product(lrs, decays):

        def judge(model: Any, done: int, lr: float = lr, decay: float = decay) -> None:
            figures = top_n(model.scores, splits.train, splits.validation, items, negatives=None)
            tried[Setting(lr, decay, done)] = figures["ndcg"]

        fit(build, Setting(lr, decay, passes), splits, items, seed, step, seen=judge)
    return Tuned(max(tried, key=tried.__getitem__), tried)


def test(model: Any, splits: Splits[Ratings], items: int) -> dict[str, float]:
    """HR@10 and NDCG@10 on the test part, among 100 films and among all."""
    seen = Ratings(*(np.concatenate(pair) for pair in zip(splits.train, splits.validation)))
    figures: dict[str, float] = {}
    for name, negatives in (("of 100", 99), ("of all", None)):
        found = top_n(model.scores, seen, splits.test, items, negatives)
        figures |= {f"{k} {name}": v for k, v in found.items()}
    return figures


class Run(NamedTuple):
    """A model tuned in `seconds`, trained again from `seed` and tested."""

    model: str
    lr: float
    weight_decay: float
    passes: int
    seconds: float
    seed: int
    hr_of_100: float
    ndcg_of_100: float
    hr_of_all: float
    ndcg_of_all: float


def measured(path: Path = STORED) -> list[Run]:
    """Runs of this program with all 943 people, on a server that did other work: seconds are at most."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = Run.__annotations__
    return [Run(**{k: kinds[k](v) for k, v in row.items()}) for row in rows]


def main(arguments: list[str] | None = None) -> None:
    """Tune and test all, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=943, help="use the first of them only")
    parser.add_argument("--save", type=Path, help="a file to write the figures to")
    chosen = parser.parse_args(arguments)
    table = data.movielens_100k()
    few = table.all.take(np.flatnonzero(table.all.users < chosen.people))
    splits, items = data.leave_one_out(few), table.num_items
    rows = []
    for name, build in models(chosen.people, items).items():
        start = time.perf_counter()
        tuned = tune(build, splits, items, passes=chosen.passes)
        spent = round(time.perf_counter() - start)
        print(f"{name}: {tuned.best}, validation {tuned.tried[tuned.best]:.4f}, {spent} s")
        for seed in range(chosen.seeds):
            figures = test(fit(build, tuned.best, splits, items, seed), splits, items)
            rows.append(
                Run(name, *tuned.best, spent, seed, *(round(v, 4) for v in figures.values()))
            )
            print("  " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items()), flush=True)
    if chosen.save:
        with chosen.save.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([Run._fields, *rows])


if __name__ == "__main__":
    main()
