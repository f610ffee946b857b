"""Scores of answers by hand; the question files are what they say; passages of the reference and the book."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmbook.apps import passages as P
from lmbook.apps import questions
from lmbook.apps.questions import exact_match, f1, normalise, place, read_questions

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "book" / "facts"
SETS = [p.name for p in sorted(FACTS.glob("questions_*.csv"))]


@pytest.fixture(scope="module")
def everything() -> list[P.Passage]:
    return P.language_passages() + P.book_passages(ROOT)


def test_scores_by_hand() -> None:
    assert normalise('The "NameError", it IS  a raised!') == "nameerror it is raised"
    assert exact_match('a "NameError"', ["NameError"]) == 1
    assert exact_match("NameErrors", ["NameError"]) == 0
    assert exact_match('"/"', ["/"]) == 1 and exact_match("*", ["/"]) == 0
    assert f1("the nearest enclosing loop", ["nearest loop"]) == pytest.approx(2 * 2 / 5)
    assert f1("the nearest loop", ["loop", "the nearest loop"]) == 1
    assert f1("dog", ["cat"]) == f1("", ["cat"]) == f1("cat", []) == 0
    assert f1("##", ["##"]) == 1


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.repeat([0.0, 1.0], [60, 40])
    low, high = questions.interval(values)
    half = 1.96 * np.sqrt(0.4 * 0.6 / 100)
    assert low == pytest.approx(0.4 - half, abs=0.02) and high == pytest.approx(
        0.4 + half, abs=0.02
    )
    assert questions.interval(values) == (low, high)
    assert questions.interval(values, np.max)[1] == 1


@pytest.mark.parametrize("name", SETS)
def test_every_answer_stands_in_its_passage(name: str, everything: list[P.Passage]) -> None:
    texts: dict[tuple[str, str], list[P.Passage]] = {}
    for p in everything:
        texts.setdefault((p.source, p.place), []).append(p)
    asked = read_questions(FACTS / name)
    assert len({q.id for q in asked}) == len(asked) > 50
    for q in asked:
        if not q.answerable:
            assert q.kind in ("near", "far") and not (q.source or q.place or q.quote), q
            continue
        assert q.kind in ("fact", "phrase") and all(a in q.quote for a in q.answers), q
        holding = [p for p in texts[q.source, q.place] if questions.holds(p, q)]
        assert holding, f"{q.id}: no passage of {q.place} holds its quote any more: {q.quote}"
        span = place(holding[0], q)
        assert span is not None
        assert P.squeeze(holding[0].text[slice(*span)]) == P.squeeze(q.answers[0])


def test_no_question_stands_in_two_sets() -> None:
    seen: dict[str, str] = {}
    for name in SETS:
        for q in read_questions(FACTS / name):
            key = normalise(q.question)
            assert key not in seen, f"{q.id} of {name} is also {seen[key]}"
            seen[key] = f"{q.id} of {name}"


def test_passages_of_the_reference(everything: list[P.Passage]) -> None:
    python = [p for p in everything if p.source == "python"]
    (held,) = (p for p in python if 'Assignments to "__debug__" are illegal' in p.text)
    assert held.place == "assert" and held.citation == (
        'Python 3.11, help("assert"): The assert statement'
    )
    paragraphs = [P.squeeze(p.text) for p in python]
    assert len(set(paragraphs)) == len(paragraphs)
    assert max(len(p.text) for p in python) < 2 * P.SIZE + 700
    (code,) = (p for p in python if p.place == "dynamic-features")
    assert (
        "\n    print(i)\n" in code.text and "occurs at runtime, not at compile time." in code.text
    )


def test_passages_of_the_book(everything: list[P.Passage]) -> None:
    book = [p for p in everything if p.source == "book"]
    places = {p.place for p in book}
    assert "chapters/02_core_algorithms/05_recurrence" in places and "book/glossary" in places
    (bank,) = (p for p in book if p.section == "bandwidth")
    assert (
        bank.text
        == "bandwidth / 带宽: Bytes that a connection carries in a second, when messages are long."
    )
    assert bank.citation == "Glossary: bandwidth (book/glossary.html#term-bandwidth)"
    for p in book:
        assert not any(s in p.text for s in (":::", "{ref}`", "{term}`", "{cite}`", "$$")), p
    assert P.digest(book) != P.digest(book[1:])


def test_plain_words_of_markdown() -> None:
    assert P.plain("A **bold** *word*, `x_1`, {term}`dead unit <x>` {cite}`a2019`.") == (
        "A bold word, x_1, dead unit."
    )
    assert P.plain(":::{admonition} Predict\n:class: predict\n\nWhat?\n:::") == "What?"
    assert P.plain("| a | b |\n|---|---|\n| 1 | 2 |") == "a; b 1; 2"
    assert P.plain("Then $a * b$ and\n$$\nx\n$$ (eq-1-x)\nmore [here](x.md).") == (
        "Then $a * b$ and more here."
    )


def test_there_is_no_book_outside_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert P.book_folder(ROOT / "book") == ROOT
    monkeypatch.setattr(P, "__file__", str(tmp_path / "lmbook" / "apps" / "passages.py"))
    assert P.book_folder(tmp_path) is None
