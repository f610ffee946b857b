# ruff: noqa: E501  (one rule a line)
"""Questions made by rule from sentences: much practice for a reader, none of it written by hand.

Each rule is a pattern of a sentence, a question made of one part, and the part that answers it:

    If *sub* is not found, "-1" is returned.      What happens if *sub* is not found?    "-1" is returned
    "KeyError" is raised if the key is missing.   Which error is raised if the key is missing?    "KeyError"

Such questions are stilted and use the sentence's own words, so a reader that has seen only these is worse than
their number suggests (Lewis et al. 2019 make theirs by translation for that reason).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lmbook.apps.passages import Passage


class Made(NamedTuple):
    """A question, the number of its passage, and the characters of the answer: text[start:stop]."""

    question: str
    passage: int
    start: int
    stop: int
    rule: str


_NOT = (
    r"(?!(?:If|When|Because|How|That|This|These|Those|It|Its|What|Which|Where|Why|There|They|We|You|Once|And|But|So|As"
    r"|Here|Such|Then|With|In|For|On|At|To|By|From|One|Two|Three|Both|All|Most|Some|Other|Note)\b)"
)
_S = _NOT + r"(?P<s>(?:The |An? |Each |Every )?[\w\"*’'()-]+(?: [\w\"*’'()-]+){0,5}?)"
_REST = r"(?P<a>[^.;:]{8,110})"
RULES: tuple[tuple[str, str, str], ...] = (
    ("raised", r"(?P<a>\"\w+(?:Error|Exception|Iteration)\")(?: exception)? is raised (?P<c>if|when) (?P<r>[^.;:]{6,90})",
     "Which error is raised {c} {r}?"),
    ("raises", r"[Rr]aises an? (?P<a>\"\w+(?:Error|Exception|Iteration)\") (?P<c>if|when) (?P<r>[^.;:]{6,90})",
     "Which error is raised {c} {r}?"),
    ("in-error", r"(?P<r>[A-Z][^.;:]{8,80}?) (?:results in|raises|will raise|is) an? (?P<a>\"?\w+(?:Error|Exception)\"?|syntax error)",
     "What error comes of {r}?"),
    ("if-then", r"^If (?P<r>[^.;:,]{6,90}), (?P<a>[^.;:]{6,90})", "What happens if {r}?"),
    ("then-if", r"^(?P<a>[A-Z][^.;:,]{8,90}?) if (?P<r>[^.;:,]{6,90})", "What happens if {r}?"),
    ("when", r"^When (?!using|the prog)(?P<r>[^.;:,]{6,90}), (?P<a>[^.;:]{6,90})", "What happens when {r}?"),
    ("because", r"^(?P<r>[A-Z][^.;:]{10,90}?),? (?P<a>(?:because|since) [^.;:]{8,90})", "Why is it that {r}?"),
    ("so-that", r"^(?P<r>[A-Z][^.;:]{10,80}?),? so that (?P<a>[^.;:]{8,90})", "What is the purpose of this: {r}?"),
    ("used-to", rf"^{_S} (?:is|are|can be|may be) used (?P<a>(?:to|for|as) [^.;:]{{5,90}})", "What is {s} used for?"),
    ("used-by", rf"^{_S.replace('<s>', '<a>')} (?:is|are) used (?P<r>(?:to|for|as) [^.;:]{{8,90}})", "What is used {r}?"),
    ("defaults", r"(?P<s>\*?\w+\*?) (?:defaults to|is by default) (?P<a>[^.,;:]{1,40})", "What is the default of {s}?"),
    ("called-op", r"^Called to implement (?P<a>[^.;:]{4,80})", "What is {head} called to implement?"),
    ("called-when", r"^Called (?P<a>when [^.;:]{6,90})", "When is {head} called?"),
    ("return", r"^Returns? (?P<a>[^.;:]{4,90})", "What does {head} return?"),
    ("new-in", r"^New in version (?P<a>\d\.\d+(?:\.\d)?)", "Since which version is there {head}?"),
    ("changed", r"^Changed in version (?P<a>\d\.\d+(?:\.\d)?): (?P<r>[^.;:]{10,90})", "In which version did this change: {r}?"),
    ("changed-what", r"^Changed in version (?P<v>\d\.\d+(?:\.\d)?): (?P<a>[^.;:]{10,90})", "What changed in version {v} for {head}?"),
    ("means", rf"^{_S} (?:is called|are called|is known as) (?P<a>[^.,;:]{{3,50}})", "What is {s} called?"),
    ("must", rf"^{_S} must (?P<a>[^.;:]{{6,80}})", "What must {s} do or be?"),
    ("cannot", rf"^{_S} (?:cannot|may not) (?P<a>[^.;:]{{6,80}})", "What can {s} not do?"),
    ("number", r"^(?P<l>[A-Z][^.;:]{0,60}?)(?P<a>\b(?:one|two|three|four|five|six|seven|eight|ten|\d[\d,.]*\d|\d)\b) (?P<n>[a-z]{3,14}s\b)(?P<r>[^.;:]{5,70})",
     "How many {n} {r}?"),
    ("share", r"^(?P<r>[A-Z][^.;:]{10,70}?) (?P<c>by|to|of|about|at) (?P<a>\d[\d,.]* ?(?:%|GB|MB|bytes|FLOP|million|billion|points|times))", "{r} {c} how much?"),
    ("is", rf"^{_S} (?:is|are) (?P<a>(?:an?|the|one|not|only|always|never) [^.;:]{{6,90}})", "What is {s}?"),
    ("is-what", rf"^{_S.replace('<s>', '<a>')} (?:is|are) (?P<r>(?:an?|the) [^.;:,]{{12,90}})", "What is {r}?"),
    ("does", rf"^{_S} (?P<v>returns|yields|gives|holds|keeps|takes|needs|makes|shows|contains|supports|provides|describes|matches|evaluates) {_REST}",
     "What does {s} {verb}?"),
    ("who", r"^(?P<r>[A-Z][^.;:]{10,90}?),? by (?P<a>[A-Z][a-z]+(?: and (?:others|[A-Z][a-z]+))?)", "By whom is this: {r}?"),
    ("year", r"^(?P<r>[A-Z][^.;:]{10,90}?)(?:,| in) (?P<a>(?:19|20)\d\d)\b", "In what year: {r}?"),
)  # fmt: skip
"""Name, sentence, question. In a question {head} is the passage's first word or its section."""


