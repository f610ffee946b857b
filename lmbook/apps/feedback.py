"""A world of people and films in which all is known: who likes what, what was shown, what was clicked.

A log of a real service has clicks and no tastes. Here both are there, so that one can see what a log
says of the tastes behind it, and what it says of the program that chose what to show.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Policy = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Log(NamedTuple):
    """Every film that was shown: whom, which, in what place from 0, whether it was clicked, which round."""

    users: np.ndarray
    items: np.ndarray
    places: np.ndarray
    clicked: np.ndarray
    rounds: np.ndarray

    def counts(self, users: int, items: int) -> np.ndarray:
        """Clicks of each pair: (users, items)."""
        chosen = self.users[self.clicked] * items + self.items[self.clicked]
        return np.bincount(chosen, minlength=users * items).reshape(users, items)


def tastes(
    users: int, items: int, factors: int = 4, spread: float = 1.5, quality: float = 0.5,
    seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Probability that a person who looks at a film clicks it: (users, items).

    sigmoid(spread p_u . q_i / sqrt(factors) + quality z_i - 1.5),   all of p, q, z standard normal
    """
    g = np.random.default_rng(seed)
    p, q = g.standard_normal((users, factors)), g.standard_normal((items, factors))
    logit = spread * p @ q.T / np.sqrt(factors) + quality * g.standard_normal(items) - 1.5
    return 1 / (1 + np.exp(-logit))


def at_random(clicks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A policy: all films in an order drawn by lot."""
    return generator.random(clicks.shape)


def most_clicked(clicks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A policy: films by the clicks of all, the same for everyone; ties by lot."""
    return clicks.sum(axis=0) + generator.random(clicks.shape) * 1e-3


def simulate(
    like: np.ndarray, policy: Policy, rounds: int = 20, slate: int = 10, attention: float = 0.85,
    explore: float = 0.1, seed: int = 0,
) -> Log:  # fmt: skip
    """Each round shows everyone a slate, best score first, and logs who clicked what.

    The policy scores all films from the clicks so far, (users, items) -> (users, items). A place of the
    slate is filled by lot with probability `explore`. Place n is looked at with probability
    attention^n, and what is looked at is clicked with probability `like`. A person may see and click a
    film again.
    """
    users, items = like.shape
    if not 0 < slate <= items:
        raise ValueError(
            f"simulate: a slate of {slate} from {items} films; show at least 1 and at most all"
        )
    for name, share in (("attention", attention), ("explore", explore)):
        if not 0 <= share <= 1:
            raise ValueError(f"simulate: {name} = {share} is no probability")
    g = np.random.default_rng(seed)
    clicks = np.zeros((users, items), np.int64)
    who, places = np.repeat(np.arange(users), slate), np.tile(np.arange(slate), users)
    parts = []
    for r in range(rounds):
        scores = np.array(policy(clicks, g), np.float64)
        order = np.argsort(-scores, axis=1)
        lots = np.argsort(g.random((users, items)), axis=1)
        shown = _mixed(order, lots, g.random((users, slate)) < explore).ravel()
        looked = g.random(len(who)) < attention**places
        clicked = looked & (g.random(len(who)) < like[who, shown])
        np.add.at(clicks, (who[clicked], shown[clicked]), 1)
        parts.append(Log(who, shown, places, clicked, np.full(len(who), r)))
    return Log(*(np.concatenate(column) for column in zip(*parts)))


def _mixed(order: np.ndarray, lots: np.ndarray, by_lot: np.ndarray) -> np.ndarray:
    """Fill each place from `lots` where told, else from `order`, no film twice in a slate."""
    slate = np.empty(by_lot.shape, np.int64)
    for u in range(len(order)):
        used: set[int] = set()
        queues = iter(order[u]), iter(lots[u])
        for place, lot in enumerate(by_lot[u]):
            slate[u, place] = next(int(i) for i in queues[int(lot)] if int(i) not in used)
            used.add(int(slate[u, place]))
    return slate


def concentration(log: Log, items: int, share: float = 0.1) -> float:
    """What the most clicked films, a `share` of all, have of the clicks: from `share` to 1."""
    counts = np.sort(np.bincount(log.items[log.clicked], minlength=items))[::-1]
    return float(counts[: max(1, round(share * items))].sum() / max(counts.sum(), 1))


def enjoyed(like: np.ndarray, scores: np.ndarray, k: int = 10) -> float:
    """Mean taste for the k films that score highest for each person: what a log does not say."""
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return float(np.take_along_axis(like, top, axis=1).mean())
