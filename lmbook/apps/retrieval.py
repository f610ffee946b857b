"""Find passages for a question: by words (BM25), by meaning (MiniLM), and by both ranks together.

Shapes: P passages, V words, E width of a vector.
"""

import hashlib
import math
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from lmbook import data
from lmbook.models import SentenceEncoder

_WORD = re.compile(r"__\w+?__|[^\W_]+")
_PLURAL = (
    (re.compile(r"(?<=..)ies$"), "y"),
    (re.compile(r"(?<=ss)es$"), ""),
    (re.compile(r"(?<=[^isu])s$"), ""),
)


def words_of(text: str) -> list[str]:
    """Lower-case words; "__init__" is one, and also "init"; a plural counts as its singular."""
    found = []
    for word in _WORD.findall(text.lower()):
        if word.startswith("__") and word.strip("_"):
            found.append(word)
            word = word.strip("_")
        for pattern, replacement in _PLURAL:
            if len(word) > 3 and (shorter := pattern.sub(replacement, word)) != word:
                word = shorter
                break
        found.append(word)
    return found


class Retriever(Protocol):
    """Anything that scores all passages for a question, the higher the better."""

    def scores(self, question: str) -> np.ndarray:
        """(P,)."""
        ...


class BM25:
    """Words that two texts share, the rare ones weighing more and repeated ones ever less.

        idf(w) = ln(1 + (P - n_w + 0.5) / (n_w + 0.5))
        score(q, d) = sum over words w of q of idf(w) f / (f + k1 (1 - b + b |d| / mean |d|))

    f is how often w stands in d, n_w in how many passages it stands. This is Robertson's formula with
    Lucene's idf, which is never negative, and without the constant factor k1 + 1, which changes no order.
    Source: Robertson and Zaragoza (2009).
    """

    def __init__(self, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        if not texts:
            raise ValueError("BM25: there is no text to search")
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"BM25: k1 {k1} must be at least 0 and b {b} from 0 to 1")
        self.k1, self.b = k1, b
        counts = [Counter(words_of(text)) for text in texts]
        self.lengths = np.array([sum(c.values()) for c in counts], np.float64)
        listed: dict[str, list[tuple[int, int]]] = {}
        for i, count in enumerate(counts):
            for word, times in count.items():
                listed.setdefault(word, []).append((i, times))
        self.postings = {word: np.array(found).T for word, found in listed.items()}

    def idf(self, word: str) -> float:
        """The weight of a word; that of one that stands nowhere is the largest."""
        n = self.postings[word].shape[1] if word in self.postings else 0
        return math.log(1 + (len(self.lengths) - n + 0.5) / (n + 0.5))

    def scores(self, question: str) -> np.ndarray:
        """(P,); zero where no word is shared."""
        found = np.zeros(len(self.lengths))
        relative = self.lengths / max(self.lengths.mean(), 1)
        for word in words_of(question):
            if word in self.postings:
                at, f = self.postings[word]
                found[at] += (
                    self.idf(word) * f / (f + self.k1 * (1 - self.b + self.b * relative[at]))
                )
        return found


class Dense:
    """Cosines of MiniLM's vectors: meaning, also where no word is shared."""

    def __init__(
        self, texts: Sequence[str], encoder: SentenceEncoder, store: "VectorStore"
    ) -> None:
        self.encoder = encoder
        self.vectors = store.encode(texts, encoder)

    def scores(self, question: str) -> np.ndarray:
        """(P,), from -1 to 1."""
        return self.vectors @ self.encoder.encode([question])[0]


class VectorStore:
    """Vectors of texts in a file, by the hash of each text, so that nothing is computed twice.

    `show(done, of)` is called after every batch that had to be computed.
    """

    def __init__(
        self, path: Path | None = None, show: Callable[[int, int], None] | None = None
    ) -> None:
        self.path = data.cache_dir() / "assistant" / "minilm.npz" if path is None else path
        self.show = show

    def encode(self, texts: Sequence[str], encoder: SentenceEncoder) -> np.ndarray:
        """Texts -> unit vectors (P, E), float32, kept as float16. A file that is damaged is made anew."""
        known = self._read(encoder.model.config.hidden_size)
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        missing = {key: text for key, text in zip(keys, texts) if key not in known}
        order = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            vectors = encoder.encode([missing[key] for key in chosen])
            known |= zip(chosen, vectors.astype(np.float16))
            if self.show is not None:
                self.show(min(start + 32, len(order)), len(order))
            if start // 32 % 8 == 7:
                self._write(known)
        if missing:
            self._write(known)
        return np.array([known[key] for key in keys], np.float32).reshape(len(keys), -1)

    def _read(self, width: int) -> dict[str, np.ndarray]:
        try:
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                keys, vectors = file["keys"], file["vectors"]
            if vectors.shape != (len(keys), width) or not np.isfinite(vectors).all():
                return {}
            return dict(zip(keys.tolist(), vectors))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}

    def _write(self, known: dict[str, np.ndarray]) -> None:
        draft = self.path.with_suffix(f".{os.getpid()}.tmp.npz")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(draft, keys=np.array(list(known)), vectors=np.array(list(known.values())))
            draft.replace(self.path)
        except OSError as error:
            raise data.DataError(
                f"VectorStore: cannot write {self.path} ({error}); set LMBOOK_CACHE to a folder that can "
                "be written"
            ) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of each score, from 1 for the highest; of equal ones the earlier comes first."""
    found = np.empty(len(scores), np.int64)
    found[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return found


def reciprocal_rank_fusion(scores: Iterable[np.ndarray], k: float = 60) -> np.ndarray:
    """Sum over retrievers of 1 / (k + rank): ranks can be added where scores have no common unit.

    Source: Cormack, Clarke and Buettcher (2009), with their k = 60.
    """
    return np.sum([1 / (k + ranks(s)) for s in scores], axis=0)


class Fusion:
    """Several retrievers, fused by their ranks."""

    def __init__(self, *retrievers: Retriever, k: float = 60) -> None:
        self.retrievers, self.k = retrievers, k

    def scores(self, question: str) -> np.ndarray:
        """(P,)."""
        return reciprocal_rank_fusion([r.scores(question) for r in self.retrievers], self.k)


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """The indices of the k highest scores, the highest first."""
    return np.argsort(-scores, kind="stable")[:k]


def recall_at(first: np.ndarray, k: int) -> float:
    """The share of questions whose first right passage has a rank of at most k; NaN or 0 ranks are misses."""
    first = np.asarray(first)
    return float(np.mean((first > 0) & (first <= k)))


def reciprocal_ranks(first: np.ndarray) -> np.ndarray:
    """1 / rank of the first right passage, 0 where there is none: their mean is the MRR."""
    first = np.asarray(first, float)
    return np.divide(1, first, out=np.zeros(len(first)), where=first > 0)
