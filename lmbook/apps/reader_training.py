"""Train the head of a span reader on questions: their windows once through MiniLM, then the head by itself."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lmbook import optim
from lmbook.apps import spans
from lmbook.apps.passages import Passage
from lmbook.apps.question_rules import make
from lmbook.apps.questions import Question, holds, normalise, place
from lmbook.apps.retrieval import BM25, best
from lmbook.apps.span_reader import SpanHead, SpanReader, States
from lmbook.backend import manual_seed
from lmbook.data import WordPieceTokenizer
from lmbook.optim.lr_scheduler import WarmupCosineLR

MAX_LENGTH, STRIDE = 256, 64


class Example(NamedTuple):
    """A question with a passage's number; text[start:stop] answers it, or start is -1: nothing there does."""

    question: str
    passage: int
    start: int
    stop: int
    weight: float = 1.0


class Prepared(NamedTuple):
    """A window's states in half precision, and the tokens of its answer; (0, 0) for none."""

    states: States  # of one window: no batch axis
    start: int
    end: int
    weight: float


def examples(
    passages: Sequence[Passage],
    written: Sequence[Question],
    made: int = 1000,
    wrong: int = 2,
    seed: int = 0,
) -> list[Example]:
    """Written questions and `made` ones by rule, each with its passage, and some with a wrong one.

    The wrong passages are the best by BM25 that neither answer the question nor hold one of its answers: `wrong`
    for a written question, one for three in ten of the others. A made question weighs 0.3 of a written one.
    """
    draw = np.random.default_rng(seed)
    ranker = BM25([p.searched for p in passages])
    found: list[Example] = []

    def add(question: str, right: list[int], span: tuple[int, int], texts: Sequence[str],
            others: int, weight: float) -> None:  # fmt: skip
        found.append(Example(question, right[0], *span, weight))
        wanted = [normalise(t) for t in texts]
        for i in best(ranker.scores(question), 8):
            if others and i not in right:
                held = normalise(passages[i].text)
                if not any(w and w in held for w in wanted):
                    found.append(Example(question, int(i), -1, -1, weight))
                    others -= 1

    for q in written:
        right = [i for i, p in enumerate(passages) if holds(p, q)]
        span = place(passages[right[0]], q) if right else None
        if span is None:
            raise ValueError(
                f"examples: no passage holds the quote and answer of {q.id}: {q.question}"
            )
        add(q.question, right, span, q.answers, wrong, 1.0)
    drawn = make(passages, most=2, seed=seed)
    for i in draw.permutation(len(drawn))[:made]:
        m = drawn[i]
        text = passages[m.passage].text[m.start : m.stop]
        add(m.question, [m.passage], (m.start, m.stop), [text], int(draw.random() < 0.3), 0.3)
    return found


def prepare(
    reader: SpanReader,
    tokenizer: WordPieceTokenizer,
    passages: Sequence[Passage],
    chosen: Sequence[Example],
    batch_size: int = 16,
    show: Callable[[int, int], None] | None = None,
) -> list[Prepared]:
    """What the head sees of each example's window, the first that holds its answer."""
    windows = []
    for e in chosen:
        passage = passages[e.passage]
        front = f"{passage.heading}\n"
        cut = spans.windows(tokenizer, e.question, front + passage.text, MAX_LENGTH, STRIDE)
        labels = [
            spans.labels(w, e.start + len(front), e.stop + len(front)) if e.start >= 0 else (0, 0)
            for w in cut
        ]
        which = next((i for i, (start, _) in enumerate(labels) if start), 0)
        windows.append((cut[which], *labels[which]))
    order = sorted(range(len(windows)), key=lambda i: len(windows[i][0].index))
    found: dict[int, Prepared] = {}
    for at in range(0, len(order), batch_size):
        batch = order[at : at + batch_size]
        states = reader.states(*spans.pad([windows[i][0] for i in batch]))
        for row, i in enumerate(batch):
            n = len(windows[i][0].index)
            own = States(*(part[row, :n].astype(np.float16) for part in states))
            found[i] = Prepared(own, *windows[i][1:], chosen[i].weight)
        if show is not None:
            show(at + len(batch), len(order))
    return [found[i] for i in range(len(windows))]


def collate(batch: Sequence[Prepared]) -> tuple[States, np.ndarray, np.ndarray, np.ndarray]:
    """Windows padded to one length, with the tokens of the answers and the weights."""
    longest = max(len(p.states.mask) for p in batch)

    def padded(parts: Sequence[np.ndarray]) -> np.ndarray:
        out = np.zeros((len(parts), longest, *parts[0].shape[1:]), np.float32)
        for row, part in zip(out, parts):
            row[: len(part)] = part
        return out

    states = States(*(padded([p.states[k] for p in batch]) for k in range(len(States._fields))))
    start, end, weight = (np.array([p[k] for p in batch]) for k in (1, 2, 3))
    return states, start.astype(np.int64), end.astype(np.int64), weight.astype(np.float32)


def train(
    head: SpanHead,
    prepared: Sequence[Prepared],
    steps: int = 600,
    batch_size: int = 16,
    lr: float = 2e-3,
    weight_decay: float = 0.05,
    seed: int = 0,
    show: Callable[[int, float], None] | None = None,
) -> float:
    """Train in place; examples are drawn as often as they weigh. Returns the seconds that it took."""
    manual_seed(seed)
    draw = np.random.default_rng(seed)
    chance = np.array([p.weight for p in prepared])
    optimizer = optim.AdamW(head.parameters(), lr, weight_decay=weight_decay)
    schedule = WarmupCosineLR(optimizer, max(2, steps), warmup=steps // 10)
    head.train()
    began = time.perf_counter()
    running = 0.0
    for step in range(steps):
        rows = draw.choice(len(prepared), batch_size, p=chance / chance.sum())
        states, start, end, _ = collate([prepared[i] for i in rows])
        loss = spans.span_loss(*head(states), start, end)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        running += 0.05 * (float(loss.data) - running) if step else float(loss.data)
        if show is not None and step % 50 == 49:
            show(step + 1, running)
    head.eval()
    return time.perf_counter() - began
