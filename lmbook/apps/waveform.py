"""WaveNet on 35 seconds of a reader: the next sample, and sounds of its own.

python -m lmbook.apps.waveform [--steps 600] [--out continued.wav]
"""

import argparse
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmbook import data
from lmbook.autograd import as_tensor, no_grad
from lmbook.backend import manual_seed
from lmbook.models.wavenet import WaveNet, WaveNetConfig, next_code_loss
from lmbook.optim import Adam
from lmbook.optim.lr_scheduler import CosineAnnealingLR
from lmbook.training import Trainer

RATE = 8000


def frequencies(train: np.ndarray, test: np.ndarray, codes: int = 256) -> float:
    """Nats a sample of the codes' own frequencies, each counted once more."""
    p = np.bincount(train, minlength=codes) + 1.0
    return float(-np.log(p / p.sum())[test].mean())


def pairs(train: np.ndarray, test: np.ndarray, codes: int = 256, weight: float = 30.0) -> float:
    """Nats a sample of p(code | the one before): counts, and `weight` more spread as the frequencies."""
    alone = np.bincount(train, minlength=codes) + 1.0
    table = np.zeros((codes, codes))
    np.add.at(table, (train[:-1], train[1:]), 1)
    p = (table + weight * alone / alone.sum()) / (table.sum(axis=1, keepdims=True) + weight)
    return float(-np.log(p[test[:-1], test[1:]]).mean())


class Windows:
    """Batches of codes (batch, length) from random places, without end."""

    def __init__(self, codes: np.ndarray, length: int, batch: int, seed: int = 0) -> None:
        self.codes, self.length, self.batch = codes, length, batch
        self.generator = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[np.ndarray]]:
        while True:
            starts = self.generator.integers(0, len(self.codes) - self.length + 1, self.batch)
            yield (self.codes[starts[:, None] + np.arange(self.length)],)


def nats(model: WaveNet, codes: np.ndarray, window: int = 4000) -> float:
    """Mean -log p of the next code, each with the whole receptive field behind it."""
    field, total, count = model.config.receptive_field, 0.0, 0
    with no_grad():
        for start in range(0, len(codes) - field, window):
            part = codes[None, start : start + window + field]
            predicted = part.shape[1] - field
            total += predicted * next_code_loss(model, as_tensor(part)).item()
            count += predicted
    return total / count


def train_wavenet(
    codes: np.ndarray, config: WaveNetConfig, steps: int = 600, batch: int = 4, length: int = 2000,
    lr: float = 2e-3, seed: int = 0,
) -> tuple[WaveNet, Trainer]:  # fmt: skip
    """A model trained on random windows of `length` predictions each."""
    manual_seed(seed)
    model = WaveNet(config)
    optimizer = Adam(model.parameters(), lr=lr)
    trainer = Trainer(
        model, optimizer, next_code_loss, CosineAnnealingLR(optimizer, steps), clip_norm=1.0,
        progress=False,
    )  # fmt: skip
    trainer.fit(Windows(codes, length + config.receptive_field, batch, seed), steps=steps)
    return model, trainer


def write_wav(path: str | Path, codes: np.ndarray, rate: int = RATE) -> None:
    """Codes as a 16-bit WAV file."""
    samples = np.clip(data.mu_law_decode(codes) * 32767, -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def main(arguments: list[str] | None = None) -> None:
    """Train, print the nats a sample on the test part beside simple models', and continue it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="write the end of the test part and a second after it")
    chosen = parser.parse_args(arguments)
    train, _, test = (data.mu_law_encode(part) for part in data.recorded_speech(RATE))
    print(
        f"frequencies {frequencies(train, test):.4f}, pairs {pairs(train, test):.4f} nats a sample"
    )
    start = time.perf_counter()
    model, _ = train_wavenet(train, WaveNetConfig(layers=9), chosen.steps, seed=chosen.seed)
    print(
        f"WaveNet {nats(model, test):.4f}: {model.num_parameters():,} parameters, sees "
        f"{1000 * model.config.receptive_field / RATE:.0f} ms, {time.perf_counter() - start:.0f} s"
    )
    if chosen.out:
        prompt = test[None, -2 * model.config.receptive_field :]
        start = time.perf_counter()
        made = model.generate(prompt, RATE, 0.9, np.random.default_rng(chosen.seed))
        print(f"one second in {time.perf_counter() - start:.1f} s")
        write_wav(chosen.out, made[0])


if __name__ == "__main__":
    main()
