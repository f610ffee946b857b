"""The assistant's page in Chromium: asks, marks, cites, refuses, says what is wrong; axe finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from book.tools import browser
from lmbook import data
from lmbook.apps.ask_page import ask_page
from lmbook.apps.assistant import Assistant
from lmbook.apps.passages import language_passages
from lmbook.apps.retrieval import VectorStore
from lmbook.apps.span_reader import SpanReader
from lmbook.models import SentenceEncoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    encoder = SentenceEncoder.from_pretrained(data.minilm())
    kept = [p for p in language_passages() if p.place in ("assert", "del", "lambda", "pass")]
    store = VectorStore(tmp_path_factory.mktemp("vectors") / "v.npz")
    reader = SpanReader.stored(encoder.model, encoder.tokenizer)
    with ask_page(Assistant(kept, encoder, reader, store=store)).running() as found:
        yield found


def asked(tab: Any, question: str) -> str:
    """Ask by keyboard and wait for the end; the answer's text."""
    tab.fill("#question", question)
    tab.press("#question", "Enter")
    tab.wait_for_selector("#go:not([disabled])")
    return tab.inner_text("#answer")


def test_the_page_is_sound(chromium: Any, address: str) -> None:
    """axe in light and dark, on a desktop and a phone, with an answer on it."""
    ready = "document.querySelector('#go').click()"
    assert browser.look(chromium, address, ready=ready) == []


def test_it_answers_refuses_and_says_what_is_wrong(chromium: Any, address: str) -> None:
    tab = chromium.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.goto(address)
    assert "passages of Python's language reference" in tab.inner_text("header")
    said = asked(tab, "Which exception is raised if a name to delete is unbound?")
    assert "NameError" in said and 'help("del")' in said
    assert "NameError" in tab.inner_text("#answer mark")
    assert tab.locator("#passages details").count() == 5
    assert "Answered" in tab.inner_text("#status")
    said = asked(tab, "Who painted the Night Watch in Amsterdam?")
    assert said.startswith("No answer.") and tab.locator("#answer mark").count() == 0
    assert "Refused" in tab.inner_text("#status")
    assert "vocabulary is English" in asked(tab, "什么时候会引发异常？")
    asked(tab, "   ")
    assert "The question is empty" in tab.inner_text("#error")
    tab.fill("#k", "99")
    asked(tab, "What is a lambda?")
    assert "Passages is 99, and must be from 1 to 20" in tab.inner_text("#error")
    assert not errors
    tab.close()
