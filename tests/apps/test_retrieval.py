"""BM25 against a hand computation and scikit-learn's counts; vectors kept by hash; ranks fused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from lmbook import data
from lmbook.apps import retrieval as R

TEXTS = [
    "the cat sat",
    "the dog sat on the dog",
    "a bird",
    "dogs and cats",
    "__init__ makes a bird",
]


def test_bm25_by_hand() -> None:
    """Three texts, one word: idf ln(1 + 2.5 / 1.5), f = 2, 4 words, 3 on the average."""
    ranker = R.BM25(["red red blue green", "blue sky", "one blue moon"])
    assert ranker.idf("red") == pytest.approx(math.log(1 + 2.5 / 1.5))
    wanted = math.log(1 + 2.5 / 1.5) * 2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 4 / 3))
    np.testing.assert_allclose(ranker.scores("red"), [wanted, 0, 0])
    np.testing.assert_allclose(ranker.scores("red yellow"), [wanted, 0, 0])
    np.testing.assert_allclose(ranker.scores("red red"), [2 * wanted, 0, 0])


def test_bm25_on_the_reference_from_sklearns_counts() -> None:
    """The formula once more, on a matrix that scikit-learn counts."""
    texts = [t for t in data.language_reference().test.split("\n\n") if t.strip()][:200]
    counter = CountVectorizer(analyzer=R.words_of)
    counts = counter.fit_transform(texts).toarray()
    n, lengths = (counts > 0).sum(0), counts.sum(1)
    idf = np.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
    norm = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    ranker = R.BM25(texts)
    for question in ("Which exception does an import raise?", "the the lambda", "zzz"):
        asked = counter.transform([question]).toarray()[0]
        wanted = (counts / (counts + norm[:, None])) @ (idf * asked)
        np.testing.assert_allclose(ranker.scores(question), wanted, atol=1e-12)


def test_words() -> None:
    assert R.words_of("The __init__() of Classes, bodies; 3.11's bus") == (
        ["the", "__init__", "init", "of", "class", "body", "3", "11", "s", "bus"]
    )
    assert R.words_of("class pass analysis ids") == ["class", "pass", "analysis", "ids"]
    assert R.words_of("types glasses queries") == ["type", "glass", "query"]


def test_bm25_errors() -> None:
    with pytest.raises(ValueError, match="there is no text to search"):
        R.BM25([])
    with pytest.raises(ValueError, match=r"k1 -1 must be at least 0 and b 0\.75 from 0 to 1"):
        R.BM25(["a"], k1=-1)


def test_ranks_and_fusion() -> None:
    assert R.ranks(np.array([0.1, 0.9, 0.9, 0.5])).tolist() == [4, 1, 2, 3]
    a, b = np.array([3.0, 2, 1]), np.array([0.0, 5, 4])
    found = R.reciprocal_rank_fusion([a, b])
    np.testing.assert_allclose(found, [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])
    assert R.best(found, 2).tolist() == [1, 0]

    class Fixed:
        def __init__(self, scores: np.ndarray) -> None:
            self.found = scores

        def scores(self, question: str) -> np.ndarray:
            return self.found

    np.testing.assert_allclose(R.Fusion(Fixed(a), Fixed(b)).scores("?"), found)


def test_recall_and_reciprocal_ranks() -> None:
    first = np.array([1, 3, 0, 10])
    assert [R.recall_at(first, k) for k in (1, 3, 10)] == [0.25, 0.5, 0.75]
    np.testing.assert_allclose(R.reciprocal_ranks(first), [1, 1 / 3, 0, 0.1])


class Counting:
    """An encoder that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.model = type("M", (), {"config": type("C", (), {"hidden_size": 4})})

    def encode(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        rows = np.array([[len(t), t.count("a"), t.count("s"), 1] for t in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_vectors_are_computed_once_and_damage_is_mended(tmp_path: Path) -> None:
    path, seen = tmp_path / "deep" / "v.npz", []
    encoder = Counting()
    store = R.VectorStore(path, lambda done, of: seen.append((done, of)))
    first = store.encode(TEXTS, encoder)  # type: ignore[arg-type]
    assert sorted(encoder.asked) == sorted(TEXTS) and seen == [(5, 5)]
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-3)
    again = R.VectorStore(path).encode([TEXTS[2], "new", TEXTS[0]], encoder)  # type: ignore[arg-type]
    assert encoder.asked[5:] == ["new"]
    np.testing.assert_array_equal(again[[2, 0]], first[[0, 2]])
    path.write_bytes(path.read_bytes()[:-30])
    R.VectorStore(path).encode(TEXTS[:1], encoder)  # type: ignore[arg-type]
    assert encoder.asked[6:] == TEXTS[:1] and not list(path.parent.glob("*.tmp*"))
    ranked = R.Dense(TEXTS, encoder, R.VectorStore(path)).scores("cats and dogs")  # type: ignore[arg-type]
    assert ranked.shape == (5,) and ranked.argmax() == 3
    (tmp_path / "file").write_text("x")
    with pytest.raises(data.DataError, match=r"cannot write .* set LMBOOK_CACHE"):
        R.VectorStore(tmp_path / "file" / "v.npz").encode(["a"], encoder)  # type: ignore[arg-type]
