"""Documents as vectors of counts and of TF-IDF weights."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lmbook.data.errors import DataError

_WORD = re.compile(r"\b\w\w+\b")


class Sparse(NamedTuple):
    """A matrix mostly of zeros: row i has `data[a:b]` in columns `indices[a:b]`, a = indptr[i],
    b = indptr[i + 1] (the CSR format of SciPy)."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]

    @property
    def rows(self) -> np.ndarray:
        """The row of each stored entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def toarray(self) -> np.ndarray:
        """The matrix with its zeros."""
        out = np.zeros(self.shape, dtype=self.data.dtype)
        out[self.rows, self.indices] = self.data
        return out

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        """Product with a dense matrix of shape (columns, k)."""
        if other.ndim != 2 or len(other) != self.shape[1]:
            raise ValueError(f"Sparse {self.shape} @ {other.shape}: inner sizes differ")
        out = np.zeros((self.shape[0], other.shape[1]), dtype=np.float64)
        np.add.at(out, self.rows, self.data[:, None] * other[self.indices])
        return out


class CountVectorizer:
    """Term frequency: entry (i, j) is how often word j stands in document i.

    Words are lower-case runs of at least two letters or digits; `vocabulary` maps them, in
    alphabetical order, to columns. Words not seen by `fit` are ignored. As scikit-learn's class.
    """

    vocabulary: dict[str, int]

    def __init__(self, min_df: int = 1) -> None:
        self.min_df = min_df

    def fit(self, documents: Iterable[str]) -> "CountVectorizer":
        """Learn the vocabulary: words that stand in at least `min_df` documents."""
        frequency = Counter(word for text in documents for word in set(words_of_text(text)))
        words = sorted(word for word, n in frequency.items() if n >= self.min_df)
        if not words:
            raise DataError(
                f"{type(self).__name__}.fit: the documents have no word that stands in "
                f"{self.min_df} of them; give other documents or lower min_df"
            )
        self.vocabulary = {word: j for j, word in enumerate(words)}
        return self

    def transform(self, documents: Sequence[str]) -> Sparse:
        """Counts of the documents' words, shape (documents, words), int64."""
        if not hasattr(self, "vocabulary"):
            raise ValueError(f"{type(self).__name__}: call fit on the training part first")
        data: list[int] = []
        indices: list[int] = []
        indptr = [0]
        for text in documents:
            columns = (self.vocabulary.get(word) for word in words_of_text(text))
            row = sorted(Counter(j for j in columns if j is not None).items())
            indices += [j for j, _ in row]
            data += [n for _, n in row]
            indptr.append(len(data))
        return Sparse(
            np.array(data, dtype=np.int64),
            np.array(indices, dtype=np.int64),
            np.array(indptr, dtype=np.int64),
            (len(documents), len(self.vocabulary)),
        )

    def fit_transform(self, documents: Sequence[str]) -> Sparse:
        """`fit`, then `transform`, of the same documents."""
        return self.fit(documents).transform(documents)


class TfidfVectorizer(CountVectorizer):
    """Term frequency times inverse document frequency, each row of length 1.

        w_ij = tf_ij (ln((1 + N) / (1 + df_j)) + 1),    then w_i / |w_i|

    N and df_j, the number of documents and of those with word j, are the training part's.
    A document without a known word is a row of zeros. As scikit-learn's class with its defaults.
    Source: Spärck Jones (1972); the smoothing is scikit-learn's.
    """

    idf: np.ndarray

    def fit(self, documents: Iterable[str]) -> "TfidfVectorizer":
        """Learn the vocabulary and each word's weight."""
        documents = list(documents)
        super().fit(documents)
        counts = super().transform(documents)
        df = np.bincount(counts.indices, minlength=len(self.vocabulary))
        self.idf = np.log((1 + len(documents)) / (1 + df)) + 1
        return self

    def transform(self, documents: Sequence[str]) -> Sparse:
        """The weights, shape (documents, words), float64."""
        counts = super().transform(documents)
        weights = counts.data * self.idf[counts.indices]
        squares = np.bincount(counts.rows, weights**2, minlength=counts.shape[0])
        length = np.sqrt(squares)[counts.rows]
        return counts._replace(data=weights / length)


def words_of_text(text: str) -> list[str]:
    """The words of a text as the vectorizers see them."""
    return _WORD.findall(text.lower())
