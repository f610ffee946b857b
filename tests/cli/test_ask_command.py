"""`lmbook ask`: an answer with its passage, a refusal, JSON, and errors with exit code 2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lmbook import data
from lmbook.apps import assistant as A
from lmbook.apps.passages import language_passages
from lmbook.apps.retrieval import VectorStore
from lmbook.apps.span_reader import SpanReader
from lmbook.models import SentenceEncoder

TOPICS = ("assert", "del", "lambda", "pass")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> A.Assistant:
    """The stored reader on a few topics: a dozen vectors are soon computed."""
    encoder = SentenceEncoder.from_pretrained(data.minilm())
    store = VectorStore(tmp_path_factory.mktemp("vectors") / "v.npz")
    reader = SpanReader.stored(encoder.model, encoder.tokenizer)
    kept = [p for p in language_passages() if p.place in TOPICS]
    return A.Assistant(kept, encoder, reader, store=store)


@pytest.fixture(autouse=True)
def _small(small: A.Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(A.Assistant, "load", classmethod(lambda cls, *a, **k: small))


QUESTION = "Which exception is raised if a name to delete is unbound?"


def test_an_answer_with_its_passage(lmbook: Any) -> None:
    said = lmbook("ask", QUESTION)
    assert said.exit_code == 0, said.output
    assert "NameError" in said.stdout.splitlines()[0]
    assert "[" in said.stdout and 'Python 3.11, help("del")' in said.stdout.splitlines()[-1]


def test_json(lmbook: Any) -> None:
    said = lmbook("ask", QUESTION, "--json", "--k", 2)
    found = json.loads(said.stdout)
    assert found["answered"] and len(found["candidates"]) == 2
    best = found["candidates"][0]
    assert best["passage"][best["start"] : best["stop"]] == best["text"] == found["text"]
    assert best["score"] >= found["candidates"][1]["score"]


def test_refusals(lmbook: Any) -> None:
    said = lmbook("ask", "Who painted the Night Watch in Amsterdam?")
    assert said.exit_code == 1
    assert "no passage that answers this" in said.stdout and "Nearest passages" in said.stdout
    chinese = lmbook("ask", "什么时候会引发异常？")
    assert chinese.exit_code == 1 and "vocabulary is English" in chinese.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say one of these: a QUESTION, or --page"),
        (("what?", "--page"), "say one of these"),
        (("  ",), "the question is empty"),
        (("?!",), "the question has no word"),
        (("word " * 300,), "1,499 characters, 1,000 are the most"),
        (("what?", "--k", 0), "k is 0, and must be from 1 to 50"),
        (("what?", "--book", "/nowhere"), "/nowhere is no clone of the book's repository"),
    ],
)
def test_errors(lmbook: Any, arguments: tuple[Any, ...], message: str) -> None:
    said = lmbook("ask", *arguments)
    assert said.exit_code == 2 and message in said.stderr
    assert "Traceback" not in said.output


def test_a_port_that_is_taken(lmbook: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as door:
        said = lmbook("ask", "--page", "--port", door.getsockname()[1])
    assert said.exit_code == 2 and "cannot be used" in said.stderr


def test_sources_that_are_not_there(monkeypatch: pytest.MonkeyPatch, small: A.Assistant) -> None:
    monkeypatch.undo()
    with pytest.raises(ValueError, match='only is \'x\', and must be "python" or "book"'):
        A.Assistant.load(only="x")
    monkeypatch.setattr(A, "book_folder", lambda: None)
    with pytest.raises(FileNotFoundError, match="there is no clone of it here"):
        A.Assistant.load(only="book")
    with pytest.raises(ValueError, match="there are no passages"):
        A.Assistant([], small.encoder, small.reader)
