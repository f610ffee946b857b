"""Rotary positions, and the ways to stretch them over texts longer than those trained on."""

import math
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError, asarray
from lmbook.nn.module import Module


class RotaryEmbedding(Module):
    """Turn pairs of features by an angle that grows with the position (Su et al. 2021).

    For x (..., T, width): pair i of position t turns by t / base^(2i / width), so that the product
    of a query and a key depends on their distance alone. `scaling` stretches the periods (`stretch`).
    """

    def __init__(
        self, width: int, max_length: int = 2048, base: float = 10000.0,
        scaling: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if width % 2:
            raise ShapeError(f"RotaryEmbedding: the width must be even, got {width}")
        self.max_length = max_length
        self.periods, self.amplitude = base ** (np.arange(0, width, 2) / width), 1.0
        if scaling is not None:
            self.periods, self.amplitude = stretch(self.periods, base, max_length, scaling)
        self.cos = self.sin = np.zeros((0, width // 2))  # of the positions met so far

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x, turned as positions offset, offset + 1, ... ask."""
        end = offset + x.shape[-2]
        if end > self.max_length:
            raise ShapeError(
                f"positions {offset} to {end - 1} asked for, the table has {self.max_length}; "
                "build the layer with a larger max_length"
            )
        if end > len(self.cos):  # twice as many as before, so that this is rare
            position = np.arange(min(max(end, 2 * len(self.cos)), self.max_length))[:, None]
            angle = position / self.periods
            self.cos = asarray(self.amplitude * np.cos(angle))
            self.sin = asarray(self.amplitude * np.sin(angle))
        return F.rotary(x, self.cos[offset:end], self.sin[offset:end])


def stretch(
    periods: np.ndarray, base: float, max_length: int, scaling: dict[str, Any]
) -> tuple[np.ndarray, float]:
    """Longer periods (positions for a turn by one radian), and a factor of cosines and sines.

    `scaling` is a checkpoint's `rope_scaling`; its `rope_type` is
    - "linear": all periods times `factor` (Chen et al. 2023);
    - "llama3": those that were seen less than `low_freq_factor` whole turns in training times `factor`, those
      with more than `high_freq_factor` as they are, a mixture between (Grattafiori et al. 2024);
    - "yarn": the same with a ramp over the pairs, from `beta_fast` turns to `beta_slow`, and larger scores
      (Peng et al. 2023).
    """
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    factor = scaling.get("factor", 1.0)
    trained = scaling.get("original_max_position_embeddings", max_length)
    if kind == "default":
        return periods, 1.0
    if kind == "linear":
        return periods * factor, 1.0
    if kind == "llama3":
        turns = trained / (2 * math.pi * periods)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        keep = np.clip((turns - low) / (high - low), 0, 1)
        return 1 / (keep / periods + (1 - keep) / (periods * factor)), 1.0
    if kind == "yarn":
        width = 2 * len(periods)

        def pair(turns: float) -> float:
            """Which pair makes so many turns in training."""
            return width * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

        first = max(math.floor(pair(scaling.get("beta_fast") or 32)), 0)
        last = min(math.ceil(pair(scaling.get("beta_slow") or 1)), width - 1)
        ramp = (np.arange(len(periods)) - first) / max(last - first, 0.001)
        slow = np.clip(ramp, 0, 1)
        periods = 1 / ((1 - slow) / periods + slow / (periods * factor))
        return periods, _yarn_amplitude(factor, scaling)
    raise ValueError(
        f"RotaryEmbedding: rope_type {kind!r} is none of 'default', 'linear', 'llama3', 'yarn'"
    )


def _yarn_amplitude(factor: float, scaling: dict[str, Any]) -> float:
    if scaling.get("attention_factor") is not None:
        return scaling["attention_factor"]
    part, whole = scaling.get("mscale"), scaling.get("mscale_all_dim")
    if part and whole:
        return yarn_mscale(factor, part) / yarn_mscale(factor, whole)
    return yarn_mscale(factor)


def yarn_mscale(factor: float, mscale: float = 1.0) -> float:
    """How much YaRN widens queries and keys: 1 + 0.1 mscale log(factor)."""
    return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0
