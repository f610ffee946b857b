"""Sets of questions, and how answers are scored: exact match, F1, refusals, with bootstrap intervals."""

import csv
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmbook.apps.passages import Passage, squeeze


@dataclass(frozen=True)
class Question:
    """A question, where it is answered, and the answers that count; no answers where nothing answers it."""

    id: str
    question: str
    source: str
    place: str
    quote: str
    answers: tuple[str, ...]
    kind: str

    @property
    def answerable(self) -> bool:
        return bool(self.answers)


def read_questions(path: str | Path) -> list[Question]:
    """The rows of a CSV file with the columns of `Question`; answers are separated by |."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Question(
            row["id"], row["question"].strip(), row["source"], row["place"], squeeze(row["quote"]),
            tuple(a.strip() for a in row["answers"].split("|") if a.strip()), row["kind"],
        )
        for row in rows
    ]  # fmt: skip


def normalise(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: what counts of an answer.

    Source: Rajpurkar et al. (2016).
    """
    kept = "".join(c for c in text.lower() if c not in _SIGNS)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


_SIGNS = set(string.punctuation) | set("“”‘’…—–")


def exact_match(answer: str, accepted: Iterable[str]) -> float:
    """1 if the answer is one of those accepted, else 0."""
    said = normalise(answer)
    return float(
        any((said and said == normalise(a)) or _bare(answer) == _bare(a) for a in accepted)
    )


def _bare(text: str) -> str:
    """For answers such as "/" or "##", of which normalisation leaves nothing."""
    return text.strip(" \"'‘’“”.,;").lower()


def f1(answer: str, accepted: Iterable[str]) -> float:
    """The harmonic mean of precision and recall in words, of the best accepted answer."""
    best = 0.0
    for wanted in accepted:
        ours, theirs = normalise(answer).split(), normalise(wanted).split()
        shared = sum((Counter(ours) & Counter(theirs)).values())
        if not ours or not theirs:
            best = max(best, float(_bare(answer) == _bare(wanted)))
        elif shared:
            best = max(best, 2 * shared / (len(ours) + len(theirs)))
    return best


def holds(passage: Passage, question: Question) -> bool:
    """Whether the passage holds what answers the question, on any page."""
    text = squeeze(passage.text)
    return question.answerable and question.quote in text


def place(passage: Passage, question: Question) -> tuple[int, int] | None:
    """The characters of the first accepted answer in the passage, inside the quote; None if it is not
    there.
    """
    for answer in question.answers:
        pattern = re.compile(r"\s+".join(map(re.escape, answer.split())))
        quote = re.search(r"\s+".join(map(re.escape, question.quote.split())), passage.text)
        if quote and (found := pattern.search(passage.text, quote.start(), quote.end())):
            return found.span()
    return None


def interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
    *,
    times: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % bootstrap interval (percentiles) of a mean, or of another statistic of the rows."""
    rows = np.asarray(values)
    draw = np.random.default_rng(seed)
    found = [statistic(rows[draw.integers(0, len(rows), len(rows))]) for _ in range(times)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
