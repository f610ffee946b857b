"""Is the test set in the training set? Near-duplicate documents, and rows of a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmbook.backend.errors import ShapeError
from lmbook.data.minhash import MinHash, candidate_pairs, jaccard, shingles


class Overlap(NamedTuple):
    """A test document, the training document most like it, and their Jaccard similarity."""

    test: int
    train: int
    similarity: float


def contamination(
    train: Sequence[str],
    test: Sequence[str],
    threshold: float = 0.7,
    *,
    n: int = 5,
    bands: int = 32,
    rows: int = 4,
    seed: int = 0,
) -> list[Overlap]:
    """Test documents that stand in the training set, nearly or word for word.

    Candidates share one of `bands` bands of `rows` entries of their MinHash signatures over
    `n`-character shingles; each is then compared exactly. A pair of similarity s is found with
    probability 1 - (1 - s^rows)^bands, 0.9999 at 0.7 for the defaults. One entry a test document, its
    nearest training document, in the order of the test set.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"contamination: threshold {threshold} must be above 0 and at most 1")
    sets = [shingles(document, n) for document in (*train, *test)]
    signatures = MinHash(bands * rows, seed).signatures(sets)
    best: dict[int, Overlap] = {}
    if len(sets):
        for i, j in sorted(candidate_pairs(signatures, bands)):
            if i < len(train) <= j and sets[i] and sets[j]:
                found = Overlap(j - len(train), i, jaccard(sets[i], sets[j]))
                known = best.get(found.test)
                if found.similarity >= threshold and (
                    known is None or found.similarity > known.similarity
                ):
                    best[found.test] = found
    return [best[j] for j in sorted(best)]


def repeated_rows(train: np.ndarray, test: np.ndarray, decimals: int = 9) -> np.ndarray:
    """For each test row, whether it is also a training row, rounded to `decimals`. Shape (rows,)."""
    train, test = (np.asarray(x, dtype=np.float64) for x in (train, test))
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        raise ShapeError(
            f"repeated_rows: tables of the same columns, got shapes {train.shape} and {test.shape}"
        )
    known = {row.tobytes() for row in train.round(decimals) + 0.0}  # + 0.0 turns -0 into 0
    return np.array([row.tobytes() in known for row in test.round(decimals) + 0.0], dtype=bool)