def make(passages: Iterable[Passage], most: int = 4, seed: int = 0) -> list[Made]:
    """At most `most` questions for each passage, in its order, drawn at random from all that fit."""
    draw = np.random.default_rng(seed)
    found: list[Made] = []
    for number, passage in enumerate(passages):
        fitting = list({m.question: m for m in _of(passage, number)}.values())
        chosen = draw.permutation(len(fitting))[:most]
        found += [fitting[i] for i in sorted(chosen)]
    return found


def _of(passage: Passage, number: int) -> Iterator[Made]:
    head, first = _head(passage)
    if passage.place == "book/glossary" and first < len(passage.text):
        stop = min([i for i in (passage.text.find(c, first + 20) for c in ".:;,") if i > 0],
                   default=len(passage.text))  # fmt: skip
        yield Made(f"What is {head}?", number, first, stop, "term")
        yield Made(
            f"What is called this: {_clean(passage.text[first:stop])}?",
            number,
            0,
            len(head),
            "named",
        )
    for sentence in re.finditer(r"[^\s].*?(?:[.:](?=\s|$)|\n|$)", passage.text[first:]):
        for name, pattern, question in RULES:
            if (m := re.search(pattern, sentence[0])) is None:
                continue
            parts = {key: _clean(value) for key, value in m.groupdict().items() if value}
            parts["verb"] = re.sub(r"s$", "", parts.get("v", ""))
            text = question.format(head=head, **parts)
            start, stop = (first + sentence.start() + i for i in m.span("a"))
            if 2 <= stop - start <= 110 and len(text) < 160:
                yield Made(text[0].upper() + text[1:], number, start, stop, name)


def _head(passage: Passage) -> tuple[str, int]:
    """What the passage is about, and where its sentences begin."""
    line, _, rest = passage.text.partition("\n")
    if passage.place == "book/glossary":
        return passage.section, passage.text.find(": ") + 2
    if rest and len(line) < 90 and line.endswith(")"):
        return re.sub(r"\(.*", "()", line.removeprefix("object.").removeprefix("class ")), len(
            line
        ) + 1
    return passage.section or passage.title, 0


def _clean(text: str) -> str:
    """A part as it is asked: no marks of emphasis, no capital at the front of a common word."""
    text = re.sub(r"[*“”]", "", text).strip()
    return (
        text[0].lower() + text[1:]
        if re.match(r"(?:The|An?|If|In|It|This|These|Each|Every) ", text)
        else text
    )
