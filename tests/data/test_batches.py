"""Loaders give every row, in the order that was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmbook
from lmbook import data


@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.booleans())
def test_every_row_once(n, batch_size, shuffle, drop_last):
    x = np.arange(n)
    loader = data.DataLoader(
        data.TensorDataset(x, x * 10), batch_size, shuffle, generator=0, drop_last=drop_last
    )
    batches = list(loader)
    assert len(batches) == len(loader)
    assert all((b == 10 * a).all() for a, b in batches)
    seen = np.concatenate([a for a, _ in batches]) if batches else np.empty(0, int)
    if drop_last:
        assert all(len(a) == batch_size for a, _ in batches)
        assert len(set(seen)) == len(seen) == n - n % batch_size
    else:
        assert sorted(seen) == list(x)
    if not shuffle:
        assert list(seen) == list(x[: len(seen)])


def test_seed_fixes_the_order_and_passes_differ():
    rows = data.TensorDataset(np.arange(100))

    def order(loader):
        return [int(i) for (batch,) in loader for i in batch]

    one, two = (data.DataLoader(rows, 8, shuffle=True, generator=3) for _ in "ab")
    first = order(one)
    assert first == order(two) and first != order(one)
    lmbook.manual_seed(5)
    default = order(data.DataLoader(rows, 8, shuffle=True))
    lmbook.manual_seed(5)
    assert default == order(data.DataLoader(rows, 8, shuffle=True))


def test_plain_lists_are_stacked_and_lengths_are_checked():
    rows = [(np.zeros(2), 1), (np.ones(2), 2)]
    ((x, y),) = data.DataLoader(rows, 2)
    assert x.shape == (2, 2) and list(y) == [1, 2]
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        data.TensorDataset(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="batch_size 0"):
        data.DataLoader(rows, 0)


def test_streams_go_on_where_they_ended():
    ids = np.arange(1000)
    loader = data.StreamLoader(ids, batch_size=4, length=7)
    batches = list(loader)
    assert len(batches) == len(loader) == 35
    for x, y in batches:
        assert x.shape == y.shape == (4, 7) and (y == x + 1).all()
    rows = np.concatenate([x for x, _ in batches], axis=1)
    assert (np.diff(rows, axis=1) == 1).all() and list(rows[:, 0]) == [0, 250, 500, 750]
    with pytest.raises(ValueError, match="lower batch_size or length"):
        data.StreamLoader(ids, batch_size=100, length=50)


def test_windows_are_shifted_by_one_and_seeded():
    ids = np.arange(50) ** 2
    one = list(data.WindowLoader(ids, 6, 5, steps=200, generator=1))
    two = list(data.WindowLoader(ids, 6, 5, steps=200, generator=1))
    assert len(one) == 200
    starts = set()
    for (x, y), (x2, _) in zip(one, two):
        assert (x == x2).all() and (x[:, 1:] == y[:, :-1]).all()
        starts |= set(x[:, 0].tolist())
    assert starts == {i**2 for i in range(45)}  # every place, first and last too
    assert max(int(y.max()) for _, y in one) == 49**2


@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 12), st.data())
def test_evaluation_counts_every_token_once(n, batch_size, length, draw):
    stride = draw.draw(st.integers(1, length))
    ids = np.arange(n)
    loader = data.EvaluationLoader(ids, batch_size, length, stride)
    batches = list(loader)
    assert len(batches) == len(loader)
    counted = [int(v) for _, y, w in batches for v in y[w > 0]]
    assert sorted(counted) == list(range(1, n))
    for x, y, w in batches:
        assert (y[w > 0] == x[w > 0] + 1).all()
        for row, weight in zip(x, w):
            if weight.any() and row[0] > 0:
                assert np.flatnonzero(weight)[0] >= length - stride


def test_wrong_token_ids_are_named():
    with pytest.raises(ValueError, match=r"got float64 \(3,\)"):
        data.WindowLoader(np.zeros(3), 1, 1, 1)
    with pytest.raises(ValueError, match="too few for windows of length 5"):
        data.WindowLoader(np.arange(5), 1, 5, 1)
    with pytest.raises(ValueError, match="stride 9"):
        data.EvaluationLoader(np.arange(50), 1, 5, stride=9)


def test_pairs_are_padded_and_shifted():
    collate = data.PairCollate(pad=0, bos=1, eos=2)
    batch = collate([(np.array([5, 6]), np.array([7])), (np.array([8]), np.array([9, 10, 11]))])
    assert batch.source.tolist() == [[5, 6, 2], [8, 2, 0]]
    assert batch.source_mask.tolist() == [[True, True, True], [True, True, False]]
    assert batch.decoder_input.tolist() == [[1, 7, 0, 0], [1, 9, 10, 11]]
    assert batch.labels.tolist() == [[7, 2, 0, 0], [9, 10, 11, 2]]
    assert batch.label_mask.tolist() == [[True, True, False, False], [True] * 4]


def test_padding():
    assert data.pad_sequences([[1, 2], [3]], 9, length=3).tolist() == [[1, 2, 9], [3, 9, 9]]
    assert data.pad_sequences([], 0).shape == (0, 0)
    with pytest.raises(ValueError, match="a sequence of 2 does not fit length 1"):
        data.pad_sequences([[1, 2]], 0, length=1)


def test_buckets_hold_every_row_once_and_similar_lengths():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 50, size=1003)
    sampler = data.BucketSampler(lengths, 16, generator=0)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(np.concatenate(batches)) == list(range(1003))
    spread = np.mean([np.ptp(lengths[rows]) for rows in batches])
    assert spread < 5 < np.ptp(lengths)
    assert any((a.tolist() != b.tolist()) for a, b in zip(batches, list(sampler)))
    rows = [(np.arange(n), np.arange(n)) for n in lengths]
    loader = data.DataLoader(
        rows, batch_sampler=sampler, collate_fn=data.PairCollate(pad=0, bos=1, eos=2)
    )
    assert len(loader) == len(list(loader)) == len(sampler)


def test_transforms():
    assert data.one_hot(np.array([[2, 0]]), 3).tolist() == [[[0, 0, 1], [1, 0, 0]]]
    with pytest.raises(ValueError, match="labels from 0 to 3 do not fit 3 classes"):
        data.one_hot(np.array([0, 3]), 3)
    x = np.random.default_rng(0).normal(3, 2, size=(500, 4)).astype(np.float32)
    z = data.normalise(x, x.mean(0), x.std(0))
    assert z.dtype == np.float32 and abs(z.mean()) < 1e-5 and abs(z.std() - 1) < 1e-5


def test_random_shift_moves_and_loses_nothing_inside():
    images = np.zeros((200, 2, 9, 9), np.float32)
    images[:, 0, 4, 4] = 1
    images[:, 1, 4, 5] = 2
    moved = data.random_shift(images, 3, np.random.default_rng(0))
    assert moved.shape == images.shape and moved.dtype == images.dtype
    assert (moved.sum((2, 3)) == [1, 2]).all()
    places = {tuple(np.argwhere(image)[0]) for image in moved[:, 0]}
    assert {row for row, _ in places} == {column for _, column in places} == set(range(1, 8))
    for image in moved:  # the channels move together
        (a,), (b,) = np.argwhere(image[0]), np.argwhere(image[1])
        assert (b - a).tolist() == [0, 1]
