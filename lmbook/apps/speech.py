"""Digits heard letter by letter: log-mel features, an acoustic model, the CTC loss, a beam.

python -m lmbook.apps.speech [--model linear]
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from lmbook import data, nn
from lmbook import functional as F
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.backend import manual_seed
from lmbook.data import Splits, Utterances
from lmbook.models.ctc import (
    AcousticConfig,
    AcousticModel,
    LinearRecogniser,
    beam_decode,
    greedy_decode,
)
from lmbook.optim import Adam
from lmbook.optim.lr_scheduler import CosineAnnealingLR
from lmbook.training import Trainer
from lmbook.training.metrics import character_error_rate, word_error_rate

LETTERS = " efghinorstuvwxz"
"""The letters of the ten digits; symbol 0 is the blank, letter k is symbol k + 1."""


def spell(text: str) -> np.ndarray:
    """Symbols of a text."""
    return np.array([LETTERS.index(letter) + 1 for letter in text])


def read(symbols: Any) -> str:
    """The text of symbols."""
    return "".join(LETTERS[s - 1] for s in symbols)


def features(wave: np.ndarray) -> np.ndarray:
    """Log-mel frames (T, 40), each band shifted and scaled to mean 0 and deviation 1."""
    x = data.log_mel(wave, floor=1e-4)
    return (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)


class SpeechBatches:
    """Batches (features, lengths, targets, target lengths), padded; utterances of like length together."""

    def __init__(self, part: Utterances, batch: int = 32, seed: int | None = 0) -> None:
        self.features = [features(wave) for wave in part.waves]
        self.targets = [spell(text) for text in part.texts]
        self.batch = batch
        self.generator = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.features) // self.batch)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        lengths = np.array([len(x) for x in self.features], float)
        if self.generator is None:
            order, batches = np.arange(len(lengths)), np.arange(len(self))
        else:  # sort by length, blurred so that batches differ from pass to pass
            order = np.argsort(lengths * self.generator.uniform(0.9, 1.1, len(lengths)))
            batches = self.generator.permutation(len(self))
        for b in batches:
            rows = order[b * self.batch : (b + 1) * self.batch]
            yield self.padded(rows)

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The utterances of these rows as one batch."""
        x, y = ([many[i] for i in rows] for many in (self.features, self.targets))
        sizes = [np.array([len(a) for a in many]) for many in (x, y)]
        wide = np.zeros((len(rows), sizes[0].max(), x[0].shape[1]), np.float32)
        targets = np.zeros((len(rows), sizes[1].max()), np.int64)
        for i, (a, b) in enumerate(zip(x, y)):
            wide[i, : len(a)], targets[i, : len(b)] = a, b
        return wide, sizes[0], targets, sizes[1]


def ctc_batch_loss(
    model: Any, x: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> Tensor:
    """The CTC loss of a batch, per letter; what cannot be aligned is left out."""
    log_probs = model(x, lengths)
    return F.ctc_loss(
        log_probs, targets, model.output_lengths(lengths), target_lengths, zero_infinity=True
    )


def transcribe(model: Any, batches: SpeechBatches, beam: int | None = None) -> list[str]:
    """What the model hears, in the utterances' order; by the likeliest path, or a beam."""
    model.eval()
    heard = []
    for start in range(0, len(batches.features), batches.batch):
        rows = np.arange(start, min(start + batches.batch, len(batches.features)))
        x, lengths, _, _ = batches.padded(rows)
        with no_grad():
            log_probs = model(as_tensor(x), lengths).data
        steps = model.output_lengths(lengths)
        if beam is None:
            heard += [read(s) for s in greedy_decode(log_probs, steps)]
        else:
            heard += [read(beam_decode(log_probs[:n, i], beam)[0][0]) for i, n in enumerate(steps)]
    return heard


def train_recogniser(
    splits: Splits[Utterances],
    kind: str = "acoustic",
    epochs: int = 15,
    lr: float = 3e-3,
    seed: int = 0,
    batch: int = 32,
) -> tuple[nn.Module, Trainer]:
    """A model trained on the first part, with the character error rate of the second after each pass."""
    manual_seed(seed)
    config = AcousticConfig(symbols=len(LETTERS) + 1)
    model = AcousticModel(config) if kind == "acoustic" else LinearRecogniser(config)
    batches = SpeechBatches(splits.train, batch, seed)
    held = SpeechBatches(splits.validation, seed=None)
    optimizer = Adam(model.parameters(), lr=lr)
    trainer = Trainer(
        model, optimizer, ctc_batch_loss, CosineAnnealingLR(optimizer, epochs * len(batches)),
        clip_norm=5.0, progress=False,
    )  # fmt: skip

    def measure(m: nn.Module) -> dict[str, float]:
        return {"cer": character_error_rate(splits.validation.texts, transcribe(m, held))}

    trainer.fit(batches, epochs, evaluate=measure)
    return model, trainer


def main(arguments: list[str] | None = None) -> None:
    """Train, then print the error rates on the voices of the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("acoustic", "linear"), default="acoustic")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    splits = data.spoken_digits()
    start = time.perf_counter()
    model, trainer = train_recogniser(splits, chosen.model, chosen.epochs, seed=chosen.seed)
    print(f"{model.num_parameters():,} parameters, {time.perf_counter() - start:.0f} s")
    print("validation CER by epoch:", [round(v, 3) for v in trainer.history["cer"]])
    held = SpeechBatches(splits.test, seed=None)
    for name, beam in (("greedy", None), ("beam of 16", 16)):
        heard = transcribe(model, held, beam)
        print(
            f"{name}: WER {word_error_rate(splits.test.texts, heard):.4f}, "
            f"CER {character_error_rate(splits.test.texts, heard):.4f}"
        )


if __name__ == "__main__":
    main()
