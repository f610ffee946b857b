"""From logits to a token: greedy, temperature, top-k, nucleus, repetition penalty, in one place.

Names, defaults and the order of the steps are those of transformers' `generate`. Shapes: N rows, V
vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from lmbook.backend import ShapeError


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen. The defaults draw from the model's own probabilities.

    `temperature` divides the logits; 0 takes the likeliest token. `top_k` keeps the k likeliest, `top_p` the
    likeliest that have the share p together (the nucleus). `repetition_penalty` divides the positive logits
    of tokens that are there already, and multiplies the negative ones. Raises `ValueError` for what makes
    no sense.
    Sources: Fan et al. 2018 (top-k), Holtzman et al. 2020 (nucleus), Keskar et al. 2019 (penalty).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < np.inf:
            raise ValueError(f"temperature {self.temperature} must be 0 (the likeliest) or above")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k {self.top_k} must be 1 or more, or None for all tokens")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} must be above 0 and at most 1 (all tokens)")
        if not 0 < self.repetition_penalty < np.inf:
            raise ValueError(
                f"repetition_penalty {self.repetition_penalty} must be above 0; 1 is none"
            )


def penalise(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """Logits (N, V) with those of the tokens in `seen` (N, T) made less likely by `penalty`."""
    said = np.take_along_axis(logits, seen, axis=1)
    lower = np.where(said < 0, said * penalty, said / penalty)
    out = logits.copy()
    np.put_along_axis(out, seen, lower, axis=1)
    return out


def keep_top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """-inf for all but the k largest of each row; what ties with the k-th stays."""
    if k >= scores.shape[1]:
        return scores
    least = np.partition(scores, -k, axis=1)[:, -k, None]
    return np.where(scores < least, -np.inf, scores)


def keep_top_p(scores: np.ndarray, p: float) -> np.ndarray:
    """-inf for the tail that has the share 1 - p of each row's softmax, or less; one token stays."""
    if p >= 1:
        return scores
    order = np.argsort(scores, axis=1, kind="stable")  # the least likely first
    tail = np.cumsum(softmax(np.take_along_axis(scores, order, axis=1)), axis=1) <= 1 - p
    tail[:, -1] = False
    out = scores.copy()
    np.put_along_axis(out, order, np.where(tail, -np.inf, np.take_along_axis(out, order, 1)), 1)
    return out


def filtered(logits: np.ndarray, how: Sampling, seen: np.ndarray | None = None) -> np.ndarray:
    """Scores (N, V), float64, whose softmax is drawn from: penalty, temperature, top-k, nucleus."""
    scores = np.asarray(logits, np.float64)
    if how.repetition_penalty != 1:
        if seen is None:
            raise ShapeError(
                "repetition_penalty: it needs the tokens (N, T) that are there already"
            )
        scores = penalise(scores, seen, how.repetition_penalty)
    if how.temperature == 0:
        best = scores.argmax(axis=1)[:, None]
        return np.where(np.arange(scores.shape[1]) == best, 0.0, -np.inf)
    scores = scores / how.temperature
    if how.top_k is not None:
        scores = keep_top_k(scores, how.top_k)
    return keep_top_p(scores, how.top_p)


def softmax(scores: np.ndarray) -> np.ndarray:
    """exp(s) / sum exp(s) of each row."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def probabilities(logits: np.ndarray, how: Sampling, seen: np.ndarray | None = None) -> np.ndarray:
    """What is drawn from, (N, V): the softmax of `filtered`."""
    return softmax(filtered(logits, how, seen))


def choose(
    logits: np.ndarray,
    how: Sampling,
    generator: np.random.Generator,
    seen: np.ndarray | None = None,
) -> np.ndarray:
    """One token for each row of logits (N, V); `seen` (N, T) are the tokens before it."""
    if how.temperature == 0:
        if how.repetition_penalty != 1:
            return filtered(logits, how, seen).argmax(axis=1)
        return logits.argmax(axis=1)
    scores = filtered(logits, how, seen)
    cumulative = np.cumsum(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)
    u = generator.random(len(scores))[:, None] * cumulative[:, -1:]
    return (cumulative <= u).sum(axis=1)


def sample(
    logits: np.ndarray, temperature: float, top_k: int | None, generator: np.random.Generator
) -> np.ndarray:
    """One token for each row of logits (N, V), from softmax(logits / temperature) or its top k."""
    return choose(logits, Sampling(temperature, top_k), generator)
