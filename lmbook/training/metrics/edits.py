"""Transcripts: how many words or letters must be changed to get what was said?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbook.backend import ShapeError
from lmbook.training.metrics.interval import Interval, ratio_interval


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Fewest insertions, deletions and substitutions that make b of a (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def _edits(name: str, said: Sequence[str], heard: Sequence[str], words: bool) -> np.ndarray:
    if len(said) != len(heard) or not len(said):
        raise ShapeError(f"{name}: {len(said)} references and {len(heard)} transcripts")
    pairs = [(a.split(), b.split()) if words else (a, b) for a, b in zip(said, heard)]
    counts = np.array([[edit_distance(a, b), len(a)] for a, b in pairs], float)
    if not counts[:, 1].sum():
        raise ValueError(f"{name}: all references are empty")
    return counts


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Edits of words, summed, over words said; above 1 where much is heard that was not said."""
    edits, length = _edits("word_error_rate", said, heard, True).sum(axis=0)
    return float(edits / length)


def character_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Edits of characters, summed, over characters said."""
    edits, length = _edits("character_error_rate", said, heard, False).sum(axis=0)
    return float(edits / length)


def word_error_rate_interval(
    said: Sequence[str], heard: Sequence[str], level: float = 0.95, groups: Any = None
) -> Interval:
    """Word error rate with an interval; utterances, not words, are taken as independent.

    With `groups` (one entry an utterance, such as its voice) only the groups are.
    """
    edits, words = _edits("word_error_rate_interval", said, heard, True).T
    if groups is not None:
        if np.shape(groups) != edits.shape:
            raise ShapeError(
                f"word_error_rate_interval: groups {np.shape(groups)} for {len(edits)} utterances"
            )
        index = np.unique(np.asarray(groups), return_inverse=True)[1]
        edits, words = np.bincount(index, edits), np.bincount(index, words)
    return ratio_interval(edits, words, level)
