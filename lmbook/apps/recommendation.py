"""Films for people: ratings, clicks and next films of MovieLens-100k, each model against the simple ones.

    python -m lmbook.apps.recommendation ratings | clicks | next_film

Three tasks with a protocol each, stated by the function that measures it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lmbook import data, nn
from lmbook import functional as F
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.backend import manual_seed
from lmbook.data import DataLoader, Ratings, Splits, TensorDataset
from lmbook.models.autoint import AutoInt, AutoIntConfig
from lmbook.models.factorization_machine import DeepFM, FactorizationMachine, FieldConfig
from lmbook.models.matrix_factorization import (
    MatrixFactorization,
    fit_als,
    fit_implicit_als,
    squared_error,
)
from lmbook.models.ncf import GMF, MLP, NCFConfig, NeuMF
from lmbook.optim import SGD, Adam
from lmbook.training import EarlyStopping, Trainer
from lmbook.training.metrics import hit_rate, log_loss, ndcg, roc_auc_score, target_ranks

Figures = dict[str, float]

# Ratings: root mean squared error


def rmse(model: nn.Module, part: Ratings) -> float:
    """Root mean squared error of a part, predictions limited to 1 .. 5."""
    with no_grad():
        guess = model(as_tensor(part.users), as_tensor(part.items)).data
    return float(np.sqrt(np.mean((np.clip(guess, 1, 5) - part.ratings) ** 2)))


def item_means(train: Ratings, users: int, items: int) -> MatrixFactorization:
    """Guess each film's mean rating, drawn to that of all as if five more people had rated it so."""
    model = MatrixFactorization(users, items, 1)
    nn.init.zeros_(model.user.weight)
    model.mean.data[...] = train.ratings.mean()
    extra = np.bincount(train.items, train.ratings - train.ratings.mean(), items)
    model.item_bias.weight.data[:, 0] = extra / (np.bincount(train.items, minlength=items) + 5)
    return model


def by_gradient(
    splits: Splits[Ratings], users: int, items: int, factors: int = 32, epochs: int = 60, seed: int = 0,
) -> MatrixFactorization:  # fmt: skip
    """Factors and biases by stochastic gradient descent, stopped at the best validation error."""
    manual_seed(seed)
    model = MatrixFactorization(users, items, factors)
    model.mean.data[...] = splits.train.ratings.mean()
    batches = DataLoader(
        TensorDataset(*splits.train[:3]), 256, shuffle=True, generator=seed
    )  # fmt: skip
    stop = EarlyStopping("rmse", patience=3)
    optimizer = SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=3e-4)
    trainer = Trainer(model, optimizer, squared_error, early_stopping=stop, progress=False)
    trainer.fit(batches, epochs, evaluate=lambda m: {"rmse": rmse(m, splits.validation)})
    return model


def ratings_task(splits: Splits[Ratings], table: data.MovieLens, seed: int = 0) -> Figures:
    """RMSE on the test part of film means, biases, ALS and SGD."""
    sizes = table.num_users, table.num_items
    manual_seed(seed)
    biases, als = MatrixFactorization(*sizes, 1), MatrixFactorization(*sizes, 64)
    nn.init.zeros_(biases.user.weight)
    nn.init.zeros_(biases.item.weight)
    fit_biases(biases, splits.train)
    fit_als(als, *splits.train[:3], weight=0.12, sweeps=12)
    models = {
        "film means": item_means(splits.train, *sizes),
        "biases": biases,
        "ALS": als,
        "SGD": by_gradient(splits, *sizes, seed=seed),
    }
    return {name: rmse(model, splits.test) for name, model in models.items()}


def fit_biases(
    model: MatrixFactorization, train: Ratings, weight: float = 5, sweeps: int = 10
) -> None:
    """Least squares for the two biases alone, in turn, each drawn to 0 as by `weight` more ratings."""
    model.mean.data[...] = train.ratings.mean()
    b, c = model.user_bias.weight.data[:, 0], model.item_bias.weight.data[:, 0]
    for _ in range(sweeps):
        for own, other, mine, theirs in (
            (c, b, train.items, train.users), (b, c, train.users, train.items)
        ):  # fmt: skip
            rest = train.ratings - model.mean.data - other[theirs]
            own[:] = np.bincount(mine, rest, len(own)) / (
                np.bincount(mine, minlength=len(own)) + weight
            )


# Clicks: is the rating 4 or 5?


def click_arrays(table: data.MovieLens, part: Ratings) -> tuple[np.ndarray, ...]:
    """Feature numbers, their values, and 1 for a rating of 4 or 5."""
    f = data.pair_features(table, part.users, part.items)
    return f.ids, f.values, (part.ratings >= 4).astype(np.float32)


