"""BERT, GPT and T5 beside recurrent networks, all small, each at its own best learning rate.

    python -m lmbook.apps.small_language --part characters --save FILE

On the language reference: a hidden character with others in view (holes), the next character (characters),
three tasks from text to text (tasks). Each model is trained at every rate of a grid from seed 0, and at the
best by validation loss from more seeds. All are measured on texts that no tuning has seen.
"""

import argparse
import csv
import datetime
import functools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, no_grad
from lmbook.backend import manual_seed
from lmbook.data import corrupt_spans, language_reference, pad_sequences
from lmbook.models.bert import BertConfig, BertForMaskedLM
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.t5 import T5, T5Config
from lmbook.optim import AdamW
from lmbook.optim.lr_scheduler import WarmupCosineLR

STORED = Path(__file__).with_suffix(".csv")


def fit(
    model: Any, loss: Callable[..., Tensor], draw: Callable[..., Any], steps: int, lr: float, seed: int = 0
) -> list[float]:  # fmt: skip
    """Steps of AdamW on loss(model, *draw(rng)), the rate rising for a tenth of them; returns the losses."""
    optimizer = AdamW(model.parameters(), lr=lr)
    schedule = WarmupCosineLR(optimizer, total=steps, warmup=steps // 10)
    rng, losses = np.random.default_rng(seed), []
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model, *draw(rng))
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(value.item())
    model.eval()
    return losses


class Characters(NamedTuple):
    """The language reference as numbers; `mask` is one more than the last character's."""

    letters: list[str]
    code: dict[str, int]
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    mask: int


@functools.cache
def characters() -> Characters:
    """The reference's three parts, numbered by all characters that occur."""
    text = language_reference()
    letters = sorted(set(text.text))
    code = {c: i for i, c in enumerate(letters)}
    train, validation, test = (np.array([code[c] for c in part]) for part in text)
    return Characters(letters, code, train, validation, test, mask=len(letters))


