"""Speech to letters: an acoustic model for the CTC loss, and how its output becomes text.

Shapes: T moments, N utterances, M mel bands, C symbols with the blank among them.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat
from lmbook.autograd.tensor import raw


@dataclass
class AcousticConfig:
    """Sizes of the recogniser."""

    n_mels: int = 40
    symbols: int = 17
    width: int = 96
    hidden: int = 96
    kernel: int = 5
    stride: int = 2
    dropout: float = 0.2


class AcousticModel(nn.Module):
    """Two convolutions, of which the first halves the rate, a GRU each way, one linear map.

    An utterance gets the same output alone and among longer ones: what is behind its end is zero for the
    convolutions, and the backward GRU starts at its own end.
    """

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        c = self.config = config
        self.conv1 = nn.Conv1d(c.n_mels, c.width, c.kernel, c.stride, padding=c.kernel // 2)
        self.conv2 = nn.Conv1d(c.width, c.width, c.kernel, padding=c.kernel // 2)
        self.norm = nn.LayerNorm(c.width)
        self.drop = nn.Dropout(c.dropout)
        self.ahead = nn.GRU(c.width, c.hidden, batch_first=True)
        self.back = nn.GRU(c.width, c.hidden, batch_first=True)
        self.output = nn.Linear(2 * c.hidden, c.symbols)

    def output_lengths(self, lengths: Any) -> np.ndarray:
        """Moments that come out for frames that go in."""
        return -(-np.asarray(raw(lengths)) // self.config.stride)

    def forward(self, x: Tensor, lengths: Any) -> Tensor:
        """Features (N, frames, M) and their lengths (N,) -> log-probabilities (T, N, C)."""
        steps = self.output_lengths(lengths)
        x = self.conv1(_silence(x, np.asarray(raw(lengths))).transpose(1, 2)).relu().transpose(1, 2)
        x = self.conv2(_silence(x, steps).transpose(1, 2)).relu().transpose(1, 2)
        x = self.drop(self.norm(x))
        ahead, back = self.ahead(x)[0], _mirror(self.back(_mirror(x, steps))[0], steps)
        y = self.output(self.drop(cat([ahead, back], dim=-1)))
        return F.log_softmax(y).transpose(0, 1)


class LinearRecogniser(nn.Module):
    """The baseline: each symbol's score is linear in a window of `frames` frames."""

    def __init__(self, config: AcousticConfig, frames: int = 31) -> None:
        super().__init__()
        self.config = config
        self.conv = nn.Conv1d(
            config.n_mels, config.symbols, frames, config.stride, padding=frames // 2
        )

    def output_lengths(self, lengths: Any) -> np.ndarray:
        """Moments that come out for frames that go in."""
        return -(-np.asarray(raw(lengths)) // self.config.stride)

    def forward(self, x: Tensor, lengths: Any) -> Tensor:
        """Features (N, frames, M) and their lengths (N,) -> log-probabilities (T, N, C)."""
        y = self.conv(_silence(x, np.asarray(raw(lengths))).transpose(1, 2))
        return F.log_softmax(y.transpose(1, 2)).transpose(0, 1)


def _silence(x: Tensor, lengths: np.ndarray) -> Tensor:
    """x (N, T, ...), zero behind each length."""
    inside = np.arange(x.shape[1]) < lengths[:, None]
    return x if inside.all() else x * inside[:, :, None].astype(x.dtype)


def _mirror(x: Tensor, lengths: np.ndarray) -> Tensor:
    """Each sequence of x (N, T, F) backwards within its own length; the rest stays in place."""
    t = np.arange(x.shape[1])
    index = np.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, np.broadcast_to(index[:, :, None], x.shape))


def collapse(path: Any, blank: int = 0) -> list[int]:
    """A path's text: repeats once, then without blanks."""
    return [int(symbol) for symbol, _ in groupby(path) if symbol != blank]


def greedy_decode(log_probs: Any, lengths: Any, blank: int = 0) -> list[list[int]]:
    """The text of the likeliest path of each utterance, which need not be the likeliest text.

    Shapes: log_probs (T, N, C), lengths (N,).
    """
    best = np.asarray(raw(log_probs)).argmax(axis=-1)
    return [collapse(best[:n, i], blank) for i, n in enumerate(np.asarray(raw(lengths)))]


def beam_decode(
    log_probs: Any, width: int = 16, blank: int = 0,
    language: Callable[[tuple[int, ...], int], float] | None = None,
) -> list[tuple[list[int], float]]:  # fmt: skip
    """The likeliest texts of one utterance (T, C), best first, each with log of its probability.

    A beam holds prefixes, not paths: the probabilities of all paths with one text are added, apart for
    those that end in a blank, after which a repeat is a new letter (Hannun et al. 2014). With a beam wide
    enough to lose nothing the result is exact. `language(prefix, symbol)` is added for each new symbol.
    """
    if width < 1:
        raise ValueError(f"beam_decode: width = {width} must be 1 or more")
    low = -np.inf
    beam: dict[tuple[int, ...], tuple[float, float]] = {
        (): (0.0, low)
    }  # ends in blank, in a symbol
    for frame in np.asarray(raw(log_probs), np.float64):
        found: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [low, low])
        for prefix, (silent, sounding) in beam.items():
            total, same = np.logaddexp(silent, sounding), found[prefix]
            same[0] = np.logaddexp(same[0], total + frame[blank])
            if prefix:
                same[1] = np.logaddexp(same[1], sounding + frame[prefix[-1]])
            for symbol, p in enumerate(frame):
                if symbol == blank or p == low:
                    continue
                before = silent if prefix and symbol == prefix[-1] else total
                bonus = language(prefix, symbol) if language else 0.0
                longer = found[(*prefix, symbol)]
                longer[1] = np.logaddexp(longer[1], before + p + bonus)
        possible = [item for item in found.items() if max(item[1]) > low]
        ranked = sorted(possible, key=lambda item: -np.logaddexp(item[1][0], item[1][1]))
        beam = {prefix: (a, b) for prefix, (a, b) in ranked[:width]}
    return [(list(prefix), float(np.logaddexp(a, b))) for prefix, (a, b) in beam.items()]
