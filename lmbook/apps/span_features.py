"""What a span of a text looks like as the answer to a question: numbers that a small network can weigh.

MiniLM reads [CLS] question [SEP] text [SEP] as one sequence, and nothing of it is trained. From its
vectors, and from the tokens themselves, come features of every span of whole words inside a sentence:
how the sentence around it matches the question, what stands at its two borders, what it holds, and what
the question asks for. Shapes: T tokens, S spans, K features of a span, G features of a window.
"""

import re
from typing import NamedTuple

import numpy as np

from lmbook.apps.spans import Window
from lmbook.data import WordPieceTokenizer

SPECIAL = 1000  # BERT's vocabulary begins with [PAD], [CLS], [SEP], [MASK] and unused places
LONGEST = 24  # tokens of a span
WHOLE = 5  # features of a window
_SIGNS = ('"', "“‘'`", "”’", ".;:!?", ",", "([{", ")]}", "*$", "—–-", "_")
_SMALL = (
    "a an the of to in on at by for from with as and or but nor that which who whose it its this these "
    "those they is are was were be been being has have had do does did can could may might must will would "
    "shall should not if when then than so such each any all both one"
)
_BESIDE = (
    "the a an", "of", "to", "in on at", "by", "for", "from", "with", "as", "and or", "that which",
    "is are was were", "be been", "if", "when", "than", "because since", "not no only never", "it its they",
    "must can may should", "about nearly", "called named", "raises raise raised",
    "returns return gives yields",
)  # fmt: skip
_ASKED = (
    "how", "many much", "long often far large fast", "who whom whose", "when year version", "why", "where",
    "which", "error exception raised raise", "do does may can is are", "what", "method function operator",
)  # fmt: skip
_KINDS = 5  # number, quoted, error, short, a clause
LENGTHS = (1, 2, 4, 8, 14)


def _lengths() -> int:
    return len(LENGTHS) + 1


class Reading(NamedTuple):
    """All spans of a window with their features, and features of the window as a whole."""

    first: np.ndarray  # (S,)
    last: np.ndarray  # (S,)
    features: np.ndarray  # (S, K)
    whole: np.ndarray  # (G,)


def rarity(ids: np.ndarray) -> np.ndarray:
    """From 0 for signs to 1 for the rarest words: BERT's vocabulary is ordered by frequency, about."""
    return np.clip(np.log(np.maximum(ids, 1) / 1000) / np.log(30), 0, 1)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


