"""What a language model is asked: tokens behind a mask (BERT), spans behind sentinels (T5).

The third way, the next token (GPT), needs no preparation: inputs are `ids[:-1]`, targets `ids[1:]`.
"""

from collections.abc import Sequence

import numpy as np

IGNORED = -100
"""The label that `cross_entropy` passes over."""


def mask_tokens(
    ids: np.ndarray, mask: int, vocab_size: int, generator: np.random.Generator,
    rate: float = 0.15, swapped: float = 0.1, kept: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """What a masked language model reads, and what it shall say: both of the shape of `ids`.

    Each token is chosen with probability `rate`. Of the chosen ones a share `swapped` becomes some token
    below `vocab_size`, a share `kept` stays, and the others become `mask`. Labels are the chosen tokens,
    and `IGNORED` elsewhere. Source: Devlin et al. 2019, section 3.1.
    """
    if not 0 < rate <= 1 or min(swapped, kept) < 0 or swapped + kept > 1:
        raise ValueError(
            f"mask_tokens: rate {rate} must be in (0, 1], and swapped {swapped} and kept {kept} shares of "
            "at most 1 together"
        )
    ids = np.asarray(ids)
    chosen = generator.random(ids.shape) < rate
    fate = generator.random(ids.shape)
    other = generator.integers(vocab_size, size=ids.shape)
    read = np.where(chosen & (fate >= swapped + kept), mask, ids)
    read = np.where(chosen & (fate < swapped), other, read)
    return read, np.where(chosen, ids, IGNORED)


def corrupt_spans(
    ids: np.ndarray, sentinels: Sequence[int], generator: np.random.Generator,
    rate: float = 0.15, mean_length: float = 3.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A source with holes and a target that fills them, from tokens (T,).

    In the source each span is one sentinel, the first span the first sentinel; the target has each
    sentinel with the tokens that it stands for, and one more sentinel as its end. round(rate T) tokens are
    in spans, of `mean_length` tokens on average, so that equal lengths in give equal lengths out.
    Source: Raffel et al. 2020, section 3.1.4.
    """
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) < 2:
        raise ValueError(f"corrupt_spans: needs two tokens or more in a row, got shape {ids.shape}")
    if not 0 < rate < 1 or mean_length < 1:
        raise ValueError(
            f"corrupt_spans: rate {rate} must be in (0, 1), mean_length {mean_length} at least 1"
        )
    hidden = min(max(round(rate * len(ids)), 1), len(ids) - 1)
    spans = min(max(round(hidden / mean_length), 1), len(ids) - hidden)
    if len(sentinels) <= spans:
        raise ValueError(
            f"corrupt_spans: {spans} spans need {spans + 1} sentinels, got {len(sentinels)}"
        )
    lengths = _parts(hidden, spans, generator)
    gaps = _parts(len(ids) - hidden, spans, generator)
    source: list[int] = []
    target: list[int] = []
    at = 0
    for sentinel, gap, length in zip(sentinels, gaps, lengths):
        source += [*ids[at : at + gap], sentinel]
        target += [sentinel, *ids[at + gap : at + gap + length]]
        at += gap + length
    return np.array(source), np.array([*target, sentinels[spans]])


def _parts(total: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` whole numbers of at least 1 with this sum, each division as likely as any other."""
    cuts = np.sort(generator.permutation(total - 1)[: count - 1]) + 1
    return np.diff([0, *cuts, total])
