"""What the assistant decides, with a reader and an encoder of the test's own; the stored reader itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from book.tools import assistant as tool
from lmbook import data
from lmbook.apps import assistant as A
from lmbook.apps import questions as Q
from lmbook.apps.passages import Passage, language_passages
from lmbook.apps.retrieval import VectorStore
from lmbook.apps.span_reader import SpanReader, load_scorer
from lmbook.apps.spans import Span
from lmbook.models import SentenceEncoder

PASSAGES = [
    Passage("python", "a", "Cats", "", "", 'Cats sleep "in baskets" at night.'),
    Passage("python", "b", "Dogs", "", "", "Dogs sleep in kennels."),
    Passage("book", "chapters/x", "Birds", "Nests", "sec-x", "Birds sleep in nests, and sing."),
]


class Counted:
    """An encoder whose vectors count letters."""

    model = type("M", (), {"config": type("C", (), {"hidden_size": 26})})
    tokenizer = data.WordPieceTokenizer.train(
        " ".join(p.searched for p in PASSAGES) + " where do in they sleep ? . ' \"", 200,
        min_frequency=1,
    )  # fmt: skip

    def encode(self, texts: list[str]) -> np.ndarray:
        rows = np.array([[1e-3 + t.lower().count(chr(97 + i)) for i in range(26)] for t in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Fixed:
    """A reader that finds the words after "sleep "; sure only of kennels."""

    def answer(self, question: str, text: str, skip: int = 0) -> Span | None:
        start = text.index("sleep ", skip) + 6
        stop = text.index(" at" if " at" in text else "s", start) + (0 if " at" in text else 1)
        return Span(text[start:stop], start, stop, 4.0 if "kennel" in text else 1.0, 2.0)


@pytest.fixture
def small(tmp_path: Path) -> A.Assistant:
    encoder: Any = Counted()
    reader: Any = Fixed()
    weights = A.Weights(1.0, 0.0, 0.0, 0.5)
    return A.Assistant(PASSAGES, encoder, reader, weights, VectorStore(tmp_path / "v.npz"))


def test_the_best_margin_is_the_answer(small: A.Assistant) -> None:
    reply = small.ask("Where do they sleep?", k=3)
    assert reply.answer is not None and reply.answer.margin == 2
    assert reply.citation == 'Python 3.11, help("b"): Dogs'
    assert [c.score for c in reply.candidates] == [2, -1, -1]
    for c in reply.candidates:
        assert c.passage.text[c.start : c.stop] == c.text
    said = reply.as_dict()
    assert said["answered"] and said["text"] == reply.text


def test_below_the_threshold_it_refuses(small: A.Assistant) -> None:
    small.weights = small.weights._replace(threshold=2.5)
    reply = small.ask("Where do they sleep?")
    assert reply.answer is None and reply.text == "I found no passage that answers this."
    assert len(reply.candidates) == 3 and reply.citation == ""


def test_weights_of_words_and_meaning_change_the_order(small: A.Assistant) -> None:
    small.weights = A.Weights(0.0, 0.0, 1.0, 0.0)
    reply = small.ask("Where do birds sleep?", k=3)
    assert reply.answer is not None and reply.answer.passage is PASSAGES[2]
    assert reply.answer.passage.citation == "Birds: Nests (chapters/x.html#sec-x)"
    assert 0 < reply.answer.words <= 1


def test_steps_show_what_is_read(small: A.Assistant) -> None:
    replies = list(small.steps("Where do they sleep?", 2))
    assert [len(r.candidates) for r in replies] == [1, 2]


def test_a_question_in_chinese_is_not_guessed_at(small: A.Assistant) -> None:
    reply = small.ask("猫在哪里睡觉？")
    assert reply.answer is None and "7 of the question's 7 tokens are unknown" in reply.text
    assert not reply.candidates


def test_a_span_is_completed_by_its_marks() -> None:
    text = 'raises "KeyError" (or (so)) for “x”'
    for inside, whole in (('"KeyError', '"KeyError"'), ('KeyError"', '"KeyError"'), ("“x", "“x”"),
                          ("(so", "(so)"), ("KeyError", "KeyError")):  # fmt: skip
        start = text.index(inside)
        a, b = A.trimmed(text, start, start + len(inside))
        assert text[a:b] == whole


def test_the_choice_of_weights_by_hand() -> None:
    """Two answerable questions and one that is not: words find the answer, and 2.5 tells them apart."""

    def candidate(text: str, margin: float, words: float) -> A.Candidate:
        p = Passage("python", "a", "T", "", "", text)
        return A.Candidate(p, 0.0, words, 0, len(text), margin, margin)

    asked = [
        Q.Question(str(i), "?", "", "", "", answers, "fact")
        for i, answers in enumerate((("yes",), ("yes",), ()))
    ]
    read = [
        [candidate("no", 1.0, 0.0), candidate("yes", 0.5, 1.0)],
        [candidate("yes", 2.0, 0.5), candidate("no", 1.5, 0.0)],
        [candidate("no", 0.9, 0.2)],
    ]
    w = tool.choose(asked, read)
    assert (w.meaning, w.words) == (0, 3)
    assert 0.9 + 0.6 < w.threshold < 3.5
    picked = [tool.pick(r, w) for r in read]
    assert [c and c.text for c in picked] == ["yes", "yes", "no"]


def test_the_stored_reader() -> None:
    """It is small, says how it was made, and reads."""
    path = tool.STORED
    assert path.stat().st_size < 250_000
    made = load_scorer(path).metadata
    assert made["recipe"] == tool.RECIPE and made["written"] == len(tool.read("train"))
    encoder = SentenceEncoder.from_pretrained(data.minilm())
    reader = SpanReader.stored(encoder.model, encoder.tokenizer)
    assert A.stored_weights(reader) == A.Weights(*made["weights"])
    (passage,) = (p for p in language_passages() if p.place == "del" and "NameError" in p.text)
    found = reader.answer("Which exception is raised if a name is unbound?", passage.text)
    assert found is not None and "NameError" in found.text and len(found.text) < 60
    plain = SpanReader(encoder.model, encoder.tokenizer, load_scorer(path))
    with pytest.raises(ValueError, match="comes without weights"):
        plain.scorer.metadata = {}
        A.stored_weights(plain)


def test_the_stored_figures_are_those_of_the_stored_answers() -> None:
    """The table's means follow from the rows of assistant_answers.csv."""
    import csv

    with (tool.FACTS / "assistant.csv").open(encoding="utf-8") as file:
        table = {(r["set"], r["what"]): r for r in csv.DictReader(file)}
    with (tool.FACTS / "assistant_answers.csv").open(encoding="utf-8") as file:
        answers = {r["id"]: r for r in csv.DictReader(file)}
    for name in {s for s, _ in table}:
        asked = tool.read(name)
        assert {q.id for q in asked} <= answers.keys()
        able = [(q, answers[q.id]) for q in asked if q.answerable]
        for what, column, score in (("EM", "em", Q.exact_match), ("F1", "f1", Q.f1)):
            row = table[name, f"{what}, assistant without refusals"]
            values = [score(a["text"], q.answers) for q, a in able]
            assert int(row["questions"]) == len(able)
            assert float(row["value"]) == pytest.approx(np.mean(values), abs=6e-4)
            assert np.allclose(values, [float(a[column]) for _, a in able], atol=6e-4)
            low, high = Q.interval(values)
            assert (float(row["low"]), float(row["high"])) == pytest.approx((low, high), abs=2e-3)
        said = np.mean([int(a["answered"]) for _, a in able])
        assert float(table[name, "answered, of the answerable"]["value"]) == pytest.approx(
            said, abs=6e-4
        )
