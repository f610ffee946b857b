"""Learn from speech that nobody wrote down, then from a little that somebody did.

    python -m lmbook.apps.masked_speech [--steps 400] [--labelled 60]

A small wav2vec 2.0 guesses masked spans of all training utterances; then it learns letters by the CTC loss
from a few of them. The same model that learns the letters alone is the comparison.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from lmbook import data
from lmbook import functional as F
from lmbook.apps.speech import LETTERS, read, spell
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.backend import manual_seed
from lmbook.data import Utterances
from lmbook.models.ctc import greedy_decode
from lmbook.models.wav2vec2 import (
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    sample_negatives,
    span_mask,
)
from lmbook.optim import AdamW
from lmbook.optim.lr_scheduler import WarmupCosineLR
from lmbook.training import Trainer
from lmbook.training.metrics import character_error_rate, word_error_rate

SMALL = Wav2Vec2Config(
    hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256,
    conv_dim=(64,) * 7, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True,
    num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=4, num_codevectors_per_group=32,
    codevector_dim=64, proj_codevector_dim=64, num_negatives=20, mask_time_prob=0.08,
    mask_time_length=5, dropout=0.05, vocab_size=len(LETTERS) + 1,
)  # fmt: skip


def scaled(wave: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1, as the public models want their samples."""
    return ((wave - wave.mean()) / (wave.std() + 1e-5)).astype(np.float32)


