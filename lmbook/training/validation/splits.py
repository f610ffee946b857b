"""Ways to divide rows into training and test parts, over and over, until each was tested once.

Every splitter has `split(x, y, groups)`, which yields pairs (train, test) of row numbers in
ascending order. The folds are those of scikit-learn's classes of the same names, to the row, also
where they are shuffled: both draw from `numpy.random.RandomState`, whose stream never changes.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from lmbook.backend.errors import ShapeError

Fold = tuple[np.ndarray, np.ndarray]


class Splitter(Protocol):
    """What `cross_validate` needs of a splitter."""

    n_splits: int

    def split(self, x: Any, y: Any = None, groups: Any = None) -> Iterator[Fold]:
        """Pairs (train, test) of row numbers."""
        ...


class _Folds:
    """Splitters that number each row with the fold in which it is tested."""

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: int | None = None
    ) -> None:
        self.n_splits = whole(type(self).__name__, "n_splits", n_splits, 2)
        if random_state is not None and not shuffle:
            raise ValueError(
                f"{type(self).__name__}: random_state={random_state} has no effect without shuffle=True"
            )
        self.shuffle, self.random_state = shuffle, random_state

    def split(self, x: Any, y: Any = None, groups: Any = None) -> Iterator[Fold]:
        """Pairs (train, test) of row numbers; each row is in one test part."""
        fold = self.assign(len(x), y, groups)
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def assign(self, n: int, y: Any = None, groups: Any = None) -> np.ndarray:
        """For each of n rows the number of the fold that tests it, of shape (n,)."""
        raise NotImplementedError(f"{type(self).__name__} has no assign method: write one")

    def _random(self) -> np.random.RandomState:
        return np.random.RandomState(self.random_state)


class KFold(_Folds):
    """k blocks of neighbouring rows, or of shuffled ones; the first n mod k have one row more."""

    def assign(self, n: int, y: Any = None, groups: Any = None) -> np.ndarray:
        """Fold numbers by position alone."""
        if n < self.n_splits:
            raise ValueError(f"KFold: {n} rows cannot fill {self.n_splits} folds")
        order = np.arange(n)
        if self.shuffle:
            self._random().shuffle(order)
        fold = np.empty(n, dtype=np.int64)
        for k, block in enumerate(np.array_split(order, self.n_splits)):
            fold[block] = k
        return fold


class StratifiedKFold(_Folds):
    """k folds with each class in nearly the same share: its counts in two folds differ by at most 1.

    A class with fewer rows than folds would be missing from some of them: an error here, where
    scikit-learn warns.
    """

    def assign(self, n: int, y: Any = None, groups: Any = None) -> np.ndarray:
        """Fold numbers that deal out each class."""
        labels, code = classes_of("StratifiedKFold", y, n)
        counts = np.bincount(code)
        if counts.min() < self.n_splits:
            rare = int(counts.argmin())
            raise ValueError(
                f"StratifiedKFold: class {labels[rare]!r} has {counts[rare]} rows for {self.n_splits} folds "
                "and would be missing from some; take fewer folds, or join the class with another"
            )
        code = by_appearance(code)
        rows_in_order = np.sort(code)  # deal like cards, so that the folds' sizes stay level
        random = self._random()
        fold = np.empty(n, dtype=np.int64)
        for c in range(len(counts)):
            shares = [(rows_in_order[k :: self.n_splits] == c).sum() for k in range(self.n_splits)]
            numbers = np.repeat(np.arange(self.n_splits), shares)
            if self.shuffle:
                random.shuffle(numbers)
            fold[code == c] = numbers
        return fold


class GroupKFold(_Folds):
    """k folds such that no group is in two of them: the largest groups first, each to the emptiest fold."""

    def __init__(self, n_splits: int = 5) -> None:
        super().__init__(n_splits)

    def assign(self, n: int, y: Any = None, groups: Any = None) -> np.ndarray:
        """Fold numbers, the same for all rows of a group."""
        _, code = groups_of("GroupKFold", groups, n, self.n_splits)
        sizes = np.bincount(code)
        filled = np.zeros(self.n_splits, dtype=np.int64)
        fold_of = np.empty(len(sizes), dtype=np.int64)
        for g in np.argsort(sizes, kind="stable")[::-1]:
            fold_of[g] = filled.argmin()
            filled[fold_of[g]] += sizes[g]
        return fold_of[code]


class StratifiedGroupKFold(_Folds):
    """Whole groups, and each class in nearly the same share, as far as the groups allow.

    Greedy: groups with the most uneven classes come first, and each goes where the shares of the
    classes then vary least between the folds.
    """

    def __init__(self, n_splits: int = 5) -> None:
        super().__init__(n_splits)

    def assign(self, n: int, y: Any = None, groups: Any = None) -> np.ndarray:
        """Fold numbers, the same for all rows of a group."""
        _, label = classes_of("StratifiedGroupKFold", y, n)
        _, group = groups_of("StratifiedGroupKFold", groups, n, self.n_splits)
        table = np.zeros((group.max() + 1, label.max() + 1))
        np.add.at(table, (group, label), 1)  # rows of each class in each group
        filled = np.zeros((self.n_splits, table.shape[1]))
        fold_of = np.empty(len(table), dtype=np.int64)
        for g in np.argsort(-table.std(axis=1), kind="stable"):
            fold_of[g] = k = self._best_fold(filled, table[g], table.sum(axis=0))
            filled[k] += table[g]
        return fold_of[group]

    @staticmethod
    def _best_fold(filled: np.ndarray, group: np.ndarray, totals: np.ndarray) -> int:
        best, least, size = 0, np.inf, np.inf
        for k in range(len(filled)):
            trial = filled.copy()
            trial[k] += group
            spread = (trial / totals).std(axis=0).mean()
            smaller = np.isclose(spread, least) and trial[k].sum() < size
            if spread < least or smaller:
                best, least, size = k, spread, trial[k].sum()
        return best


class TimeSeriesSplit:
    """The past predicts the future: test parts follow each other, training is all before (less `gap`).

    `test_size` rows each, by default n / (k + 1); at most `max_train_size` rows of training.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: int | None = None,
        gap: int = 0,
        max_train_size: int | None = None,
    ) -> None:
        self.n_splits = whole("TimeSeriesSplit", "n_splits", n_splits, 2)
        self.gap = whole("TimeSeriesSplit", "gap", gap, 0)
        self.test_size = (
            None if test_size is None else whole("TimeSeriesSplit", "test_size", test_size, 1)
        )
        self.max_train_size = max_train_size

    def split(self, x: Any, y: Any = None, groups: Any = None) -> Iterator[Fold]:
        """Pairs (train, test) of row numbers, in the order of time."""
        n = len(x)
        size = self.test_size or n // (self.n_splits + 1)
        first = n - self.n_splits * size
        if size < 1 or first - self.gap < 1:
            raise ValueError(
                f"TimeSeriesSplit: {n} rows leave nothing to learn from before the first of "
                f"{self.n_splits} tests of {size} rows with a gap of {self.gap}"
            )
        for start in range(first, n, size):
            stop = start - self.gap
            begin = max(0, stop - self.max_train_size) if self.max_train_size else 0
            yield np.arange(begin, stop), np.arange(start, start + size)


