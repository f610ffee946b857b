"""Our Bayesian search beside Optuna's and scikit-optimize's: `python -m benchmarks.search`.

Every search gets the same first ten points and the same number of evaluations of the same functions;
what counts is the regret, the best value found less the least there is. Pairs of runs with the same
seed, and so the same start, are compared by Wilcoxon's signed-rank test on the logarithm of the
regret, one-sided both ways, and the p-values of one table are corrected together by Holm's method.
`--csv FILE` writes the table; book/facts/search.csv is one. scikit-optimize is compared where it is
asked for: `--peers "scikit-optimize GP"`.
"""

import argparse
import csv
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.backend import require
from lmbook.training import search as s

FLOOR = 1e-6  # regrets below are equal: the bottom is found
FIRST = 10  # points that all searches share

Objective = Callable[
    [s.SearchSpace, np.ndarray, Callable[[dict[str, Any]], float], int, int], float
]


def ours(
    space: s.SearchSpace, first: np.ndarray, objective: Any, evaluations: int, seed: int
) -> float:
    """Gaussian process and expected improvement, written in this book."""
    method = s.BayesianSearch(space, initial=first, seed=seed)
    return s.search(method, objective, evaluations=evaluations, progress=False).best.value


def random(
    space: s.SearchSpace, first: np.ndarray, objective: Any, evaluations: int, seed: int
) -> float:
    """Uniform points after the first."""
    head = min(objective(space.decode(u)) for u in first)
    method = s.RandomSearch(space, seed=seed)
    return min(
        head,
        s.search(
            method, objective, evaluations=evaluations - len(first), progress=False
        ).best.value,
    )


def optuna_gp(
    space: s.SearchSpace, first: np.ndarray, objective: Any, evaluations: int, seed: int
) -> float:
    """Optuna's GPSampler, told that values have no noise."""
    optuna = require("optuna", "notebooks", "the benchmark of searches")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deterministic_objective is experimental
        sampler = optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=FIRST, deterministic_objective=True
        )
    return _study(optuna, sampler, space, first, objective, evaluations)


def optuna_tpe(
    space: s.SearchSpace, first: np.ndarray, objective: Any, evaluations: int, seed: int
) -> float:
    """Optuna's default: a tree of Parzen estimators."""
    optuna = require("optuna", "notebooks", "the benchmark of searches")
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=FIRST)
    return _study(optuna, sampler, space, first, objective, evaluations)


def _study(
    optuna: Any,
    sampler: Any,
    space: s.SearchSpace,
    first: np.ndarray,
    objective: Any,
    evaluations: int,
) -> float:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    for u in first:
        study.enqueue_trial(space.decode(u))

    def run(trial: Any) -> float:
        dimensions: Any = space.dimensions.items()
        return objective(
            {k: trial.suggest_float(k, d.low, d.high, log=d.log) for k, d in dimensions}
        )

    study.optimize(run, n_trials=evaluations)
    return float(study.best_value)


def skopt_gp(
    space: s.SearchSpace, first: np.ndarray, objective: Any, evaluations: int, seed: int
) -> float:
    """scikit-optimize's gp_minimize with expected improvement."""
    skopt = require("skopt", "notebooks", "the benchmark of searches (pip install scikit-optimize)")
    names: list[str] = list(space.dimensions)
    dimensions: Any = space.dimensions.values()
    box = [
        skopt.space.Real(float(d.low), float(d.high), "log-uniform" if d.log else "uniform")
        for d in dimensions
    ]
    result = skopt.gp_minimize(
        lambda x: objective(dict(zip(names, map(float, x)))),
        box,
        n_calls=evaluations,
        x0=[list(space.decode(u).values()) for u in first],
        n_initial_points=0,
        random_state=seed,
        acq_func="EI",
    )
    return float(result.fun)


PEERS: dict[str, Objective] = {
    "random": random,
    "Optuna TPE": optuna_tpe,
    "Optuna GP": optuna_gp,
    "scikit-optimize GP": skopt_gp,
}