class Crops:
    """Batches (samples, mask, negatives): pieces of one length from random utterances, without end."""

    def __init__(
        self, waves: list[np.ndarray], config: Wav2Vec2Config, moments: int, batch: int = 16,
        length: int = 16000, seed: int = 0,
    ) -> None:  # fmt: skip
        self.waves = [scaled(w) for w in waves]
        self.config, self.moments, self.batch, self.length = config, moments, batch, length
        self.generator = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        g, c = self.generator, self.config
        while True:
            rows = []
            for k in g.integers(0, len(self.waves), self.batch):
                wave = self.waves[k]
                if len(wave) < self.length:  # said again until it is long enough
                    wave = np.tile(wave, -(-self.length // len(wave)))
                start = g.integers(0, len(wave) - self.length + 1)
                rows.append(wave[start : start + self.length])
            shape = (self.batch, self.moments)
            mask = span_mask(shape, c.mask_time_prob, c.mask_time_length, g)
            yield np.stack(rows), mask, sample_negatives(mask, c.num_negatives, g)


def pre_training_loss(
    model: Wav2Vec2ForPreTraining, samples: Tensor, mask: Tensor, negatives: Tensor
) -> Tensor:
    """Contrastive and diversity loss, per masked moment."""
    return model(samples, mask, negatives).loss / float(mask.data.sum())


def pre_train(
    waves: list[np.ndarray], config: Wav2Vec2Config = SMALL, steps: int = 400, batch: int = 16,
    lr: float = 1e-3, seed: int = 0,
) -> tuple[Wav2Vec2ForPreTraining, Trainer]:  # fmt: skip
    """A model that has guessed masked spans for so many steps; its choices get harder from 2 to 0.5."""
    manual_seed(seed)
    model = Wav2Vec2ForPreTraining(config)
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    trainer = Trainer(
        model, optimizer, pre_training_loss, WarmupCosineLR(optimizer, steps, steps // 10),
        clip_norm=1.0, progress=False,
    )  # fmt: skip
    moments = int(model.wav2vec2.output_lengths(16000))
    batches = iter(Crops(waves, config, moments, batch, seed=seed))
    for step in range(steps):
        model.quantizer.temperature = max(2.0 * 0.25 ** (step / steps), 0.5)
        trainer.train_step(next(batches))
    return model, trainer


def guessed(
    model: Wav2Vec2ForPreTraining, waves: list[np.ndarray], seed: int = 1
) -> tuple[float, float]:
    """On unheard utterances: how often the masked moment is told from the distractors, and the share of
    the codes in use (perplexity over all)."""
    moments = int(model.wav2vec2.output_lengths(16000))
    batches = iter(Crops(waves, model.config, moments, seed=seed))
    model.eval()
    with no_grad():
        results = [model(*(as_tensor(a) for a in next(batches))) for _ in range(4)]
    model.train()
    use = [1 - r.diversity.item() / r.masked for r in results]
    return float(np.mean([r.accuracy for r in results])), float(np.mean(use))


class Labelled:
    """Batches (samples, lengths, targets, target lengths), padded; utterances of like length together."""

    def __init__(self, part: Utterances, batch: int = 12, seed: int = 0) -> None:
        self.part, self.batch = part, batch
        self.generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.part.waves) // self.batch)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        lengths = np.array([len(w) for w in self.part.waves], float)
        order = np.argsort(lengths * self.generator.uniform(0.9, 1.1, len(lengths)))
        for b in self.generator.permutation(len(self)):
            yield padded(self.part, order[b * self.batch : (b + 1) * self.batch])


def padded(part: Utterances, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """The utterances of these rows as one batch."""
    waves, targets = [scaled(part.waves[i]) for i in rows], [spell(part.texts[i]) for i in rows]
    samples = np.zeros((len(rows), max(map(len, waves))), np.float32)
    symbols = np.zeros((len(rows), max(map(len, targets))), np.int64)
    for i, (wave, target) in enumerate(zip(waves, targets)):
        samples[i, : len(wave)], symbols[i, : len(target)] = wave, target
    return samples, np.array([*map(len, waves)]), symbols, np.array([*map(len, targets)])


def letter_loss(
    model: Wav2Vec2ForCTC, samples: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> Tensor:
    """The CTC loss of a batch, per letter."""
    log_probs = F.log_softmax(model(samples, lengths)).transpose(0, 1)
    steps = model.output_lengths(lengths)
    return F.ctc_loss(log_probs, targets, steps, target_lengths, zero_infinity=True)


def fine_tune(
    part: Utterances, pre_trained: Wav2Vec2ForPreTraining | None = None,
    config: Wav2Vec2Config = SMALL, epochs: int = 60, lr: float = 1e-3, seed: int = 0,
) -> Wav2Vec2ForCTC:  # fmt: skip
    """Letters from a few utterances, from scratch or from what was learnt without letters."""
    manual_seed(seed)
    model = Wav2Vec2ForCTC(config)
    if pre_trained is not None:
        model.wav2vec2.load_state_dict(pre_trained.wav2vec2.state_dict())
    batches = Labelled(part, seed=seed)
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    total = epochs * len(batches)
    trainer = Trainer(
        model, optimizer, letter_loss, WarmupCosineLR(optimizer, total, total // 10),
        clip_norm=1.0, progress=False,
    )  # fmt: skip
    trainer.fit(batches, epochs)
    return model


def transcribe(model: Wav2Vec2ForCTC, part: Utterances, batch: int = 20) -> list[str]:
    """What the model hears, by the likeliest path."""
    model.eval()
    heard: list[str] = []
    for start in range(0, len(part.waves), batch):
        rows = np.arange(start, min(start + batch, len(part.waves)))
        samples, lengths, _, _ = padded(part, rows)
        with no_grad():
            logits: Any = model(as_tensor(samples), lengths).data
        steps = model.output_lengths(lengths)
        heard += [read(s) for s in greedy_decode(logits.transpose(1, 0, 2), steps)]
    return heard


def main(arguments: list[str] | None = None) -> None:
    """Pre-train, fine-tune, and print both models' error rates on the voices of the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--labelled", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    splits = data.spoken_digits()
    start = time.perf_counter()
    model, _ = pre_train(splits.train.waves, steps=chosen.steps, seed=chosen.seed)
    right, use = guessed(model, splits.test.waves)
    seconds = time.perf_counter() - start
    print(
        f"{model.num_parameters():,} parameters, {chosen.steps} steps in {seconds:.0f} s: "
        f"right among {SMALL.num_negatives + 1}: {right:.3f} (chance {1 / (SMALL.num_negatives + 1):.3f}), "
        f"codes in use {use:.2f}"
    )
    few = splits.train.first(chosen.labelled)
    for name, from_what in (("from scratch", None), ("pre-trained", model)):
        start = time.perf_counter()
        tuned = fine_tune(few, from_what, epochs=chosen.epochs, seed=chosen.seed)
        heard = transcribe(tuned, splits.test)
        print(
            f"{name}, {chosen.labelled} utterances with text: "
            f"WER {word_error_rate(splits.test.texts, heard):.4f}, "
            f"CER {character_error_rate(splits.test.texts, heard):.4f}, {time.perf_counter() - start:.0f} s"
        )


if __name__ == "__main__":
    main()