def whole(name: str, what: str, value: int, least: int) -> int:
    """`value` as an int, or an error that names it."""
    if value != int(value) or value < least:
        raise ValueError(f"{name}: {what} must be a whole number from {least}, not {value}")
    return int(value)


def by_appearance(code: np.ndarray) -> np.ndarray:
    """The same classes, numbered in the order in which they first appear."""
    _, first = np.unique(code, return_index=True)
    return np.argsort(np.argsort(first))[code]


def classes_of(name: str, y: Any, n: int) -> tuple[list[Any], np.ndarray]:
    """The classes in y, sorted, and for each row the number of its class."""
    if y is None:
        raise ValueError(f"{name}: needs the labels: split(x, y)")
    column = _column(name, "labels", y, n)
    if column.dtype.kind == "f" and not (column == np.round(column)).all():
        raise ValueError(
            f"{name}: labels must be classes, and these are not whole numbers; use KFold"
        )
    found, code = np.unique(column, return_inverse=True)
    return found.tolist(), code


def groups_of(name: str, groups: Any, n: int, n_splits: int) -> tuple[list[Any], np.ndarray]:
    """The groups, sorted, and for each row the number of its group; at least one for each fold."""
    if groups is None:
        raise ValueError(f"{name}: needs the group of each row: split(x, y, groups)")
    found, code = np.unique(_column(name, "groups", groups, n), return_inverse=True)
    if len(found) < n_splits:
        raise ValueError(
            f"{name}: {len(found)} groups cannot fill {n_splits} folds; take at most {len(found)} folds"
        )
    return found.tolist(), code


def _column(name: str, what: str, values: Any, n: int) -> np.ndarray:
    column = np.asarray(values)
    if column.shape != (n,):
        raise ShapeError(f"{name}: {n} rows need {what} of shape ({n},), got {column.shape}")
    if column.dtype.kind == "f" and np.isnan(column).any():
        raise ValueError(f"{name}: {what} hold NaN at row {int(np.isnan(column).argmax())}")
    return column
