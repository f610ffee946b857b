"""The assistant's page: a question, the answer marked in its passage with where that stands, or a refusal."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmbook.apps.assistant import LONGEST, Assistant
from lmbook.apps.page import Given, Page, number_of, text_of


def ask_page(assistant: Assistant) -> Page:
    """A page with two actions: `ask` streams the reply after each passage read, `about` says what is
    searched.
    """

    def ask(given: Given) -> Iterator[Mapping[str, Any]]:
        question = text_of(given, "question", LONGEST)
        k = int(number_of(given, "passages", 1, 20, 5))
        for read, reply in enumerate(assistant.steps(question, k), 1):
            yield reply.as_dict() | {"read": read, "of": k}

    def about(given: Given) -> Mapping[str, Any]:
        return {"sources": assistant.sources}

    return Page("ask", {"ask": ask, "about": about}, most=20_000)
