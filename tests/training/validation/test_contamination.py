"""Planted copies are found, whole and changed; honest documents are left alone."""

import numpy as np
import pytest

from lmbook import data
from lmbook.data.minhash import jaccard, shingles
from lmbook.training.validation import contamination, repeated_rows


@pytest.fixture(scope="module")
def paragraphs():
    text = data.language_reference().text
    return list(dict.fromkeys(p for p in text.split("\n\n") if len(p) > 250))[:400]


def test_planted_copies(paragraphs):
    train, test = paragraphs[::2], paragraphs[1::2][:60]
    before = {o.test for o in contamination(train, test)}
    rng = np.random.default_rng(0)
    planted = []
    for i in rng.choice(len(train), 12, replace=False):
        words = train[i].split()
        words[rng.integers(len(words))] = "something"  # one word changed
        planted.append(" ".join(words))
    found = contamination(train, test + planted)
    assert {o.test for o in found} == before | set(range(60, 72))
    for o in found:
        other = (test + planted)[o.test]
        assert o.similarity == jaccard(shingles(train[o.train]), shingles(other)) >= 0.7


def test_agrees_with_comparing_every_pair(paragraphs):
    train, test = paragraphs[:150], paragraphs[150:230] + [p[:-40] for p in paragraphs[:5]]
    sets = [[shingles(p) for p in part] for part in (train, test)]
    said = {
        j for j, b in enumerate(sets[1]) if max(jaccard(a, b) for a in sets[0]) >= 0.7
    }  # fmt: skip
    assert {o.test for o in contamination(train, test)} == said >= {80, 81, 82, 83, 84}


def test_empty_sides_and_bad_threshold():
    assert contamination([], ["a b c"]) == [] == contamination(["a b c"], [])
    assert contamination([], []) == [] == contamination(["", "x"], [""])
    with pytest.raises(ValueError, match="threshold 0 must be above 0"):
        contamination(["a"], ["a"], 0)


def test_repeated_rows():
    train = np.array([[0.1 + 0.2, 0.0], [1, 2]])
    assert repeated_rows(train, [[0.3, -0.0], [1, 3]]).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"got shapes \(2, 2\) and \(1, 3\)"):
        repeated_rows(train, [[1, 2, 3]])
