"""Masked tokens and corrupted spans."""

import numpy as np
import pytest

from lmbook import data
from lmbook.data.objectives import IGNORED


def test_of_the_chosen_tokens_eight_in_ten_are_hidden_one_is_swapped_and_one_stays():
    rng = np.random.default_rng(0)
    ids = rng.integers(1000, size=(200, 500))
    read, labels = data.mask_tokens(ids, 1000, 1000, rng)
    chosen = labels != IGNORED
    assert abs(chosen.mean() - 0.15) < 0.005
    np.testing.assert_array_equal(labels[chosen], ids[chosen])
    np.testing.assert_array_equal(read[~chosen], ids[~chosen])
    masked = read[chosen] == 1000
    same = read[chosen] == ids[chosen]
    assert abs(masked.mean() - 0.8) < 0.01
    assert abs(same.mean() - 0.1) < 0.01
    assert abs((~masked & ~same).mean() - 0.1) < 0.01


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": 1.5}, {"swapped": 0.6, "kept": 0.6}])
def test_impossible_shares_are_refused(options):
    with pytest.raises(ValueError, match="mask_tokens: rate"):
        data.mask_tokens(np.arange(4), 9, 9, np.random.default_rng(0), **options)


@pytest.mark.parametrize("length", [2, 3, 10, 48, 200])
@pytest.mark.parametrize("rate", [0.15, 0.5, 0.9])
def test_source_and_target_together_are_the_text(length, rate):
    rng = np.random.default_rng(length)
    ids = rng.integers(100, size=length)
    sentinels = list(range(1000, 1300))
    for _ in range(20):
        source, target = data.corrupt_spans(ids, sentinels, rng, rate)
        spans: dict[int, list[int]] = {}
        for token in target:
            if token >= 1000:
                spans[int(token)] = []
                last = int(token)
            else:
                spans[last].append(int(token))
        assert spans.pop(last) == []  # the end
        text = [t for s in source for t in (spans.pop(int(s)) if s >= 1000 else [s])]
        np.testing.assert_array_equal(text, ids)
        assert not spans
        assert list(source[source >= 1000]) == sentinels[: (source >= 1000).sum()]
        hidden = (target < 1000).sum()
        assert hidden == min(max(round(rate * length), 1), length - 1)


def test_spans_have_the_length_that_is_asked_for():
    rng = np.random.default_rng(0)
    source, target = data.corrupt_spans(np.arange(1000), range(1000, 1200), rng, 0.15, 3)
    assert len(source) == 1000 - 150 + 50
    assert len(target) == 150 + 50 + 1


@pytest.mark.parametrize(
    ("ids", "options", "words"),
    [
        (np.arange(1), {}, "two tokens or more"),
        (np.zeros((2, 8), int), {}, r"got shape \(2, 8\)"),
        (np.arange(8), {"rate": 1.0}, "must be in"),
        (np.arange(8), {"mean_length": 0.5}, "at least 1"),
        (np.arange(100), {"rate": 0.5}, "17 spans need 18 sentinels, got 2"),
    ],
)
def test_what_cannot_be_done_is_said(ids, options, words):
    with pytest.raises(ValueError, match=words):
        data.corrupt_spans(ids, [100, 101], np.random.default_rng(0), **options)
