"""Writing: prompts, pieces of text, GPT-2's folder, and the small model that is kept."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmbook.apps import small_writer as small
from lmbook.apps.writer import MOST, PromptError, Writer, load_tokenizer
from lmbook.backend import CheckpointError, require
from lmbook.data.tokenizers import ByteLevelBPE
from lmbook.models import Sampling

TINY = small.Settings(vocab_size=300, block_size=32, n_layer=1, n_head=2, n_embd=16, steps=12)
TEXT = "The try statement — naïve. 猫和帽子 " * 60


@pytest.fixture(scope="module")
def writer() -> Writer:
    return small.train(TEXT, TINY, progress=False)[0]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory, writer: Writer) -> tuple[Path, Any]:
    """A folder as the Hub has GPT-2's, saved by transformers, with random weights."""
    t = require("transformers", "dev", "the reference")
    torch.manual_seed(0)
    tokenizer = ByteLevelBPE.train(TEXT, 320, special=["<|endoftext|>"])
    end = tokenizer.special["<|endoftext|>"]
    config = t.GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=16, n_layer=2, n_head=2,
                          initializer_range=0.5, bos_token_id=end, eos_token_id=end)  # fmt: skip
    reference = t.GPT2LMHeadModel(config).eval()
    folder = tmp_path_factory.mktemp("gpt2")
    reference.save_pretrained(folder)
    tokenizer.save(folder / "tokenizer.json")
    return folder, reference


def test_pieces_join_to_what_generate_writes(writer: Writer) -> None:
    pieces = list(writer.write("The try", 60, Sampling(0.9, top_p=0.9), seed=3))
    assert len(pieces) == 61 and pieces == list(
        writer.write("The try", 60, Sampling(0.9, top_p=0.9), 3)
    )
    rows = writer.model.generate(
        writer.encode("The try"), 60, temperature=0.9, top_p=0.9,
        generator=np.random.default_rng(3),
    )  # fmt: skip
    start = len(writer.encode("The try")[0])
    assert "".join(pieces) == writer.tokenizer.decode(rows[0, start:])


def test_writing_ends_at_the_end_of_the_text(gpt2: tuple[Path, Any]) -> None:
    writer = Writer.from_pretrained(gpt2[0])
    assert writer.stop == 0
    writer.model.ln_f.bias.data += 30 * writer.model.wte.weight.data[0]
    assert "".join(writer.write("The", 50)) == "" and writer.search("The", 5, 2) == ""


def test_gpt2_from_a_folder_writes_what_transformers_writes(gpt2: tuple[Path, Any]) -> None:
    folder, reference = gpt2
    writer = Writer.from_pretrained(folder)
    ids = writer.encode("The try")
    more = {"attention_mask": torch.ones(ids.shape), "pad_token_id": 0, "max_new_tokens": 20}
    want = reference.generate(torch.from_numpy(ids), do_sample=False, **more)[0, ids.shape[1] :]
    assert "".join(writer.write("The try", 20, Sampling(0))) == writer.tokenizer.decode(want)
    want = reference.generate(torch.from_numpy(ids), num_beams=3, early_stopping="never", **more)
    assert writer.search("The try", 20, 3) == writer.tokenizer.decode(want[0, ids.shape[1] :])


def test_older_folders_have_their_tokenizer_in_two_files(
    gpt2: tuple[Path, Any], tmp_path: Path
) -> None:
    new = load_tokenizer(gpt2[0])
    (tmp_path / "vocab.json").write_text(json.dumps(new.vocab), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in new.merges)]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    old = load_tokenizer(tmp_path)
    assert old.special == new.special
    np.testing.assert_array_equal(old.encode(TEXT), new.encode(TEXT))


def unfit(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["vocab"]["more"] = 5000
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer is there"),
    "no JSON": (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer cannot be read"),
    "a list": (lambda f: (f / "tokenizer.json").write_text("[]"), "tokenizer cannot be read"),
    "another": (unfit, "the tokenizer has a token 5000, the model only 293"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:-40]
        ), "truncated",
    ),
    "a pickle": (
        lambda f: (f / "model.safetensors").write_bytes(pickle.dumps({"a": [1] * 99})), "pickle",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_folder_is_refused(how: str, gpt2: tuple[Path, Any], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(gpt2[0], folder)
    damage, why = DAMAGE[how]
    damage(folder)
    with pytest.raises(CheckpointError, match=why):
        Writer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("prompt", "why"),
    [("", "empty"), (" \n\t", "empty"), ("x" * (MOST + 1), "has 100,001 characters")],
)
def test_prompts_that_cannot_be_continued(writer: Writer, prompt: str, why: str) -> None:
    for work in (lambda: next(writer.write(prompt)), lambda: writer.search(prompt),
                 lambda: writer.next_tokens(prompt, Sampling())):  # fmt: skip
        with pytest.raises(PromptError, match=why):
            work()


def test_a_prompt_longer_than_the_context_is_continued(writer: Writer) -> None:
    long = TEXT[:3000]
    assert len(writer.encode(long)[0]) > writer.context
    assert len(list(writer.write(long, 40))) == 41
    assert writer.search(long, 1000, 2)


def test_the_next_tokens_before_and_after_the_filters(writer: Writer) -> None:
    rows = writer.next_tokens("The try", Sampling(top_k=2), most=4)
    own, drawn = np.array([p for _, p, _ in rows]), np.array([p for *_, p in rows])
    assert (np.diff(own) <= 0).all() and own.sum() < 1
    assert drawn.sum() == pytest.approx(1) and (drawn > 0).tolist() == [True, True, False, False]


def test_the_small_model_is_trained_once(tmp_path: Path, writer: Writer) -> None:
    said: list[str] = []
    one = small.small_writer(TINY, tmp_path, said.append, progress=False)
    assert len(said) == 1 and "once" in said[0]
    two = small.small_writer(TINY, tmp_path, said.append, progress=False)
    assert len(said) == 1
    assert list(one.write("The", 30)) == list(two.write("The", 30))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:-50], b"", pickle.dumps([1] * 99), whole[:-9] + b"\x00" * 9):
        path.write_bytes(damaged)
        said.clear()
        small.small_writer(TINY, tmp_path, said.append, progress=False)
        assert "not usable and is made anew" in said[0] and path.read_bytes() == whole


def test_the_kept_files_name_depends_on_settings_and_text() -> None:
    keys = {small.key(TINY, TEXT), small.key(small.Settings(), TEXT), small.key(TINY, TEXT + "x")}
    assert len(keys) == 3


def test_nats_are_those_of_every_token_once(writer: Writer) -> None:
    ids = writer.tokenizer.encode(TEXT[:700])
    assert len(small.nats(writer.model, ids)) == len(ids) - 1
    close = small.nats(writer.model, ids, stride=8)
    assert len(close) == len(ids) - 1 and (close >= 0).all()