class SpanFeatures:
    """Features of spans for one vocabulary."""

    def __init__(self, tokenizer: WordPieceTokenizer) -> None:
        size = max(tokenizer.names) + 1
        words = [tokenizer.names.get(i, "") for i in range(size)]
        bare = [w.removeprefix("##") for w in words]
        small = set(_SMALL.split())
        self.goes_on = np.array([w.startswith("##") for w in words])
        self.kinds = np.array(
            [
                [w[:1].isdigit(), w in small, *(w in s if w else False for s in _SIGNS)]
                for w in bare
            ],
            np.float32,
        )  # (V, 2 + signs)
        signs = ".;:!?,)]}/", ",;:([{/"
        self.no_begin, self.no_end = (
            np.array([any(ord(c) > 0x2E80 for c in w) or (w != "" and w in s) for w in bare])
            for s in signs
        )
        self.beside = self._groups(words, _BESIDE)
        self.asked = self._groups(words, _ASKED)
        self.stems = np.array([hash_of(w) for w in bare])

    @staticmethod
    def _groups(words: list[str], groups: tuple[str, ...]) -> np.ndarray:
        sets = [set(g.split()) for g in groups]
        return np.array([[w in s for s in sets] for w in words], np.float32)

    def read(
        self, window: Window, text: str, skip: int, middle: np.ndarray, last: np.ndarray,
        words: np.ndarray,
    ) -> Reading:  # fmt: skip
        """The spans of a window, after the first `skip` characters of the text.

        `middle` and `last` (T, E) are the vectors of two of MiniLM's layers, `words` (T, E) word vectors.
        """
        ids, offsets = window.ids, window.offsets
        question = (window.token_type_ids == 0) & (ids >= SPECIAL)
        inside = offsets[:, 0] >= skip
        sentence = self._sentences(offsets, text)
        rare = rarity(ids) * ~self.kinds[ids, 1].astype(bool)
        same, near, meant = self._matched(ids, question, rare, last, words)
        per_token = [same * rare, near, meant]
        i, j = self._pairs(ids, inside, sentence)
        total = max(float((rare * question).sum()), 1e-3)
        own = [self._inside(x, i, j) for x in per_token]
        begin, end = self._borders(sentence)
        whole = [self._inside(x, begin[i], end[i]) for x in per_token]
        asked_rows = question & np.isin(self.stems[ids], self.stems[ids[inside]])
        found = float((rare * asked_rows).sum()) / total
        recalled = self._recalled(ids, question, rare, sentence, total)
        cos_sentence, cos_span = self._cosines(last, question, sentence, i, j)
        length = j - i + 1
        size = np.digitize(length, LENGTHS, right=True)
        kinds = self._span_kinds(ids, text, offsets, i, j, length)
        asked = self.asked[ids[question]].max(0) if question.any() else np.zeros(len(_ASKED))
        before, after = np.maximum(i - 1, 0), np.minimum(j + 1, len(ids) - 1)
        glued = [(offsets[before, 1] == offsets[i, 0]), (offsets[after, 0] == offsets[j, 1])]
        left = [self._inside(per_token[0], np.maximum(i - n, begin[i]), i - 1) for n in (4, 10)]
        right = [self._inside(per_token[0], j + 1, np.minimum(j + n, end[j])) for n in (4, 10)]
        sizes = np.eye(_lengths(), dtype=np.float32)[size]
        bounds = np.concatenate([kinds, self.beside[ids[before]], sizes], 1)
        crossed = (asked[None, :, None] * bounds[:, None, :]).reshape(
            len(i), len(asked) * bounds.shape[1]
        )
        columns = [
            *(x / total for x in (own[0], whole[0], whole[0] - own[0])), own[1] / length, own[2] / length,
            *(x / total for x in (*left, *right)), recalled[i], cos_sentence, cos_span,
            length / 10, i == begin[i], j >= end[j] - 1, *glued,
        ]  # fmt: skip
        blocks = [
            np.stack([np.asarray(c, np.float32) for c in columns], 1),
            self.kinds[ids[i]], self.kinds[ids[before]], self.kinds[ids[j]], self.kinds[ids[after]],
            self.beside[ids[i]], self.beside[ids[before]], self.beside[ids[after]],
            sizes, kinds, crossed,
        ]  # fmt: skip
        for vectors in (middle, last):
            blocks.append(self._products(_unit(vectors), question, i, j))
        top = recalled[inside].max() if inside.any() else 0.0
        general = np.array(
            [found, top, cos_sentence.max() if len(i) else 0.0, total / 5, 1.0], np.float32
        )
        return Reading(i, j, np.concatenate(blocks, 1).astype(np.float32), general)

    def _pairs(
        self, ids: np.ndarray, inside: np.ndarray, sentence: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """First and last tokens of the spans of whole words that lie within a sentence."""
        t = len(ids)
        begins = inside & ~self.goes_on[ids] & ~self.no_begin[ids]
        ends = inside & ~np.append(self.goes_on[ids[1:]], False) & ~self.no_end[ids]
        i = np.repeat(np.arange(t), LONGEST)
        j = i + np.tile(np.arange(LONGEST), t)
        kept = j < t
        i, j = i[kept], j[kept]
        kept = begins[i] & ends[j] & (sentence[i] == sentence[j])
        return i[kept], j[kept]

    def _sentences(self, offsets: np.ndarray, text: str) -> np.ndarray:
        """The number of each token's sentence; -1 outside of the text."""
        starts = [m.end() for m in re.finditer(r"(?<=[.?!:;])\s+|\n+", text)]
        return np.where(offsets[:, 0] >= 0, np.searchsorted(starts, offsets[:, 0], "right"), -1)

    def _matched(
        self,
        ids: np.ndarray,
        question: np.ndarray,
        rare: np.ndarray,
        last: np.ndarray,
        words: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whether a token's stem stands in the question, and cosines with the nearest of its tokens."""
        if not question.any():
            return np.zeros(len(ids)), np.zeros(len(ids)), np.zeros(len(ids))
        same = np.isin(self.stems[ids], self.stems[ids[question]]) & (ids >= SPECIAL)
        weight = rare[question]
        near = (_unit(words) @ _unit(words[question]).T * weight).max(1)
        meant = (_unit(last) @ _unit(last[question]).T * weight).max(1)
        return same.astype(float), near, meant

    def _recalled(
        self,
        ids: np.ndarray,
        question: np.ndarray,
        rare: np.ndarray,
        sentence: np.ndarray,
        total: float,
    ) -> np.ndarray:
        """Of each token's sentence, the share of the question's rare words that stand in it."""
        found = np.zeros(len(ids))
        for number in np.unique(sentence[sentence >= 0]):
            rows = sentence == number
            there = question & np.isin(self.stems[ids], self.stems[ids[rows]])
            found[rows] = (rare * there).sum() / total
        return found

    @staticmethod
    def _borders(sentence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last token of each token's sentence."""
        t = np.arange(len(sentence))
        new = np.append(True, sentence[1:] != sentence[:-1])
        begin = np.maximum.accumulate(np.where(new, t, 0))
        close = np.append(new[1:], True)
        end = np.minimum.accumulate(np.where(close, t, len(t))[::-1])[::-1]
        return begin, end

    @staticmethod
    def _inside(x: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Sums of x over the tokens from i to j, 0 where there are none."""
        sums = np.append(0, np.cumsum(x))
        return np.where(j >= i, sums[np.minimum(j, len(x) - 1) + 1] - sums[np.maximum(i, 0)], 0)

    @staticmethod
    def _cosines(
        last: np.ndarray, question: np.ndarray, sentence: np.ndarray, i: np.ndarray, j: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cosines of the question's mean vector with those of the sentence and of the span."""
        asked = _unit(last[question].mean(0)) if question.any() else np.zeros(last.shape[1])
        found = np.zeros(len(sentence))
        for number in np.unique(sentence[sentence >= 0]):
            rows = sentence == number
            found[rows] = _unit(last[rows].mean(0)) @ asked
        sums = np.concatenate([np.zeros((1, last.shape[1])), np.cumsum(last, 0)])
        along = np.append(0, np.cumsum(last @ asked))
        norms = np.linalg.norm(sums[j + 1] - sums[i], axis=1) if len(i) else np.zeros(0)
        return found[i], (along[j + 1] - along[i]) / np.maximum(norms, 1e-6)

    @staticmethod
    def _products(
        vectors: np.ndarray, question: np.ndarray, i: np.ndarray, j: np.ndarray
    ) -> np.ndarray:
        """The span's mean direction times the question's, number by number (S, E).

        Their sum would be a cosine; a weight for each number learns which of them matter for an answer.
        """
        sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, 0)])
        asked = vectors[question].mean(0) if question.any() else np.zeros(vectors.shape[1])
        return (10 * _unit(sums[j + 1] - sums[i]) * _unit(asked)).astype(np.float32)

    def _span_kinds(
        self, ids: np.ndarray, text: str, offsets: np.ndarray, i: np.ndarray, j: np.ndarray,
        length: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Whether a span has a number, is quoted, names an error, is short, or is a clause (S, 5)."""
        digits = self._inside(self.kinds[ids, 0], i, j) > 0
        quote = self.kinds[ids, 2] > 0
        before, after = np.maximum(i - 1, 0), np.minimum(j + 1, len(ids) - 1)
        quoted = (quote[i] | quote[before]) & (quote[j] | quote[after])
        named = np.zeros(len(ids))
        for m in re.finditer(r"\w*(?:Error|Exception|Iteration)\b", text):
            named[(offsets[:, 0] < m.end()) & (offsets[:, 1] > m.start())] = 1
        errors = self._inside(named, i, j) > 0
        return np.stack([digits, quoted, errors, length <= 3, length > 6], 1).astype(np.float32)

    def width(self, hidden: int) -> int:
        """K, for vectors of size `hidden`."""
        kinds, beside = self.kinds.shape[1], self.beside.shape[1]
        crossed = len(_ASKED) * (_KINDS + beside + _lengths())
        return 2 * hidden + 17 + 4 * kinds + 3 * beside + _lengths() + _KINDS + crossed


def hash_of(word: str) -> int:
    """A number for a word that is the same for its common endings: raise, raises, raised."""
    stem = re.sub(r"(?<=\w{3})(?:ing|ed|es|s|e)$", "", word)
    return int.from_bytes(stem.encode()[:7], "big") + (len(stem) << 56)