def windows(text: np.ndarray, rng: Any, n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """n windows of 2 side + 1 characters with the middle one hidden, and what it was."""
    rows = text[rng.integers(len(text) - 2 * side, size=n)[:, None] + np.arange(2 * side + 1)]
    middle = rows[:, side].copy()
    rows[:, side] = characters().mask
    return rows, middle


def small_bert(length: int, vocab_size: int = 0, **more: Any) -> BertConfig:
    """Two layers of width 48 for up to `length` tokens, without dropout."""
    return BertConfig(
        vocab_size=vocab_size or characters().mask + 1, hidden_size=48, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=192, max_position_embeddings=length,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0, initializer_range=0.1, **more,
    )  # fmt: skip


class View(NamedTuple):
    """What a position sees: `side` characters to either side, of which `sight` leaves some."""

    sight: Callable[[Any], np.ndarray]
    side: int


VIEWS = {
    "4 and 4": View(np.asarray, 4),
    "4 on the left": View(np.tril, 4),
    "4 on the right": View(np.triu, 4),
    "2 and 2": View(np.asarray, 2),
}


def guess(model: Any, rows: np.ndarray, sight: Callable[[Any], np.ndarray]) -> Tensor:
    """Logits of the middle character: rows (N, L) -> (N, V)."""
    n, length = rows.shape
    mask = np.broadcast_to(sight(np.ones((length, length))), (n, length, length))
    return model(Tensor(rows), attention_mask=mask)[:, length // 2]


class Holes:
    """A small BERT that fills the hole in the middle, with one of the `VIEWS`."""

    lrs = (1e-3, 3e-3, 1e-2)
    models = tuple(VIEWS)
    steps = 800

    def build(self, name: str) -> BertForMaskedLM:
        """The network is the same for all views but for its positions."""
        self.view = VIEWS[name]
        return BertForMaskedLM(small_bert(2 * self.view.side + 1))

    def loss(self, model: Any, rows: np.ndarray, middle: np.ndarray) -> Tensor:
        """Mean nats for the hidden character."""
        return F.cross_entropy(guess(model, rows, self.view.sight), Tensor(middle))

    def draw(self, rng: Any, n: int = 96, part: str = "train") -> tuple[np.ndarray, np.ndarray]:
        """n windows of one part."""
        return windows(getattr(characters(), part), rng, n, self.view.side)

    def measure(self, model: Any, part: str, n: int = 2000) -> dict[str, float]:
        """Nats for n hidden characters."""
        with no_grad():
            return {"loss": self.loss(model, *self.draw(np.random.default_rng(9), n, part)).item()}


class CharLSTM(nn.Module):
    """One LSTM that reads character by character: (N, T) -> logits of the next (N, T, V)."""

    def __init__(self, vocab_size: int, width: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, index: Tensor) -> Tensor:
        """Character numbers in, logits out."""
        return self.head(self.lstm(self.embedding(index))[0])


class NextCharacter:
    """An LSTM and a GPT of as many parameters that predict the next character."""

    lrs = (1e-3, 3e-3, 1e-2, 3e-2)
    models = ("LSTM", "GPT")
    steps = 1000

    def build(self, name: str) -> Any:
        """94 and 98 thousand parameters."""
        n = len(characters().letters)
        if name == "LSTM":
            return CharLSTM(n)
        return GPT(GPTConfig(vocab_size=n, block_size=64, n_layer=2, n_head=4, n_embd=60))

    def loss(self, model: Any, rows: np.ndarray) -> Tensor:
        """Mean nats for each character of (N, T + 1) after its first."""
        logits = model(Tensor(rows[:, :-1]))
        return F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), Tensor(rows[:, 1:].reshape(-1))
        )

    def draw(self, rng: Any, n: int = 16, length: int = 64) -> tuple[np.ndarray]:
        """n pieces of the training text."""
        text = characters().train
        return (text[rng.integers(len(text) - length, size=n)[:, None] + np.arange(length + 1)],)

    def measure(self, model: Any, part: str) -> dict[str, float]:
        """Loss and perplexity on all of a part, in pieces of 64."""
        text = getattr(characters(), part)
        with no_grad():
            loss = self.loss(model, text[: len(text) // 65 * 65].reshape(-1, 65)).item()
        return {"loss": loss, "perplexity": float(np.exp(loss))}


SIGNS = ["pad", "end", "<X>", "<Y>", *" ,-:", *"0123456789", *map(chr, range(65, 91)),
         *map(chr, range(97, 123))]  # fmt: skip
Pair = tuple[list[int], list[int]]
_SIGN = {s: i for i, s in enumerate(SIGNS)}
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December"]  # fmt: skip


def number(text: str) -> list[int]:
    """The number of each character."""
    return [_SIGN[c] for c in text]


def spell(row: Any) -> str:
    """Numbers as characters, without padding and end."""
    return "".join(SIGNS[i] for i in row if SIGNS[i] not in ("pad", "end"))


@functools.cache
def _prose(part: str) -> str:
    return " ".join(re.findall("[a-z]+", getattr(language_reference(), part).lower()))


def iso(rng: Any, part: str = "train") -> Pair:
    """A date in one of two forms, and in the ISO form; of ten days one validates, one tests."""
    day = int(rng.integers(3000)) * 10
    day += {"train": 2 + int(rng.integers(8)), "validation": 0, "test": 1}[part]
    d = datetime.date(1950, 1, 1) + datetime.timedelta(day)
    month = _MONTHS[d.month - 1]
    forms = f"{d.day} {month} {d.year}", f"{month} {d.day}, {d.year}"
    return number(f"iso: {forms[rng.integers(2)]}"), number(d.isoformat())


def caps(rng: Any, part: str = "train") -> Pair:
    """Six characters, and their capitals."""
    prose = _prose(part)
    start = int(rng.integers(len(prose) - 6))
    piece = prose[start : start + 6]
    return number(f"caps: {piece}"), number(piece.upper())


def holes(rng: Any, part: str = "train") -> Pair:
    """Sixteen characters with a span hidden, and the span: T5's own question."""
    prose = _prose(part)
    start = int(rng.integers(len(prose) - 16))
    source, target = corrupt_spans(
        np.array(number(prose[start : start + 16])), [2, 3], rng, rate=0.2
    )
    return [*number("fill: "), *map(int, source)], [int(i) for i in target]


TASKS: dict[str, Callable[..., Pair]] = {"iso": iso, "caps": caps, "fill": holes}


def pairs(
    rng: Any, n: int = 16, names: tuple[str, ...] = tuple(TASKS), part: str = "train"
) -> tuple[np.ndarray, np.ndarray]:
    """n pairs of each task: sources and targets, padded with 0."""
    rows = [TASKS[name](rng, part) for name in names for _ in range(n)]
    return (
        pad_sequences([source for source, _ in rows], 0),
        pad_sequences([[*target, _SIGN["end"]] for _, target in rows], 0),
    )


class GRUPair(nn.Module):
    """A GRU reads the source backwards, its last state starts a second GRU, which writes."""

    def __init__(self, vocab_size: int, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.reader = nn.GRU(width, width, batch_first=True)
        self.writer = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, source: Tensor, target: Tensor, attention_mask: Any = None) -> Tensor:
        """Sources (N, S) and what is written so far (N, T) -> logits of the next (N, T, V)."""
        backwards = Tensor(source.data[:, ::-1].copy())  # so that the padding comes first
        _, state = self.reader(self.embedding(backwards))
        return self.head(self.writer(self.embedding(target), state)[0])


def forced(model: Any, source: np.ndarray, target: np.ndarray) -> Tensor:
    """Logits of each character of the target, when those before it are given."""
    given = np.pad(target[:, :-1], ((0, 0), (1, 0)))  # the padding's number says: begin
    return model(Tensor(source), Tensor(given), attention_mask=source > 0)


class ThreeTasks:
    """A pair of GRUs and a T5 of as many parameters, each trained on the three tasks at once."""

    lrs = (1e-3, 3e-3, 1e-2, 3e-2)
    models = ("GRU", "T5")
    steps = 1000

    def build(self, name: str) -> Any:
        """59 and 68 thousand parameters."""
        if name == "GRU":
            return GRUPair(len(SIGNS))
        return T5(T5Config(
            vocab_size=len(SIGNS), d_model=48, d_kv=12, d_ff=192, num_layers=1, num_heads=4,
            relative_attention_num_buckets=16, relative_attention_max_distance=32, dropout_rate=0,
        ))  # fmt: skip

    def loss(self, model: Any, source: np.ndarray, target: np.ndarray) -> Tensor:
        """Mean nats for each character of the targets."""
        logits = forced(model, source, target)
        wanted = np.where(target > 0, target, -100).reshape(-1)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), Tensor(wanted))

    draw = staticmethod(pairs)

    def measure(self, model: Any, part: str, n: int = 400) -> dict[str, float]:
        """Loss, and of each task the share of characters and of whole texts that are right."""
        found = {}
        with no_grad():
            found["loss"] = self.loss(model, *pairs(np.random.default_rng(7), n, part=part)).item()
            for name in TASKS:
                source, target = pairs(np.random.default_rng(7), n, (name,), part)
                hit = forced(model, source, target).data.argmax(-1) == target
                found[f"{name} characters"] = float(hit[target > 0].mean())
                found[f"{name} texts"] = float((hit | (target == 0)).all(axis=1).mean())
        return found


