"""The folds are scikit-learn's, row by row, and keep what each splitter promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import model_selection as theirs

from lmbook.training import validation as ours


def same(a, b):
    a, b = list(a), list(b)
    return len(a) == len(b) and all(
        np.array_equal(p, r) and np.array_equal(q, s) for (p, q), (r, s) in zip(a, b)
    )


def table(seed, n, classes=3, groups=8):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.repeat(np.arange(classes), 9), rng.integers(0, classes, n)])
    g = np.concatenate([np.arange(groups), rng.integers(0, groups, len(y) - groups)])
    order = rng.permutation(len(y))
    return np.zeros((len(y), 1)), y[order], g[order]


cases = st.tuples(st.integers(0, 10**6), st.integers(0, 90), st.integers(2, 6))


@settings(max_examples=60, deadline=None)
@given(cases, st.booleans())
def test_equal_to_scikit_learn(case, shuffle):
    seed, n, k = case
    x, y, g = table(seed, n)
    how = {"shuffle": True, "random_state": seed} if shuffle else {}
    for name in ("KFold", "StratifiedKFold"):
        mine, other = (getattr(room, name)(k, **how) for room in (ours, theirs))
        assert same(mine.split(x, y), other.split(x, y)), name
    for name in ("GroupKFold", "StratifiedGroupKFold"):
        mine, other = getattr(ours, name)(k), getattr(theirs, name)(k)
        assert same(mine.split(x, y, g), other.split(x, y, g)), name


@settings(max_examples=40, deadline=None)
@given(
    st.integers(30, 90), st.integers(2, 5), st.integers(0, 3), st.sampled_from([None, 2, 4]),
    st.sampled_from([None, 5]),
)  # fmt: skip
def test_time_series_as_scikit_learn(n, k, gap, size, most):
    how = {"gap": gap, "test_size": size, "max_train_size": most}
    x = np.zeros(n)
    mine, other = ours.TimeSeriesSplit(k, **how), theirs.TimeSeriesSplit(k, **how)
    assert same(mine.split(x), other.split(x))


@settings(max_examples=60, deadline=None)
@given(cases)
def test_promises(case):
    seed, n, k = case
    x, y, g = table(seed, n)
    shuffled = ours.KFold(k, shuffle=True, random_state=seed)
    for splitter in (shuffled, ours.StratifiedKFold(k), ours.GroupKFold(k)):
        folds = list(splitter.split(x, y, g))
        tested = np.concatenate([test for _, test in folds])
        assert sorted(tested) == list(range(len(y)))  # every row once
        for train, test in folds:
            assert sorted([*train, *test]) == list(range(len(y)))
    for train, test in ours.GroupKFold(k).split(x, y, g):
        assert not set(g[train]) & set(g[test])
    for train, test in ours.StratifiedGroupKFold(k).split(x, y, g):
        assert not set(g[train]) & set(g[test])
    counts = np.array(
        [np.bincount(y[test], minlength=3) for _, test in ours.StratifiedKFold(k).split(x, y)]
    )
    assert (np.ptp(counts, axis=0) <= 1).all() and np.ptp(counts.sum(axis=1)) <= 1


def test_strings_are_classes_and_groups():
    y = np.array(["no", "yes"] * 10)
    g = np.array(list("abcde") * 4)
    x = np.zeros(20)
    assert same(ours.StratifiedKFold(4).split(x, y), theirs.StratifiedKFold(4).split(x, y))
    assert same(ours.GroupKFold(3).split(x, y, g), theirs.GroupKFold(3).split(x, y, g))


@pytest.mark.parametrize(
    ("splitter", "y", "groups", "says"),
    [
        (ours.KFold(7), None, None, "6 rows cannot fill 7 folds"),
        (ours.StratifiedKFold(3), [0, 0, 0, 1, 1, 0], None, "class 1 has 2 rows for 3 folds"),
        (ours.StratifiedKFold(3), None, None, "needs the labels"),
        (ours.StratifiedKFold(2), [0.5, 1, 2, 3, 4, 5], None, "not whole numbers; use KFold"),
        (ours.StratifiedKFold(2), [0, 1, 0, 1], None, r"6 rows need labels of shape \(6,\), got \(4,\)"),
        (ours.StratifiedKFold(2), [0, 1, 0, 1, 0, np.nan], None, "labels hold NaN at row 5"),
        (ours.GroupKFold(3), None, [0, 0, 0, 1, 1, 1], "2 groups cannot fill 3 folds; take at most 2"),
        (ours.GroupKFold(3), None, None, "needs the group of each row"),
        (ours.StratifiedGroupKFold(4), [0] * 6, [0, 1, 2, 0, 1, 2], "3 groups cannot fill 4 folds"),
        (ours.TimeSeriesSplit(6), None, None, "6 rows leave nothing to learn from"),
        (ours.TimeSeriesSplit(2, gap=2), None, None, "with a gap of 2"),
    ],
)  # fmt: skip
def test_bad_input(splitter, y, groups, says):
    with pytest.raises(ValueError, match=says):
        list(splitter.split(np.zeros(6), y, groups))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ours.KFold(1), "n_splits must be a whole number from 2, not 1"),
        (lambda: ours.KFold(2.5), "n_splits must be a whole number from 2, not 2.5"),
        (lambda: ours.KFold(3, random_state=1), "no effect without shuffle=True"),
        (lambda: ours.TimeSeriesSplit(3, gap=-1), "gap must be a whole number from 0"),
    ],
)
def test_bad_splitters(make, says):
    with pytest.raises(ValueError, match=says):
        make()
