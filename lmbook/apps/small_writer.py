"""The small GPT of section B.1: trained once on Python's language reference, then kept in the cache.

The kept file's name holds a hash of everything that the training depends on, so that another setting, or
another text, never meets it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.apps.writer import Writer
from lmbook.autograd import Tensor, no_grad
from lmbook.backend import CheckpointError, manual_seed
from lmbook.data import EvaluationLoader, WindowLoader, cache_dir, language_reference
from lmbook.data.tokenizers import ByteLevelBPE
from lmbook.models import GPT, GPTConfig
from lmbook.training import (
    History,
    TrainingConfig,
    load_checkpoint,
    load_tensors,
    make_trainer,
    save_checkpoint,
)


@dataclass(frozen=True)
class Settings:
    """Sizes of the model and of its training; the defaults take about a minute on two cores."""

    vocab_size: int = 1024
    block_size: int = 128
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.1
    steps: int = 700
    batch: int = 16
    lr: float = 2e-3
    weight_decay: float = 0.1
    seed: int = 0


def next_token_loss(model: Any, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of the next token, for (x, y) (N, T)."""
    logits = model(x)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def train(
    text: str, settings: Settings, progress: bool | None = None, threads: int = 1
) -> tuple[Writer, History]:
    """A tokenizer and a GPT learned from `text`, and what was recorded."""
    tokenizer = ByteLevelBPE.train(text, settings.vocab_size)
    model, history = train_model(
        tokenizer.encode(text), len(tokenizer), settings, progress, threads
    )
    return Writer(model, tokenizer, "small"), history


def train_model(
    ids: np.ndarray,
    vocab_size: int,
    settings: Settings,
    progress: bool | None = None,
    threads: int = 1,
) -> tuple[GPT, History]:
    """A GPT trained on token numbers, with warm-up, a cosine, weight decay and clipping."""
    manual_seed(settings.seed)
    model = GPT(_config(settings, vocab_size))
    config = TrainingConfig(
        steps=settings.steps, warmup=settings.steps // 10, lr=settings.lr, clip_norm=1.0,
        weight_decay=settings.weight_decay, threads=threads,
    )  # fmt: skip
    batches = WindowLoader(
        ids, settings.batch, settings.block_size, settings.steps, generator=settings.seed
    )
    trainer = make_trainer(model, config, next_token_loss, progress)
    history = trainer.fit(batches, steps=settings.steps)
    model.eval()
    return model, history


def _config(settings: Settings, vocab_size: int) -> GPTConfig:
    s = settings
    return GPTConfig(vocab_size, s.block_size, s.n_layer, s.n_head, s.n_embd, s.dropout)


def small_writer(
    settings: Settings | None = None,
    folder: Path | None = None,
    say: Callable[[str], object] = print,
    progress: bool | None = None,
) -> Writer:
    """The trained writer from `folder` (default: the cache); trained and kept there if it is not there yet.

    A kept file that is damaged is said to be, and made anew.
    """
    settings = settings or Settings()
    text = language_reference().train
    path = (folder or cache_dir()) / f"writer-{key(settings, text)}.safetensors"
    if path.exists():
        try:
            return load(path, settings)
        except (CheckpointError, KeyError, ValueError) as error:
            say(f"the kept model is not usable and is made anew: {error}")
    say(f"training a small GPT, once; it is kept in {path.parent}")
    writer, _ = train(text, settings, progress, threads=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = {"vocab": writer.tokenizer.vocab, "merges": writer.tokenizer.merges}
    save_checkpoint(path, writer.model, metadata=tokenizer)
    return writer


def key(settings: Settings, text: str) -> str:
    """A hash of the settings and of the text."""
    content = json.dumps([asdict(settings), text]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def load(path: Path, settings: Settings) -> Writer:
    """The writer in a file of `small_writer`. Raises `CheckpointError` and its like."""
    _, header = load_tensors(path)
    given = (header or {}).get("metadata") or {}
    if "vocab" not in given:
        raise CheckpointError(f"checkpoint {path} was not written by lmbook generate; delete it")
    tokenizer = ByteLevelBPE(given["vocab"], [(a, b) for a, b in given["merges"]])
    model = GPT(_config(settings, len(tokenizer)))
    load_checkpoint(path, model)
    return Writer(model, tokenizer, "small")


def nats(model: GPT, ids: np.ndarray, stride: int | None = None) -> np.ndarray:
    """-log P of each token of a text but the first."""

    found = []
    for x, y, weight in EvaluationLoader(ids, 16, model.config.block_size, stride):
        with no_grad():
            logits = model(Tensor(x))
            loss = F.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), Tensor(y.reshape(-1)), reduction="none"
            )
        found.append(loss.data[weight.reshape(-1) > 0])
    return np.concatenate(found)
