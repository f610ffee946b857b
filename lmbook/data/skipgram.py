"""Word vectors: skip-gram with negative sampling, gradients written by hand."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lmbook.data.errors import DataError, UnknownToken


class SkipGram:
    """Two vectors a word, `center` and `context`; words in like company get like vectors.

    For a word w with a neighbour c and k words n drawn at random, the loss is

        L = -ln σ(u_c · v_w) - Σ_n ln σ(-u_n · v_w)

    with v the rows of `center` and u those of `context`, both (words, dim). Negatives are drawn
    with probability proportional to count^0.75; a frequent word of share f is left out with
    probability 1 - sqrt(t / f). Updates are Adagrad's, a batch at a time.
    Source: Mikolov et al. (2013), "Distributed Representations of Words and Phrases".
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[str]],
        dim: int = 64,
        *,
        window: int = 5,
        negatives: int = 5,
        min_count: int = 5,
        subsample: float = 1e-3,
        seed: int = 0,
    ) -> None:
        counts = Counter(word for sentence in sentences for word in sentence)
        self.words = [word for word, n in counts.most_common() if n >= min_count]
        if len(self.words) < 2:
            raise DataError(
                f"SkipGram: {len(self.words)} words stand {min_count} times or more; want two at "
                "least: give more text or lower min_count"
            )
        self.id_of = {word: i for i, word in enumerate(self.words)}
        self.window, self.negatives = window, negatives
        self.random = np.random.default_rng(seed)
        frequency = np.array([counts[word] for word in self.words], dtype=np.float64)
        self.keep = np.minimum(1.0, np.sqrt(subsample / (frequency / frequency.sum())))
        self.noise = np.cumsum(frequency**0.75) / np.sum(frequency**0.75)
        self.center = (self.random.random((len(self.words), dim)) - 0.5) / dim
        self.context = np.zeros((len(self.words), dim))
        self._squares = [np.full(len(self.words), 1e-8) for _ in range(2)]
        known = [[self.id_of[w] for w in s if w in self.id_of] for s in sentences]
        self.tokens = np.array([i for s in known for i in s], dtype=np.int64)
        self.sentence = np.repeat(np.arange(len(known)), [len(s) for s in known])

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """One pass: (word, neighbour) ids, shuffled, after a new draw of what is left out.

        A word's window has 1 to `window` words on each side, drawn anew for each place.
        """
        chosen = self.random.random(len(self.tokens)) < self.keep[self.tokens]
        tokens, sentence = self.tokens[chosen], self.sentence[chosen]
        reach = self.random.integers(1, self.window + 1, size=len(tokens))
        left: list[np.ndarray] = []
        right: list[np.ndarray] = []
        for distance in range(1, self.window + 1):
            together = sentence[:-distance] == sentence[distance:]
            for near, far, size in (
                (tokens[:-distance], tokens[distance:], reach[:-distance]),
                (tokens[distance:], tokens[:-distance], reach[distance:]),
            ):
                use = together & (size >= distance)
                left.append(near[use])
                right.append(far[use])
        words, neighbours = np.concatenate(left), np.concatenate(right)
        order = self.random.permutation(len(words))
        return words[order], neighbours[order]

    def loss_and_gradients(
        self, words: np.ndarray, neighbours: np.ndarray, negatives: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean loss of B pairs; gradients of the B words' vectors (B, dim) and of the neighbours' and
        negatives' (B, 1 + k, dim), each of that pair's own loss."""
        v = self.center[words]
        targets = np.concatenate([neighbours[:, None], negatives], axis=1)  # (B, 1 + k)
        u = self.context[targets]
        score = np.einsum("bd,bkd->bk", v, u)
        sign = np.where(np.arange(targets.shape[1]) == 0, 1.0, -1.0)
        loss = np.logaddexp(0, -sign * score).sum(axis=1).mean()
        slope = -sign * np.exp(-np.logaddexp(0, sign * score))  # -sign σ(-sign score)
        return float(loss), np.einsum("bk,bkd->bd", slope, u), slope[:, :, None] * v[:, None]

    def fit(self, epochs: int = 5, lr: float = 0.05, batch_size: int = 512) -> list[float]:
        """Train; the mean loss of each epoch."""
        history = []
        for _ in range(epochs):
            words, neighbours = self.pairs()
            total = 0.0
            for start in range(0, len(words), batch_size):
                w, c = words[start : start + batch_size], neighbours[start : start + batch_size]
                drawn = self.random.random((len(w), self.negatives))
                negatives = np.searchsorted(self.noise, drawn)
                loss, d_center, d_targets = self.loss_and_gradients(w, c, negatives)
                targets = np.concatenate([c[:, None], negatives], axis=1).ravel()
                self._step(self.center, self._squares[0], w, d_center, lr)
                rows = d_targets.reshape(len(targets), -1)
                self._step(self.context, self._squares[1], targets, rows, lr)
                total += loss * len(w)
            history.append(total / max(len(words), 1))
        return history

    def _step(
        self, table: np.ndarray, squares: np.ndarray, rows: np.ndarray, grads: np.ndarray, lr: float
    ) -> None:
        """Adagrad with one rate a word; rows that stand several times are added first."""
        order = np.argsort(rows, kind="stable")
        unique, starts = np.unique(rows[order], return_index=True)
        gradient = np.add.reduceat(grads[order], starts, axis=0)
        squares[unique] += np.mean(gradient**2, axis=1)
        table[unique] -= lr * gradient / np.sqrt(squares[unique])[:, None]

    def vector(self, word: str) -> np.ndarray:
        """The vector of a word, scaled to length 1; `UnknownToken` if there is none."""
        if word not in self.id_of:
            raise UnknownToken(f"SkipGram: {word!r} is not among the {len(self.words)} words")
        v = self.center[self.id_of[word]]
        return v / np.linalg.norm(v)

    def nearest(
        self, query: str | np.ndarray, n: int = 5, without: Sequence[str] = ()
    ) -> list[tuple[str, float]]:
        """The `n` words whose vectors have the largest cosine with the query, itself left out."""
        hidden = {*without, query} if isinstance(query, str) else {*without}
        v = self.vector(query) if isinstance(query, str) else query / np.linalg.norm(query)
        unit = self.center / np.linalg.norm(self.center, axis=1, keepdims=True)
        order = np.argsort(-(unit @ v), kind="stable")
        found = [(self.words[i], float(unit[i] @ v)) for i in order if self.words[i] not in hidden]
        return found[:n]
