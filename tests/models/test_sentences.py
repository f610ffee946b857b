"""MiniLM's weights in our BERT, with our WordPiece, against transformers on the same file."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from proofs import Pair, close, sized

from lmbook import data, models
from lmbook.backend import CheckpointError, TensorFile

TEXTS = [
    "eating food", "eating bread", "The stock market fell sharply.", "How do I sort a list?",
    "Gelaufen! 猫坐在垫子上。 A naïve café, ΑΣ — 3.14%", "", "x" * 300, "many words " * 400,
    "A list is put into order by the method sort.", "\tTabs,\nlines\u200b and controls\x07.",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Path:
    return data.minilm()


@pytest.fixture(scope="module")
def encoder(folder: Path) -> models.SentenceEncoder:
    return models.SentenceEncoder.from_pretrained(folder)


@pytest.fixture(scope="module")
def reference(folder: Path) -> np.ndarray:
    """The library's tokenizer and model, mean of the vectors, divided by its length."""
    transformers.logging.set_verbosity_error()
    model: Any = transformers.BertModel.from_pretrained(folder).eval()
    tokenizer = tokenizers.BertWordPieceTokenizer(str(folder / "vocab.txt"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    encoded = tokenizer.encode_batch(TEXTS)
    index = torch.tensor([e.ids for e in encoded])
    mask = torch.tensor([e.attention_mask for e in encoded])
    with torch.no_grad():
        hidden = model(index, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=1).numpy()


def test_vectors_are_the_references(encoder: models.SentenceEncoder, reference: np.ndarray) -> None:
    for size in (32, 3):
        vectors = encoder.encode(TEXTS, batch_size=size)
        assert vectors.dtype == np.float32 and vectors.shape == (len(TEXTS), 384)
        pair = Pair(
            "all-MiniLM-L6-v2", models.SentenceEncoder, "transformers BertModel", "bert on the Hub", True
        )  # fmt: skip
        close(pair, "vectors of ten texts", vectors, reference, 1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_texts_of_a_like_meaning_are_near(encoder: models.SentenceEncoder) -> None:
    row = data.registry["minilm"]
    v = encoder.encode(TEXTS)
    assert v[0] @ v[1] == pytest.approx(row.baselines[0].value, abs=5e-4)
    assert v[0] @ v[2] < 0.2 and v[3] @ v[8] > 0.4 > v[3] @ v[2]


def test_the_registry_counts_right(encoder: models.SentenceEncoder, folder: Path) -> None:
    count = encoder.model.num_parameters()
    entries = TensorFile(folder / "model.safetensors").entries.values()
    held = sum(math.prod(shape) for kind, shape, *_ in entries if kind == "F32")
    sized(
        "all-MiniLM-L6-v2", models.SentenceEncoder, count, held, "arrays of the checkpoint's file"
    )
    assert count == 22_713_216
    assert len(encoder.model.state_dict()) == 103 and len(encoder.tokenizer) == 30_522
    assert "22,713,216 parameters in 103 arrays" in data.registry["minilm"].rows
    assert encoder.max_length == 256


def test_odd_inputs(encoder: models.SentenceEncoder, folder: Path, tmp_path: Path) -> None:
    assert encoder.encode([]).shape == (0, 384)
    with pytest.raises(TypeError, match="give a list of texts, not one string"):
        encoder.encode("one")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(FileNotFoundError, match=r"has no vocab\.txt"):
        models.SentenceEncoder.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt has 2 tokens, the model 30522"):
        models.SentenceEncoder.from_pretrained(tmp_path)


def test_an_unpacked_file_that_was_damaged_is_written_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = data.registry["minilm"].archives[0]
    monkeypatch.setenv("LMBOOK_CACHE", str(tmp_path))
    shutil.copy(folder.parent / archive.filename, tmp_path)
    mine = data.minilm()
    assert mine.parent == tmp_path
    content = (folder / "vocab.txt").read_bytes()
    assert (mine / "vocab.txt").read_bytes() == content
    (mine / "vocab.txt").write_bytes(content[:-1])
    before = (mine / "model.safetensors").stat().st_mtime_ns
    data.minilm()
    assert (mine / "vocab.txt").read_bytes() == content
    assert (mine / "model.safetensors").stat().st_mtime_ns == before
    assert not list(mine.glob("*.tmp"))
    shutil.rmtree(mine)
    mine.write_text("in the way")
    with pytest.raises(data.DataError, match=r"cannot unpack .* set LMBOOK_CACHE"):
        data.minilm()
