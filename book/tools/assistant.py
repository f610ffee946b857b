"""The assistant's reader and its scores: `python -m book.tools.assistant train`, then `measure`.

`train` runs MiniLM once over the training questions, trains the scorer (seed 0), reads the tuning
questions, chooses the weights of the answer's score and the threshold on them, and writes
lmbook/apps/span_reader.safetensors. `measure` answers the questions of the tuning and the test set and
writes book/facts/assistant*.csv. The test set has no part in `train`. Two minutes each on two quiet cores.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmbook import data
from lmbook.apps import questions as Q
from lmbook.apps.assistant import Assistant, Candidate, Weights
from lmbook.apps.passages import book_passages, digest, language_passages
from lmbook.apps.reader_training import Example, examples, prepare, train
from lmbook.apps.retrieval import VectorStore, best, ranks, recall_at, reciprocal_rank_fusion
from lmbook.apps.retrieval import reciprocal_ranks as mrr
from lmbook.apps.span_features import SpanFeatures
from lmbook.apps.span_reader import ScorerConfig, SpanReader, SpanScorer, save_scorer
from lmbook.backend import manual_seed
from lmbook.models import SentenceEncoder

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "book" / "facts"
STORED = ROOT / "lmbook" / "apps" / "span_reader.safetensors"
K = 5
RECIPE: dict[str, Any] = {
    "steps": 500,
    "batch_size": 24,
    "lr": 3e-3,
    "weight_decay": 0.3,
    "seed": 0,
}


def read(name: str) -> list[Q.Question]:
    """The questions of a set: train, tune or test."""
    return Q.read_questions(FACTS / f"questions_{name}.csv")


def progress(what: str) -> Any:
    """Says how far something is, now and then."""
    began = [time.perf_counter()]

    def show(done: int, of: int) -> None:
        if time.perf_counter() - began[0] > 10 or done == of:
            began[0] = time.perf_counter()
            print(f"{what}: {done} of {of}", flush=True)

    return show


def make_reader() -> tuple[Assistant, dict[str, Any]]:
    """The trained reader in an assistant whose weights are not yet chosen, and how it was trained."""
    passages = language_passages() + book_passages(ROOT)
    encoder = SentenceEncoder.from_pretrained(data.minilm())
    manual_seed(RECIPE["seed"])
    size = SpanFeatures(encoder.tokenizer).width(encoder.model.config.hidden_size)
    reader = SpanReader(encoder.model, encoder.tokenizer, SpanScorer(ScorerConfig(size)))
    written = read("train")
    chosen: list[Example] = examples(passages, written)
    began = time.perf_counter()
    prepared = prepare(reader, passages, chosen, RECIPE["seed"], show=progress("windows"))
    encoding = time.perf_counter() - began
    began = time.perf_counter()
    train(
        reader.scorer,
        prepared,
        **RECIPE,
        show=lambda s, x: print(f"step {s}: loss {x:.3f}", flush=True),
    )
    seconds = time.perf_counter() - began
    said = {
        "recipe": RECIPE, "written": len(written),
        "wrong": sum(e.start < 0 for e in chosen), "passages": digest(passages),
        "seconds": [round(encoding, 1), round(seconds, 1)],
    }  # fmt: skip
    store = VectorStore(show=progress("vectors"))
    return Assistant(passages, encoder, reader, Weights(1, 0, 0, 0), store), said


def candidates(
    assistant: Assistant, asked: Sequence[Q.Question], k: int = K
) -> list[list[Candidate]]:
    """For each question what is read, with the reader's margin as the only score."""
    show, found = progress("questions"), []
    for n, q in enumerate(asked, 1):
        read = (assistant.read(q.question, *f) for f in assistant.find(q.question, k))
        found.append([c for c in read if c is not None])
        show(n, len(asked))
    return found


def score(c: Candidate, w: Weights) -> float:
    """What `Assistant.read` computes, for other weights."""
    return w.reader * c.margin + w.meaning * c.cosine + w.words * c.words


def pick(read: Sequence[Candidate], w: Weights) -> Candidate | None:
    """The best candidate, whatever the threshold."""
    return max(read, key=lambda c: score(c, w), default=None)


def choose(asked: Sequence[Q.Question], read: Sequence[Sequence[Candidate]]) -> Weights:
    """Weights by the mean F1 of the answerable questions, then the threshold by that of all.

    A refusal counts 1 where nothing answers the question and 0 elsewhere. Ties go to the smaller weights.
    """
    grid = (0.0, 3.0, 6.0, 12.0, 24.0, 48.0)
    tried = []
    for meaning, words in itertools.product(grid, grid):
        w = Weights(1.0, meaning, words, 0.0)
        got = [
            Q.f1(c.text, q.answers)
            for q, r in zip(asked, read)
            if q.answerable and (c := pick(r, w))
        ]
        tried.append((np.mean(got), -meaning - words, w))
    w = max(tried)[2]
    scores = np.array([score(c, w) if (c := pick(r, w)) else -np.inf for r in read])
    gains = np.array([
        Q.f1(c.text, q.answers) if q.answerable and (c := pick(r, w)) else 0.0 for q, r in zip(asked, read)
    ])  # fmt: skip
    cuts = np.sort(np.unique(scores[np.isfinite(scores)]))
    cuts = (cuts[1:] + cuts[:-1]) / 2
    none = np.array([not q.answerable for q in asked])
    overall = [np.where(scores >= cut, gains, none).mean() for cut in cuts]
    return w._replace(threshold=round(float(cuts[int(np.argmax(overall))]), 3))


