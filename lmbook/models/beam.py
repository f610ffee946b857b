"""Beam search: several texts at a time, the ones with the most probability kept.

Shapes: N rows of the prompt, B beams, T tokens, V vocabulary.
"""

from typing import Any

import numpy as np

from lmbook.autograd import Tensor, no_grad
from lmbook.backend import ShapeError, host
from lmbook.models.generation import Decoder, not_empty


def beam_search(
    model: Decoder,
    index: np.ndarray,
    max_new_tokens: int,
    num_beams: int = 4,
    length_penalty: float = 1.0,
    stop: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The best continuations (N, T) of token numbers that the search finds, and their scores (N,).

    Each step extends each of the B beams by every token and keeps the B with the largest sums of log
    probabilities. A text that writes `stop` is finished and leaves its place; it is compared by

        sum of log P / (tokens written) ** length_penalty

    and rows that end early are filled up with `stop`. With B = 1 this is greedy. It does not find the
    likeliest text for sure: one whose beginning is unlikely is lost. As transformers' `num_beams` with
    `early_stopping="never"`. Raises `ValueError`, and `ShapeError` beyond the positions of the model.
    """
    if num_beams < 1 or max_new_tokens < 1:
        raise ValueError(
            f"beam_search: num_beams {num_beams} and max_new_tokens {max_new_tokens} must be 1 or more"
        )
    index = not_empty("beam_search", host(index))
    n, length = index.shape
    total = length + max_new_tokens
    cache = model.new_cache(n * num_beams, total)
    if cache.capacity < total:
        raise ShapeError(
            f"beam_search: {length} + {max_new_tokens} tokens, but the model has {cache.capacity} "
            "positions; shorten the prompt or ask for fewer"
        )
    was_training = model.training
    model.eval()
    rows = np.arange(n)[:, None]
    texts = np.repeat(index[:, None], num_beams, axis=1)  # (N, B, T)
    scores = np.where(np.arange(num_beams) == 0, 0.0, -np.inf) + np.zeros((n, 1))  # all alike yet
    best = np.full(n, -np.inf)
    found: list[Any] = [None] * n
    fresh = texts.reshape(n * num_beams, -1)
    for step in range(1, max_new_tokens + 1):
        with no_grad():
            logits = host(model(Tensor(fresh), cache).data[:, -1]).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        size = log_p.shape[1]
        sums = (scores[:, :, None] + log_p.reshape(n, num_beams, size)).reshape(n, -1)
        wanted = min(2 * num_beams, sums.shape[1])  # at most B of them stop: enough go on
        picks = np.argpartition(-sums, wanted - 1, axis=1)[:, :wanted]
        picks = np.take_along_axis(
            picks, np.argsort(-np.take_along_axis(sums, picks, 1), axis=1, kind="stable"), 1
        )
        parents, tokens = picks // size, picks % size
        sums = np.take_along_axis(sums, picks, 1)
        last = step == max_new_tokens
        for i, j in np.argwhere((tokens == stop) | last):
            if j < num_beams and sums[i, j] / step**length_penalty > best[i]:
                best[i] = sums[i, j] / step**length_penalty
                found[i] = [*texts[i, parents[i, j]], tokens[i, j]]
        order = np.argsort(tokens == stop, axis=1, kind="stable")[:, :num_beams]
        parents, tokens, scores = (np.take_along_axis(a, order, 1) for a in (parents, tokens, sums))
        texts = np.concatenate([texts[rows, parents], tokens[:, :, None]], axis=2)
        cache.reorder((rows * num_beams + parents).reshape(-1))
        fresh = tokens.reshape(-1, 1)
    model.train(was_training)
    out = np.full((n, max(len(text) for text in found)), stop or 0)
    for i, text in enumerate(found):
        out[i, : len(text)] = text
    return out, best
