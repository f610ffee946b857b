"""What section B.1 says of the document's listing, asked of transformers and PyTorch themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmbook.backend import require

IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture(scope="module")
def transformers() -> Any:
    return require("transformers", "dev", "the reference")


@pytest.fixture(scope="module")
def body(transformers: Any) -> Any:
    """The class of the listing, small."""
    config = transformers.GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2)
    return transformers.GPT2Model(config).eval()


def test_wrong_names_are_stored_and_ignored(transformers: Any) -> None:
    config = transformers.GPT2Config(vocab_size=100, d_model=1024, n_head=8, num_layers=12)
    assert (config.n_embd, config.n_layer, config.n_head) == (768, 12, 8)
    assert config.d_model == 1024  # kept, and read by nothing
    with torch.device("meta"):
        wrong = transformers.GPT2Model(config)
        right = transformers.GPT2Model(transformers.GPT2Config(vocab_size=100))
    assert wrong.num_parameters() == right.num_parameters()


def test_the_body_has_no_logits_and_cannot_write(body: Any) -> None:
    with torch.no_grad():
        out = body(IDS)
    with pytest.raises(AttributeError):
        _ = out.logits
    assert not hasattr(body, "generate")


def test_a_forward_pass_swallows_the_settings_and_returns_floats(body: Any) -> None:
    with torch.no_grad():
        outputs = body(IDS, max_length=20, do_sample=True)
    assert outputs[0][0].dtype == torch.float32 and outputs[0][0].shape == (5, 16)


def test_the_loss_refuses_the_shapes_and_nothing_has_a_shift() -> None:
    with pytest.raises(RuntimeError, match="Expected target size"):
        torch.nn.CrossEntropyLoss()(torch.zeros(2, 8, 100), torch.zeros(2, 8, dtype=torch.long))
    assert not hasattr(torch.zeros(3), "shift") and not hasattr([], "shift")