def run_train() -> None:
    """Train, choose, write."""
    assistant, said = make_reader()
    tune = read("tune")
    weights = choose(tune, candidates(assistant, tune))
    path = save_scorer(STORED, assistant.reader.scorer, {"weights": list(weights), **said})
    print(f"{weights}; {path.stat().st_size:,} bytes; {said}")


def sentence_of(assistant: Assistant, question: str, text: str) -> str:
    """The sentence of a text that MiniLM finds nearest to the question: a baseline."""
    found = [s for s in re.split(r"(?<=[.:;?!])\s+|\n", text) if s.strip()]
    vectors = assistant.encoder.encode([question, *found])
    return found[int((vectors[1:] @ vectors[0]).argmax())]


def random_span(text: str, draw: np.random.Generator) -> str:
    """One to ten neighbouring words of a text: the least that one can do."""
    words = text.split()
    length = min(int(draw.integers(1, 11)), len(words))
    start = int(draw.integers(0, len(words) - length + 1))
    return " ".join(words[start : start + length])


def measure_set(assistant: Assistant, name: str) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of assistant.csv and assistant_answers.csv for one set."""
    asked = read(name)
    passages, w = assistant.passages, assistant.weights
    rows: list[list[Any]] = []

    def add(what: str, values: Sequence[float] | np.ndarray) -> None:
        values = np.asarray(values, float)
        low, high = Q.interval(values)
        rows.append([name, what, len(values), *(f"{x:.3f}" for x in (values.mean(), low, high))])

    firsts: dict[str, list[int]] = {"BM25": [], "MiniLM": [], "both": []}
    answers: list[list[Any]] = []
    got: dict[str, list[str]] = {
        s: [] for s in ("sentence, BM25", "sentence", "random span", "right passage")
    }
    draw = np.random.default_rng(0)
    read_ = candidates(assistant, asked)
    for q, found in zip(asked, read_):
        words, meaning = assistant.words.scores(q.question), assistant.meaning.scores(q.question)
        both = reciprocal_rank_fusion([words, meaning])
        right = [i for i, p in enumerate(passages) if Q.holds(p, q)]
        c = pick(found, w)
        said = c is not None and score(c, w) >= w.threshold
        rank = int(min((ranks(both)[i] for i in right), default=0))
        if q.answerable:
            for key, scores in zip(firsts, (words, meaning, both)):
                firsts[key].append(int(min((ranks(scores)[i] for i in right), default=0)))
            got["sentence, BM25"].append(
                sentence_of(assistant, q.question, passages[int(best(words, 1)[0])].text)
            )
            top = passages[int(best(both, 1)[0])].text
            got["sentence"].append(sentence_of(assistant, q.question, top))
            got["random span"].append(random_span(top, draw))
            inside = assistant.read(q.question, right[0], 0.0, 0.0) if right else None
            got["right passage"].append(inside.text if inside else "")
        answers.append([
            q.id, int(said), c.text if c else "", f"{score(c, w):.3f}" if c else "",
            c.passage.citation if c else "", rank,
            int(Q.exact_match(c.text, q.answers)) if c else 0, f"{Q.f1(c.text, q.answers):.3f}" if c else 0,
        ])  # fmt: skip
    for key, first in firsts.items():
        for k in (1, 5, 20):
            add(f"recall@{k}, {key}", [recall_at(np.array([f]), k) for f in first])
        add(f"MRR, {key}", mrr(np.array(first)))
    able = [q for q in asked if q.answerable]
    mine = [a for q, a in zip(asked, answers) if q.answerable]
    others = [(q, a) for q, a in zip(asked, answers) if not q.answerable]
    add("EM, assistant without refusals", [float(a[6]) for a in mine])
    add("F1, assistant without refusals", [float(a[7]) for a in mine])
    for key, texts in got.items():
        add(f"EM, {key}", [Q.exact_match(t, q.answers) for q, t in zip(able, texts)])
        add(f"F1, {key}", [Q.f1(t, q.answers) for q, t in zip(able, texts)])
    add("answered, of the answerable", [a[1] for a in mine])
    for kind in ("near", "far"):
        add(f"refused, of the {kind} ones", [1 - a[1] for q, a in others if q.kind == kind])
    answered = [a for a in mine if a[1]]
    add("F1 of the answered", [float(a[7]) for a in answered])
    add("EM of all, refusals counted", [a[1] * float(a[6]) if q.answerable else 1 - a[1]
                                        for q, a in zip(asked, answers)])  # fmt: skip
    add("F1 of all, refusals counted", [a[1] * float(a[7]) if q.answerable else 1 - a[1]
                                        for q, a in zip(asked, answers)])  # fmt: skip
    add("F1 of all, every question refused", [float(not q.answerable) for q in asked])
    return rows, answers


def run_measure() -> None:
    """Both sets, as far as they are there."""
    assistant = Assistant.load(ROOT, show=progress("vectors"))
    table, said = [], []
    for name in ("tune", "test"):
        if (FACTS / f"questions_{name}.csv").is_file():
            rows, answers = measure_set(assistant, name)
            table += rows
            said += answers
    write("assistant.csv", ["set", "what", "questions", "value", "low", "high"], table)
    columns = ["id", "answered", "text", "score", "citation", "rank", "em", "f1"]
    write("assistant_answers.csv", columns, said)


def write(name: str, head: list[str], rows: list[list[Any]]) -> None:
    """A table of book/facts."""
    with (FACTS / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([head, *rows])
    print(f"book/facts/{name}: {len(rows)} rows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "measure"))
    {"train": run_train, "measure": run_measure}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