def click_loss(model: nn.Module, index: Tensor, values: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of a batch."""
    return F.binary_cross_entropy_with_logits(model(index, values), target)


def click_scores(model: nn.Module, index: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Logits of many examples."""
    with no_grad():
        parts = [
            model(as_tensor(index[i : i + 2000]), as_tensor(values[i : i + 2000])).data
            for i in range(0, len(index), 2000)
        ]
    return np.concatenate(parts)


def train_clicks(
    model: nn.Module, train: tuple[np.ndarray, ...], validation: tuple[np.ndarray, ...],
    epochs: int = 20, lr: float = 1e-3, weight_decay: float = 1e-5, batch: int = 512, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """Adam on the cross-entropy, stopped at the best validation AUC."""
    stop = EarlyStopping("auc", largest=True, patience=2)
    optimizer = Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    trainer = Trainer(model, optimizer, click_loss, early_stopping=stop, progress=False)
    batches = DataLoader(TensorDataset(*train), batch, shuffle=True, generator=seed)

    def auc(m: nn.Module) -> Figures:
        return {"auc": roc_auc_score(validation[2], click_scores(m, *validation[:2]))}

    trainer.fit(batches, epochs, evaluate=auc)
    return model.eval()


def click_models(fields: data.Features, seed: int = 0) -> dict[str, nn.Module]:
    """A fresh factorisation machine, DeepFM and AutoInt for these fields."""
    manual_seed(seed)
    sizes: dict[str, Any] = {"sizes": fields.sizes, "slots": fields.slots, "width": 16}
    return {
        "FM": FactorizationMachine(FieldConfig(**sizes)),
        "DeepFM": DeepFM(FieldConfig(**sizes, dropout=0.3)),
        "AutoInt": AutoInt(AutoIntConfig(**sizes, layers=2, dropout=0.3)),
    }


def clicks_task(
    splits: Splits[Ratings], table: data.MovieLens, seed: int = 0
) -> dict[str, Figures]:
    """AUC and log loss on the test part; the baseline scores a pair by the film's share of clicks."""
    train, validation, test = (click_arrays(table, part) for part in splits)
    seen = np.bincount(splits.train.items, minlength=table.num_items)
    liked = np.bincount(splits.train.items, train[2], table.num_items)
    share = (liked + 5 * train[2].mean()) / (seen + 5)
    film = share[splits.test.items]
    result = {
        "film share": {"auc": roc_auc_score(test[2], film), "log loss": log_loss(test[2], film)}
    }
    fields = data.pair_features(table, splits.train.users[:1], splits.train.items[:1])
    for name, model in click_models(fields, seed).items():
        train_clicks(model, train, validation, seed=seed)
        score = click_scores(model, *test[:2])
        p = 1 / (1 + np.exp(-score.astype(np.float64)))
        result[name] = {"auc": roc_auc_score(test[2], score), "log loss": log_loss(test[2], p)}
    return result


# The next film: one held out for each person


class PairSampler:
    """Batches (users, items, labels): all pairs that met, and for each `negatives` that did not.

    The negatives are drawn anew at every pass, uniformly from the films this person has not rated.
    """

    def __init__(
        self, train: Ratings, items: int, negatives: int = 4, batch: int = 512, seed: int = 0
    ) -> None:
        self.train, self.items, self.negatives, self.batch = train, items, negatives, batch
        self.generator = np.random.default_rng(seed)
        self.met = np.zeros((int(train.users.max()) + 1, items), bool)
        self.met[train.users, train.items] = True

    def __len__(self) -> int:
        return -(-len(self.train.users) * (1 + self.negatives) // self.batch)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        users = np.repeat(self.train.users, self.negatives)
        items = self.generator.integers(0, self.items, len(users))
        while (again := np.flatnonzero(self.met[users, items])).size:
            items[again] = self.generator.integers(0, self.items, len(again))
        users = np.concatenate([self.train.users, users])
        items = np.concatenate([self.train.items, items])
        labels = np.zeros(len(users), np.float32)
        labels[: len(self.train.users)] = 1
        order = self.generator.permutation(len(users))
        for i in range(0, len(order), self.batch):
            rows = order[i : i + self.batch]
            yield users[rows], items[rows], labels[rows]


def pair_loss(model: nn.Module, users: Tensor, items: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of a batch of pairs."""
    return F.binary_cross_entropy_with_logits(model(users, items), labels)


def train_pairs(
    model: nn.Module, splits: Splits[Ratings], items: int, epochs: int = 10, lr: float = 1e-3,
    seed: int = 0,
) -> nn.Module:  # fmt: skip
    """Adam on pairs against sampled negatives, stopped at the best validation NDCG@10."""
    stop = EarlyStopping("ndcg", largest=True, patience=5)
    trainer = Trainer(
        model, Adam(model.parameters(), lr=lr), pair_loss, early_stopping=stop, progress=False
    )

    def measure(m: Any) -> Figures:
        return top_n(m.scores, splits.train, splits.validation, items, negatives=None)

    trainer.fit(PairSampler(splits.train, items, seed=seed), epochs, evaluate=measure)
    return model.eval()


def held_out_ranks(
    scores: Callable[[np.ndarray], np.ndarray], seen: Ratings, held: Ratings, items: int,
    negatives: int | None = 99, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """The rank, from 0, of one held-out film a person among films that the person has not met.

    With `negatives`, so many unmet films are drawn for each person, as He et al. (2017) do with 99;
    with None all unmet films compete. `scores(users)` gives (users, items).
    """
    allowed = np.ones((int(max(seen.users.max(), held.users.max())) + 1, items), bool)
    allowed[seen.users, seen.items] = False
    candidates = allowed[held.users]
    candidates[np.arange(len(held.users)), held.items] = False
    generator = np.random.default_rng(seed)
    if negatives is not None:
        lots = np.where(candidates, generator.random(candidates.shape), 2.0)
        drawn = np.argpartition(lots, negatives, axis=1)[:, :negatives]
        chosen = np.zeros_like(candidates)
        np.put_along_axis(chosen, drawn, True, axis=1)
        candidates &= chosen
    return target_ranks(scores(held.users), held.items, candidates, generator)


def top_n(
    scores: Callable[[np.ndarray], np.ndarray], seen: Ratings, held: Ratings, items: int,
    negatives: int | None = 99, k: int = 10, seed: int = 0,
) -> Figures:  # fmt: skip
    """HR@k and NDCG@k of `held_out_ranks`. Sampled figures are higher, and may order models otherwise
    than the full ones do (Krichene and Rendle 2020)."""
    ranks = held_out_ranks(scores, seen, held, items, negatives, seed)
    return {"hr": hit_rate(ranks, k), "ndcg": ndcg(ranks, k)}


def next_film_task(
    splits: Splits[Ratings], table: data.MovieLens, seed: int = 0, epochs: int = 25
) -> dict[str, Figures]:
    """HR@10 and NDCG@10 on the held-out films, sampled and full, of popularity, implicit ALS and NCF."""
    users, items = table.num_users, table.num_items
    popular = np.bincount(splits.train.items, minlength=items)
    manual_seed(seed)
    als = MatrixFactorization(users, items, 32, bias=False)
    fit_implicit_als(als, splits.train.users, splits.train.items, alpha=3, weight=10, sweeps=8)
    config = NCFConfig(users, items, factors=16)
    gmf = train_pairs(GMF(config), splits, items, epochs, seed=seed)
    mlp = train_pairs(MLP(config), splits, items, epochs, seed=seed)
    fused = NeuMF.pretrained(gmf, mlp)  # type: ignore[arg-type]
    train_pairs(fused, splits, items, epochs, lr=1e-4, seed=seed)
    rankers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "popularity": lambda chosen: np.tile(popular, (len(chosen), 1)),
        "implicit ALS": als.scores,
        "GMF": gmf.scores,
        "MLP": mlp.scores,
        "NeuMF": fused.scores,
    }
    seen = Ratings(*(np.concatenate(pair) for pair in zip(splits.train, splits.validation)))
    result = {}
    for name, scores in rankers.items():
        sampled, full = (top_n(scores, seen, splits.test, items, n, seed=seed) for n in (99, None))
        result[name] = {f"{k} of 100": v for k, v in sampled.items()} | {
            f"{k} of all": v for k, v in full.items()
        }
    return result


# Planted interactions: what the models should find, because we put it there


def planted(
    n: int, levels: int = 6, fields: int = 5, pair: tuple[int, int] = (1, 3), strength: float = 2.0,
    seed: int = 0,
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:  # fmt: skip
    """Simulated clicks whose logit depends on two fields together and on no field alone.

    Feature numbers (n, fields), values, clicks; and the table (levels, levels) of logits, plus or minus
    `strength`, whose rows and columns sum to zero.
    """
    g = np.random.default_rng(seed)
    signs = np.where(np.add.outer(g.permutation(levels), g.permutation(levels)) % 2, 1.0, -1.0)
    x = g.integers(0, levels, (n, fields))
    logits = strength * signs[x[:, pair[0]], x[:, pair[1]]]
    clicks = (g.random(n) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    index = x + levels * np.arange(fields)
    return (index, np.ones(index.shape, np.float32), clicks), strength * signs


def field_interactions(model: FactorizationMachine) -> np.ndarray:
    """Root mean square of v_i . v_j over the features of each two fields, less what each adds alone."""
    vectors = np.split(model.vectors.table.weight.data, np.cumsum(model.config.sizes)[:-1])
    centred = [v - v.mean(axis=0) for v in vectors]
    return np.array([[np.sqrt(np.mean((a @ b.T) ** 2)) for b in centred] for a in centred])


def main(arguments: list[str] | None = None) -> None:
    """Run a task and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("ratings", "clicks", "next_film"))
    parser.add_argument("--split", choices=("random", "time"), default="random")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    table = data.movielens_100k()
    split = data.random_split if chosen.split == "random" else data.time_split
    start = time.perf_counter()
    figures: dict[str, Any] = (
        next_film_task(data.leave_one_out(table.all), table, chosen.seed)
        if chosen.task == "next_film"
        else ratings_task(split(table.all), table, chosen.seed)
        if chosen.task == "ratings"
        else clicks_task(split(table.all), table, chosen.seed)
    )
    for name, value in figures.items():
        found = value if isinstance(value, dict) else {"rmse": value}
        print(f"{name:14s} " + "  ".join(f"{k} {v:.4f}" for k, v in found.items()))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
