"""`lmbook generate`: a text from a folder's model, and errors with exit code 2."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from lmbook import models
from lmbook.data.tokenizers import ByteLevelBPE

CONFIG = {"model_type": "gpt2", "n_positions": 48, "n_embd": 8, "n_layer": 1, "n_head": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of 8 dimensions as the Hub would have it."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = ByteLevelBPE.train("the try statement " * 20, 280)
    config = CONFIG | {"vocab_size": len(tokenizer)}
    state = models.GPT(models.GPTConfig.from_hub(config)).state_dict()
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    state = {n: np.ascontiguousarray(a.T if n.endswith(turned) else a) for n, a in state.items()}
    safetensors.numpy.save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save(folder / "tokenizer.json")
    return folder


def test_a_text_begins_with_the_prompt_and_depends_on_the_seed(lmbook: Any, folder: Path) -> None:
    said = [lmbook("generate", "the try", "--model", folder, "--tokens", 30, "--seed", seed)
            for seed in (1, 1, 2)]  # fmt: skip
    assert all(s.exit_code == 0 and s.stdout.startswith("the try") for s in said), said[0].output
    assert said[0].stdout == said[1].stdout != said[2].stdout
    beams = lmbook("generate", "the try", "--model", folder, "--tokens", 8, "--beams", 3)
    greedy = lmbook("generate", "the try", "--model", folder, "--tokens", 8, "--temperature", 0)
    assert beams.exit_code == greedy.exit_code == 0 and greedy.stdout.startswith("the try")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say one of these: a PROMPT, or --page"),
        (("the", "--page"), "say one of these"),
        (("",), "the prompt is empty"),
        (("x" * 100_001,), "100,001 characters"),
        (("the", "--temperature", -1), "temperature -1.0 must be 0"),
        (("the", "--top-p", 0), "top_p 0.0 must be above 0"),
        (("the", "--top-k", 0), "top_k 0 must be 1 or more"),
        (("the", "--repetition-penalty", 0), "1 is none"),
    ],
)
def test_errors(lmbook: Any, folder: Path, arguments: tuple[Any, ...], message: str) -> None:
    said = lmbook("generate", *arguments, "--model", folder)
    assert said.exit_code == 2 and message in said.stderr and not said.stdout


def test_a_model_that_is_not_there(lmbook: Any, tmp_path: Path) -> None:
    said = lmbook("generate", "the", "--model", tmp_path / "none at all")
    assert said.exit_code == 2 and "is no folder, and no name on the Hub" in said.stderr
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"vocab_size": 9}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    said = lmbook("generate", "the", "--model", tmp_path)
    assert said.exit_code == 2 and "is a pickle, which runs code" in said.stderr


def test_a_port_that_is_taken(lmbook: Any, folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = lmbook("generate", "--page", "--model", folder, "--port", port)
    assert said.exit_code == 2 and f"port {port} cannot be used" in said.stderr
    assert lmbook("generate", "--page", "--port", 99999).exit_code == 2