def svr() -> tuple[str, s.SearchSpace, Callable[[dict[str, Any]], float], float]:
    """A real surface: cross-validated error of a support vector machine on scikit-learn's diabetes table."""
    sklearn = require("sklearn.model_selection", "notebooks", "the benchmark of searches")
    datasets = require("sklearn.datasets", "notebooks", "the benchmark of searches")
    svm = require("sklearn.svm", "notebooks", "the benchmark of searches")
    x, y = datasets.load_diabetes(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)

    def error(params: dict[str, Any]) -> float:
        scores = sklearn.cross_val_score(
            svm.SVR(**params), x, y, cv=3, scoring="neg_root_mean_squared_error"
        )
        return -float(scores.mean())

    space = s.SearchSpace(
        {
            "C": s.Float(1e-1, 1e3, log=True),
            "gamma": s.Float(1e-5, 1, log=True),
            "epsilon": s.Float(1e-2, 1e2, log=True),
        }
    )
    return "SVM, diabetes", space, error, np.nan  # the minimum is the best that any search found


def regrets(
    peers: dict[str, Objective], seeds: int, evaluations: int, functions: tuple[s.TestFunction, ...]
) -> dict[str, dict[str, np.ndarray]]:
    """Regret of every run: {function: {search: (seeds,)}}."""
    tasks: list[Any] = [(f.name, f.space, f, f.minimum) for f in functions] + [svr()]
    table: dict[str, dict[str, np.ndarray]] = {}
    for name, space, objective, minimum in tasks:
        found = {}
        for peer, run in {"ours": ours, **peers}.items():
            started = time.perf_counter()
            values = []
            for seed in range(seeds):
                first = s.latin_hypercube(np.random.default_rng(1000 + seed), FIRST, space.size)
                values.append(run(space, first, objective, evaluations, seed))
            found[peer] = np.array(values)
            print(
                f"{name:15}{peer:20}{(time.perf_counter() - started) / seeds:8.2f} s a run",
                file=sys.stderr,
            )
        least = min(v.min() for v in found.values()) if np.isnan(minimum) else minimum
        table[name] = {peer: np.maximum(v - least, 0) for peer, v in found.items()}
    return table


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected for their number: the k-th smallest of m times m - k + 1, never falling."""
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(corrected, 1)
    return out


def compare(table: dict[str, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """One row a function and peer: medians, pairs won, and both corrected p-values."""
    stats = require("scipy.stats", "notebooks", "the benchmark of searches")
    rows: list[dict[str, Any]] = []
    for name, found in table.items():
        for peer in (peer for peer in found if peer != "ours"):
            a, b = (np.log10(np.maximum(found[key], FLOOR)) for key in ("ours", peer))
            p = {
                side: stats.wilcoxon(a, b, alternative=side).pvalue if (a != b).any() else 1.0
                for side in ("less", "greater")
            }
            rows.append(
                {
                    "function": name, "peer": peer, "pairs": len(a),
                    "ours_median": float(np.median(found["ours"])),
                    "peer_median": float(np.median(found[peer])),
                    "won": int((a < b).sum()), "lost": int((a > b).sum()),
                    "p_better": p["less"], "p_worse": p["greater"],
                }
            )  # fmt: skip
    for key in ("p_better", "p_worse"):
        for row, value in zip(rows, holm(np.array([row[key] for row in rows]))):
            row[key] = float(value)
    for row in rows:
        row["verdict"] = (
            "better"
            if row["p_better"] < 0.05
            else "worse"
            if row["p_worse"] < 0.05
            else "no difference shown"
        )
    return rows


def main() -> int:
    """Measure and print; exit code 1 where ours is significantly worse than a peer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--evaluations", type=int, default=50)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS)[:3])
    parser.add_argument("--csv", type=Path, help="write the table here")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    chosen = {name: PEERS[name] for name in arguments.peers}
    rows = compare(regrets(chosen, arguments.seeds, arguments.evaluations, s.FUNCTIONS))
    print(
        f"{'function':15}{'peer':20}{'ours':>10}{'peer':>10}{'won':>5}{'lost':>5}"
        f"{'p better':>10}{'p worse':>9}"
    )
    for r in rows:
        print(
            f"{r['function']:15}{r['peer']:20}{r['ours_median']:10.2g}{r['peer_median']:10.2g}"
            f"{r['won']:5}{r['lost']:5}{r['p_better']:10.2g}{r['p_worse']:9.2g}  {r['verdict']}"
        )
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for r in rows:
                writer.writerow(
                    {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in r.items()}
                )
    return int(any(r["verdict"] == "worse" for r in rows))


if __name__ == "__main__":
    sys.exit(main())
