"""Python's language reference as a text to model, frozen so that every machine reads the same."""

import gzip
import hashlib
import json
import re
from importlib.resources import files
from typing import NamedTuple

from lmbook.data.catalogue import registry
from lmbook.data.errors import DataError


class Text(NamedTuple):
    """A text in three parts. `text` is all of it: take the vocabulary from there."""

    train: str
    validation: str
    test: str

    @property
    def text(self) -> str:
        return self.train + self.validation + self.test


def language_reference() -> Text:
    """The help topics of Python 3.11 (`pydoc_data.topics`), each paragraph kept once.

    Topics repeat one another ("compound statements" contains "while"), and a text that stands in
    both train and test would be recalled, not predicted: so every paragraph is kept at its first
    place only. The parts are contiguous: the first 85 %, the next 5 %, the last 10 %.
    """
    paragraphs: dict[str, str] = {}
    for topic in topics().values():
        for paragraph in re.split(r"\n\s*\n", topic):
            key = " ".join(paragraph.split())
            if key:
                paragraphs.setdefault(key, paragraph.strip("\n"))
    text = "\n\n".join(paragraphs.values()) + "\n"
    first, second = len(text) * 85 // 100, len(text) * 90 // 100
    return Text(text[:first], text[first:second], text[second:])


def topics() -> dict[str, str]:
    """The 79 topics as Python 3.11.7 has them, by name; nothing left out."""
    row = registry["language_reference"].files[0]
    packed = files("lmbook.data").joinpath(row.path).read_bytes()  # type: ignore[union-attr]
    if hashlib.sha256(packed).hexdigest() != row.sha256:
        raise DataError(
            f"lmbook/data/{row.path} is damaged: its sha256 is not {row.sha256}; "  # type: ignore[union-attr]
            "reinstall lmbook, or restore the file with `git checkout`"
        )
    return json.loads(gzip.decompress(packed))
