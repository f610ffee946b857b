"""How good are written texts: how likely, how much copied, how different from one another.

Texts are rows of token numbers. None of these numbers alone says that a text is good: the likeliest text
repeats itself, the most varied is noise, and what is copied is neither.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.backend import host
from lmbook.models import Sampling, generate


class Copies:
    """Finds what of a text stands in another, in one pass over each: a suffix automaton.

    A state stands for the strings that end at the same places of the text; `link` leads to the longest
    suffix with more places. At most 2 n states for n tokens. Source: Blumer et al. 1985.
    """

    def __init__(self, text: Sequence[int] | np.ndarray) -> None:
        self.next: list[dict[int, int]] = [{}]
        self.link, self.length = [-1], [0]
        last = 0
        for token in np.asarray(text).tolist():
            last = self._extend(last, token)

    def _extend(self, last: int, token: int) -> int:
        new = self._state({}, 0, self.length[last] + 1)
        at = last
        while at >= 0 and token not in self.next[at]:
            self.next[at][token] = new
            at = self.link[at]
        if at < 0:
            return new
        found = self.next[at][token]
        if self.length[found] == self.length[at] + 1:
            self.link[new] = found
            return new
        split = self._state(dict(self.next[found]), self.link[found], self.length[at] + 1)
        self.link[found] = self.link[new] = split
        while at >= 0 and self.next[at].get(token) == found:
            self.next[at][token] = split
            at = self.link[at]
        return new

    def _state(self, after: dict[int, int], link: int, length: int) -> int:
        self.next.append(after)
        self.link.append(link)
        self.length.append(length)
        return len(self.next) - 1

    def lengths(self, written: Sequence[int] | np.ndarray) -> np.ndarray:
        """For each token the length of the longest span that ends with it and stands in the text."""
        found, at, length = [], 0, 0
        for token in np.asarray(written).tolist():
            while at and token not in self.next[at]:
                at = self.link[at]
                length = self.length[at]
            if token in self.next[at]:
                at, length = self.next[at][token], length + 1
            found.append(length)
        return np.array(found, dtype=np.int64)


def copied_share(lengths: Sequence[np.ndarray], n: int) -> float:
    """The share of all n-grams that stand in the text, from the `lengths` of each row."""
    return float(np.mean(np.concatenate([row[n - 1 :] for row in lengths]) >= n))


def ngrams(row: Sequence[int] | np.ndarray, n: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram stands in a row."""
    row = np.asarray(row).tolist()
    return Counter(tuple(row[i : i + n]) for i in range(len(row) - n + 1))


def distinct(rows: Sequence[Any] | np.ndarray, n: int) -> float:
    """Different n-grams of all rows over all of them: 1 if none repeats. Source: Li et al. 2016.

    It falls with the length of the rows; compare texts of one length only.
    """
    counts = sum((ngrams(row, n) for row in rows), Counter())
    if not counts:
        raise ValueError(f"distinct: there is no {n}-gram in {len(rows)} rows")
    return len(counts) / counts.total()


def self_bleu(rows: Sequence[Any] | np.ndarray, n: int = 4) -> float:
    """Mean BLEU, 0 to 1, of each row against all others: 1 if all are alike. Rows of one length.

    The geometric mean over k = 1 ... n of the share of the row's k-grams that another row has, each counted
    as often as the row that has it most. Source: Zhu et al. 2018; Papineni et al. 2002.
    """
    if len(rows) < 2 or len({len(row) for row in rows}) != 1 or len(rows[0]) < n:
        raise ValueError(f"self_bleu: it needs two rows or more, of one length, at least {n}")
    counts = [[ngrams(row, k) for row in rows] for k in range(1, n + 1)]
    scores = []
    for i in range(len(rows)):
        logs = 0.0
        for of_k in counts:
            most: Counter[tuple[int, ...]] = Counter()
            for j, other in enumerate(of_k):
                if j != i:
                    most |= other
            hit = (of_k[i] & most).total() / of_k[i].total()
            logs += np.log(hit) / n if hit else -np.inf
        scores.append(np.exp(logs))
    return float(np.mean(scores))


def log_p(model: Any, rows: np.ndarray, start: int) -> np.ndarray:
    """log P of the tokens from position `start` on, for rows (N, T) that the model can hold."""
    with no_grad():
        logits = host(model(Tensor(rows[:, :-1])).data)[:, start - 1 :].astype(np.float64)
    logits -= logits.max(axis=2, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return np.take_along_axis(logits, rows[:, start:, None], axis=2)[..., 0]


@dataclass(frozen=True)
class Quality:
    """What is measured of a set of texts."""

    perplexity: float
    copied: float
    longest: int
    distinct: float
    self_bleu: float


def quality(
    model: Any, rows: np.ndarray, start: int, copies: Copies, n: int = 5, k: int = 3
) -> Quality:
    """Of the texts from position `start` on: perplexity to the model, shares of n- and k-grams."""
    written = rows[:, start:]
    lengths = [copies.lengths(row) for row in written]
    return Quality(
        perplexity=float(np.exp(-log_p(model, rows, start).mean())),
        copied=copied_share(lengths, n),
        longest=int(max(row.max() for row in lengths)),
        distinct=distinct(written, k),
        self_bleu=self_bleu(written),
    )


def write_many(
    model: Any, prompts: np.ndarray, tokens: int, how: Sampling, seed: int
) -> np.ndarray:
    """Prompts (N, T) continued, all at a time."""
    return generate(
        model, prompts, tokens, how.temperature, how.top_k, np.random.default_rng(seed),
        top_p=how.top_p, repetition_penalty=how.repetition_penalty,
    )  # fmt: skip
