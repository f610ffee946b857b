"""Train the head of a span reader on questions: their windows once through MiniLM, then the head by
itself.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lmbook import functional as F
from lmbook import optim
from lmbook.apps import spans
from lmbook.apps.passages import Passage
from lmbook.apps.questions import Question, holds, normalise, place
from lmbook.apps.retrieval import BM25, best
from lmbook.apps.span_features import Reading
from lmbook.apps.span_reader import MAX_LENGTH, STRIDE, SpanReader, SpanScorer
from lmbook.autograd import Tensor
from lmbook.backend import manual_seed
from lmbook.optim.lr_scheduler import WarmupCosineLR

SPANS = 150  # of a window, in training


class Example(NamedTuple):
    """A question with a passage's number; text[start:stop] answers it, or start is -1: nothing there does."""

    question: str
    passage: int
    start: int
    stop: int
    weight: float = 1.0


class Sample(NamedTuple):
    """Some spans of one window in half precision, and which of them answers; the number C says that none
    does.
    """

    features: np.ndarray  # (C, K)
    whole: np.ndarray  # (G,)
    target: int
    weight: float


def examples(
    passages: Sequence[Passage], written: Sequence[Question], wrong: int = 2
) -> list[Example]:
    """Each question with its passage, and with `wrong` others that do not answer it.

    These are the best by BM25 that neither hold its quote nor one of its answers. Each weighs a quarter of
    the right one, so that most of the training is about where an answer stands.
    """
    ranker = BM25([p.searched for p in passages])
    found: list[Example] = []
    for q in written:
        right = [i for i, p in enumerate(passages) if holds(p, q)]
        span = place(passages[right[0]], q) if right else None
        if span is None:
            raise ValueError(
                f"examples: no passage holds the quote and answer of {q.id}: {q.question}"
            )
        found.append(Example(q.question, right[0], *span))
        wanted = [normalise(a) for a in q.answers]
        others = [
            int(i)
            for i in best(ranker.scores(q.question), 8)
            if i not in right and not any(w and w in normalise(passages[i].text) for w in wanted)
        ]
        found += [Example(q.question, i, -1, -1, 0.25) for i in others[:wrong]]
    return found


def prepare(
    reader: SpanReader,
    passages: Sequence[Passage],
    chosen: Sequence[Example],
    seed: int = 0,
    batch_size: int = 16,
    show: Callable[[int, int], None] | None = None,
) -> list[Sample]:
    """`SPANS` spans of each example's window, the first that holds its answer.

    The right one, up to a third that begin or end where it does, and others at random. Examples whose
    answer is no span of whole words in one sentence are left out.
    """
    draw = np.random.default_rng(seed)
    work = []
    for e in chosen:
        front = f"{passages[e.passage].heading}\n"
        text = front + passages[e.passage].text
        cut = spans.windows(reader.tokenizer, e.question, text, MAX_LENGTH, STRIDE)
        labels = [
            spans.labels(w, e.start + len(front), e.stop + len(front)) if e.start >= 0 else (0, 0)
            for w in cut
        ]
        which = next((i for i, (start, _) in enumerate(labels) if start), 0)
        work.append((cut[which], text, len(front), labels[which], e))
    work.sort(key=lambda row: len(row[0].ids))
    found = []
    for at in range(0, len(work), batch_size):
        batch = work[at : at + batch_size]
        read = reader.readings([w for w, *_ in batch], [r[1] for r in batch], [r[2] for r in batch])
        for reading, (_, _, _, (first, last), e) in zip(read, batch):
            right = np.flatnonzero((reading.first == first) & (reading.last == last))
            if len(reading.first) and (e.start < 0 or len(right)):
                none = e.start < 0
                rows = _draw(reading, -1 if none else int(right[0]), draw)
                features = reading.features[rows].astype(np.float16)
                found.append(Sample(features, reading.whole, SPANS if none else 0, e.weight))
        if show is not None:
            show(at + len(batch), len(work))
    return found


def _draw(reading: Reading, right: int, draw: np.random.Generator) -> np.ndarray:
    """The rows of `SPANS` spans, the right one first."""
    count = len(reading.first)
    chosen = draw.integers(0, count, SPANS)
    if right >= 0:
        beside = (reading.first == reading.first[right]) | (reading.last == reading.last[right])
        near = draw.permutation(np.flatnonzero(beside))[: SPANS // 3]
        chosen[: len(near)] = near
        chosen[chosen == right] = (right + 1) % count
        chosen[0] = right
    return chosen


def train(
    scorer: SpanScorer,
    samples: Sequence[Sample],
    steps: int = 500,
    batch_size: int = 24,
    lr: float = 3e-3,
    weight_decay: float = 0.3,
    seed: int = 0,
    show: Callable[[int, float], None] | None = None,
) -> float:
    """Train in place: cross-entropy of the right span among those drawn, and "no answer".

    Examples are drawn as often as they weigh. Returns the mean loss of the last fifty steps.
    """
    manual_seed(seed)
    draw = np.random.default_rng(seed)
    chance = np.array([s.weight for s in samples])
    optimizer = optim.AdamW(scorer.parameters(), lr, weight_decay=weight_decay)
    schedule = WarmupCosineLR(optimizer, max(2, steps), warmup=max(1, steps // 15))
    scorer.train()
    losses = []
    for step in range(steps):
        rows = [samples[i] for i in draw.choice(len(samples), batch_size, p=chance / chance.sum())]
        features = np.stack([s.features for s in rows]).astype(np.float32)
        scores = scorer(Tensor(features), Tensor(np.stack([s.whole for s in rows])))
        loss = F.cross_entropy(scores, np.array([s.target for s in rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.data))
        if show is not None and step % 50 == 49:
            show(step + 1, float(np.mean(losses[-50:])))
    scorer.eval()
    return float(np.mean(losses[-50:]))
