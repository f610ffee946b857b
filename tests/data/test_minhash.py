"""MinHash estimates Jaccard similarity without bias; bands collide as often as theory says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbook import data
from lmbook.data.minhash import _PRIME, _times_mod


@given(st.integers(0, 2**61 - 2), st.integers(0, 2**32 - 1))
def test_products_modulo_the_prime(a, x):
    product = _times_mod(np.array([a], dtype=np.uint64), np.array([x], dtype=np.uint64))
    assert int(product[0]) % _PRIME == a * x % _PRIME and int(product[0]) < 2**62


def two_sets(similarity, size=1000):
    """Sets of about `size` elements in all with the given Jaccard similarity, exactly."""
    shared = round(similarity * size)
    rest = [f"r{i}" for i in range(size - shared)]
    common = {f"c{i}" for i in range(shared)}
    return common | set(rest[::2]), common | set(rest[1::2])


@pytest.mark.parametrize("similarity", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_share_of_equal_entries_estimates_the_similarity(similarity):
    a, b = two_sets(similarity)
    assert data.jaccard(a, b) == similarity
    hashes = data.MinHash(4096, seed=1)
    equal = (hashes.signature(a) == hashes.signature(b)).mean()
    assert abs(equal - similarity) <= 4 * np.sqrt(similarity * (1 - similarity) / 4096)


def test_bands_collide_as_often_as_theory_says():
    bands, rows, draws = 8, 4, 600
    for similarity in (0.3, 0.55, 0.8):
        a, b = two_sets(similarity, 200)
        hashes = data.MinHash(bands * rows * draws, seed=2)
        both = np.stack([hashes.signature(a), hashes.signature(b)]).reshape(2, draws, bands * rows)
        hits = np.mean([bool(data.candidate_pairs(both[:, d], bands)) for d in range(draws)])
        p = float(data.collision_probability(similarity, bands, rows))
        assert abs(hits - p) <= 4 * np.sqrt(p * (1 - p) / draws)


def test_collision_probability_in_closed_form():
    assert data.collision_probability(0.5, 1, 1) == 0.5
    assert data.collision_probability(0.5, 2, 1) == 0.75
    assert data.collision_probability(0.5, 2, 2) == 1 - 0.75**2


def test_deduplicate_finds_what_comparing_all_pairs_finds(reference):
    texts = [p for p in reference.train.split("\n\n") if len(p) > 80][:150]
    texts += [t.replace("the", "The", 1) + " indeed" for t in texts[:40]] + texts[:5]
    sets = [data.shingles(t) for t in texts]
    parent = list(range(len(texts)))
    for j in range(len(texts)):
        for i in range(j):
            if data.jaccard(sets[i], sets[j]) >= 0.8:
                old, new = parent[j], parent[i]
                parent = [new if p == old else p for p in parent]
    expected = [min(i for i in range(len(texts)) if parent[i] == p) for p in dict.fromkeys(parent)]
    kept = data.deduplicate(texts, 0.8, bands=32, rows=4)
    assert kept == sorted(expected) and len(kept) < len(texts) - 35
    estimated = data.deduplicate(texts, 0.8, bands=32, rows=4, verify=False)
    assert abs(len(estimated) - len(kept)) <= 5


def test_exact_duplicates_and_shingles():
    assert data.exact_duplicates(["a b", "c", "a  b\n", "c", ""]) == [0, 1, 0, 1, 4]
    assert data.shingles("Ab  cd", 3) == {"ab ", "b c", " cd"}
    assert data.shingles("ab", 5) == {"ab"} and data.shingles("  ", 5) == set()
    assert data.jaccard(set(), set()) == 1.0
    assert data.deduplicate(["same words here", "here: words, same!"], 1.0, n=0) == [0]
    assert data.deduplicate([], 0.5) == []


def test_minhash_errors():
    with pytest.raises(ValueError, match="permutations 0"):
        data.MinHash(0)
    with pytest.raises(ValueError, match="8 columns cannot be cut into 3 bands"):
        data.candidate_pairs(np.zeros((2, 8), np.uint32), 3)
    with pytest.raises(ValueError, match="threshold 0"):
        data.deduplicate(["a"], 0)
    with pytest.raises(ValueError, match="n=0 must be"):
        data.shingles("a", 0)
