"""The page of `lmbook generate`: what its actions take and answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmbook.apps.page import Given, Page, number_of, text_of
from lmbook.apps.writer import Writer
from lmbook.models import Sampling

MOST = 20_000  # characters of a prompt on the page
TOKENS = 1000
METHODS = ("sample", "greedy", "beam")


def page(writer: Writer) -> Page:
    """The page for a model."""

    def write(given: Given) -> Iterator[Mapping[str, Any]]:
        prompt, tokens = (
            text_of(given, "prompt", MOST),
            int(number_of(given, "tokens", 1, TOKENS, 100)),
        )
        if method(given) == "beam":
            beams = int(number_of(given, "beams", 2, 16, 4))
            return iter([{"text": writer.search(prompt, tokens, beams), "tokens": tokens}])
        seed = int(number_of(given, "seed", 0, 1e6, 0))
        pieces = writer.write(prompt, tokens, sampling(given), seed)
        return ({"text": piece, "tokens": min(i, tokens)} for i, piece in enumerate(pieces, 1))

    def following(given: Given) -> Mapping[str, Any]:
        prompt = text_of(given, "prompt", MOST + 20 * TOKENS)
        return {"tokens": writer.next_tokens(prompt, sampling(given))}

    def about(given: Given) -> Mapping[str, Any]:
        count = writer.model.num_parameters()
        return {"model": f"Model: {writer.name}, {count:,} parameters."}

    return Page("generate", {"write": write, "next": following, "about": about})


def method(given: Given) -> str:
    """The way to choose that is asked for; else `ValueError`."""
    found = given.get("method", "sample")
    if found not in METHODS:
        raise ValueError(
            f"the method is {str(found)[:40]!r}, and must be one of {', '.join(METHODS)}"
        )
    return found


def sampling(given: Given) -> Sampling:
    """The settings of a request; else `ValueError`."""
    penalty = number_of(given, "penalty", 0.5, 5, 1)
    if method(given) != "sample":
        return Sampling(0, repetition_penalty=penalty)
    return Sampling(
        number_of(given, "temperature", 0, 10, 1),
        int(number_of(given, "top_k", 0, 1e6, 0)) or None,
        number_of(given, "top_p", 1e-6, 1, 1),
        penalty,
    )