class Run(NamedTuple):
    """One figure of one training run; `seconds` are of one core's computing."""

    model: str
    steps: int
    lr: float
    seed: int
    seconds: float
    figure: str
    value: float


Comparison = Holes | NextCharacter | ThreeTasks
COMPARISONS: dict[str, Any] = {"holes": Holes, "characters": NextCharacter, "tasks": ThreeTasks}


def train(it: Comparison, name: str, steps: int, lr: float, seed: int = 0) -> tuple[Any, list[Run]]:
    """A fresh model after its training, and its figures on validation and test part."""
    manual_seed(seed)
    model = it.build(name)
    start = time.process_time()
    fit(model, it.loss, it.draw, steps, lr, seed)
    spent = round(time.process_time() - start, 1)
    figures = {"validation": it.measure(model, "validation")["loss"], **it.measure(model, "test")}
    return model, [Run(name, steps, lr, seed, spent, k, round(v, 4)) for k, v in figures.items()]


def compare(
    it: Comparison, steps: int = 0, seeds: int = 3, lrs: tuple[float, ...] = (), show: bool = True
) -> tuple[list[Run], dict[str, Any]]:
    """Every model at every rate from seed 0, then at its best rate from the other seeds.

    Returns all figures, and of each model the trained one at its best rate from seed 0.
    """
    found: list[Run] = []
    kept: dict[str, Any] = {}
    for name in it.models:
        tried = {lr: train(it, name, steps or it.steps, lr) for lr in lrs or it.lrs}
        best = min(tried, key=lambda lr: tried[lr][1][0].value)
        kept[name] = tried[best][0]
        more = [train(it, name, steps or it.steps, best, seed) for seed in range(1, seeds)]
        for _, rows in (*tried.values(), *more):
            if show:
                print(*rows[0][:5], *(f"{r.figure} {r.value}" for r in rows), sep="  ", flush=True)
            found += rows
    return found, kept


def best(runs: list[Run], model: str, steps: int) -> list[Run]:
    """Of the runs of a model those at the rate with the least validation loss."""
    own = [r for r in runs if (r.model, r.steps) == (model, steps)]
    if not own:
        raise ValueError(f"best: there is no run of {model!r} with {steps} steps")
    lr = min((r for r in own if r.figure == "validation" and r.seed == 0), key=lambda r: r.value).lr
    return [r for r in own if r.lr == lr]


def measured(path: Path = STORED) -> list[Run]:
    """The stored runs: the next character, 1,000 steps, three seeds at the best rate."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = Run.__annotations__
    return [Run(**{k: kinds[k](v) for k, v in row.items()}) for row in rows]


def main(arguments: list[str] | None = None) -> None:
    """Train, measure and print; with --save write the figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=list(COMPARISONS), action="append")
    parser.add_argument("--steps", type=int, default=0, help="0: each comparison's own number")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--save", type=Path, help="a file to write the figures to")
    chosen = parser.parse_args(arguments)
    found: list[Run] = []
    for part in chosen.part or COMPARISONS:
        found += compare(COMPARISONS[part](), chosen.steps, chosen.seeds)[0]
        if chosen.save:
            with chosen.save.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([Run._fields, *found])


if __name__ == "__main__":
    main()
