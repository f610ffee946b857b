"""Rotary positions stretched as checkpoints ask, against transformers' frequencies, and their gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import parity
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from lmbook import nn, tensor
from lmbook.backend import ShapeError

SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 3.0},
    "llama3": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096},
    "yarn of DeepSeek": {
        "rope_type": "yarn", "factor": 40.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
        "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096,
    },
    "yarn, given": {
        "rope_type": "yarn", "factor": 4.0, "attention_factor": 1.25,
        "original_max_position_embeddings": 512,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize(("width", "base"), [(64, 10000.0), (128, 500000.0)])
def test_frequencies_are_the_references(name: str, width: int, base: float) -> None:
    scaling = SCALINGS[name]
    config = LlamaConfig(
        hidden_size=4 * width, num_attention_heads=4, head_dim=width, max_position_embeddings=131072,
        rope_parameters={**scaling, "rope_theta": base},
    )  # fmt: skip
    frequencies, factor = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](config, torch.device("cpu"))
    ours = nn.RotaryEmbedding(width, 131072, base, scaling)
    np.testing.assert_allclose(1 / ours.periods, frequencies.numpy(), rtol=2e-6)
    assert ours.amplitude == pytest.approx(factor)


def test_gradient() -> None:
    rope = nn.RotaryEmbedding(8, 64, scaling=SCALINGS["yarn, given"])
    angle = np.arange(2, 7)[:, None] / rope.periods
    cos, sin = (torch.tensor(1.25 * np.tile(f(angle), 2)) for f in (np.cos, np.sin))

    def theirs(x: torch.Tensor) -> torch.Tensor:
        turned = torch.cat([-x[..., 4:], x[..., :4]], -1)
        return x * cos.to(x.dtype) + turned * sin.to(x.dtype)

    parity("nn.RotaryEmbedding, stretched", lambda x: rope(x, 2), theirs, [(2, 3, 5, 8)])


def test_the_table_grows_and_ends() -> None:
    rope, whole = nn.RotaryEmbedding(4, 100), nn.RotaryEmbedding(4, 100)
    x = tensor(np.random.default_rng(0).standard_normal((100, 4)))
    want = whole(x).numpy()
    for start, end in ((0, 3), (3, 4), (4, 9), (9, 60), (60, 100)):
        np.testing.assert_array_equal(rope(x[start:end], start).numpy(), want[start:end])
        assert end <= len(rope.cos) <= 100
    with pytest.raises(ShapeError, match=r"positions 98 to 101 asked for, the table has 100"):
        rope(x[:4], 98)
    with pytest.raises(ValueError, match=r"rope_type 'dynamic' is none of 'default', 'linear'"):
        nn.RotaryEmbedding(4, 8, scaling={"rope_type": "dynamic", "factor": 2.0})
    plain = nn.RotaryEmbedding(4, 8, scaling={"type": "default"})
    np.testing.assert_array_equal(plain(x[:8]).numpy(), want[:8])
