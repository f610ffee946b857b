"""An assistant that answers from texts: it finds passages, reads them, cites one, and refuses when none fits.

    assistant = Assistant.load()
    reply = assistant.ask("What is raised when I delete a name that is not bound?")
    print(reply.text, reply.citation)

For a question all passages are ranked by BM25 and by MiniLM, the ranks are fused, and the best `k` are
read. Each gives a span, whose score says how much better it is than "no answer here" and how well its
passage fits the question. The best is the answer if that score is above a threshold, which was chosen on
questions made for tuning.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lmbook import data
from lmbook.apps.passages import Passage, book_folder, book_passages, language_passages
from lmbook.apps.retrieval import BM25, Dense, VectorStore, best, reciprocal_rank_fusion, words_of
from lmbook.apps.span_reader import SpanReader
from lmbook.models import SentenceEncoder

LONGEST = 1000  # characters of a question


class Weights(NamedTuple):
    """score = reader * margin + meaning * cosine + words * BM25 / (its best possible); answer if >=
    threshold.
    """

    reader: float
    meaning: float
    words: float
    threshold: float


@dataclass(frozen=True)
class Candidate:
    """A passage that was read: how well it fits, and the best span in it."""

    passage: Passage
    cosine: float
    words: float
    start: int
    stop: int
    margin: float
    score: float

    @property
    def text(self) -> str:
        return self.passage.text[self.start : self.stop]


@dataclass(frozen=True)
class Reply:
    """What the assistant says. `answer` is the best candidate, or None with a reason in `refusal`."""

    question: str
    answer: Candidate | None
    refusal: str
    candidates: tuple[Candidate, ...]

    @property
    def text(self) -> str:
        return self.refusal if self.answer is None else self.answer.text

    @property
    def citation(self) -> str:
        return "" if self.answer is None else self.answer.passage.citation

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "question": self.question,
            "answered": self.answer is not None,
            "text": self.text,
            "citation": self.citation,
            "candidates": [
                {
                    "citation": c.passage.citation, "source": c.passage.source,
                    "text": c.text, "passage": c.passage.text, "start": c.start, "stop": c.stop,
                    "score": round(c.score, 3), "cosine": round(c.cosine, 3),
                }
                for c in self.candidates
            ],
        }  # fmt: skip


class Assistant:
    """Passages, two ways to find them, a reader, and the weights that decide."""

    def __init__(
        self,
        passages: Sequence[Passage],
        encoder: SentenceEncoder,
        reader: SpanReader,
        weights: Weights | None = None,
        store: VectorStore | None = None,
    ) -> None:
        if not passages:
            raise ValueError("Assistant: there are no passages to answer from")
        texts = [p.searched for p in passages]
        self.passages, self.encoder, self.reader = list(passages), encoder, reader
        self.words = BM25(texts)
        self.meaning = Dense(texts, encoder, store or VectorStore())
        self.weights = weights or stored_weights(reader)

    @classmethod
    def load(
        cls,
        book: Path | None = None,
        only: str | None = None,
        show: Callable[[int, int], None] | None = None,
    ) -> "Assistant":
        """With MiniLM, the stored reader, the language reference, and the book's pages if there is a clone.

        `book` is the clone's folder, by default the one around the current folder or the package; an
        installed package has no pages. `only` is "python" or "book" to have one of the two. The first
        use computes a vector for each passage (`show` is told how far) and keeps them in the cache.
        """
        if only not in (None, "python", "book"):
            raise ValueError(f'Assistant.load: only is {only!r}, and must be "python" or "book"')
        folder = book_folder() if book is None else book
        passages = [] if only == "book" else language_passages()
        if only != "python" and folder is not None:
            passages += book_passages(folder)
        if not passages:
            raise FileNotFoundError(
                "Assistant.load: the book's pages are in its repository, and there is no clone of it here"
            )
        encoder = SentenceEncoder.from_pretrained(data.minilm())
        return cls(
            passages,
            encoder,
            SpanReader.stored(encoder.model, encoder.tokenizer),
            store=VectorStore(show=show),
        )

    @property
    def sources(self) -> dict[str, int]:
        """How many passages it has of each source."""
        return {
            s: n for s in ("python", "book") if (n := sum(p.source == s for p in self.passages))
        }

    def find(self, question: str, k: int = 5) -> list[tuple[int, float, float]]:
        """The k best passages after fusion: number, cosine, and BM25 as a share of its best possible
        value.
        """
        words, meaning = self.words.scores(question), self.meaning.scores(question)
        chosen = best(reciprocal_rank_fusion([words, meaning]), k)
        most = sum(self.words.idf(w) for w in words_of(question)) or 1.0
        return [(int(i), float(meaning[i]), float(words[i] / most)) for i in chosen]

    def ask(self, question: str, k: int = 5) -> Reply:
        """Answer, or refuse. Raises `ValueError` for a question that is empty or enormous, or k < 1."""
        *_, last = self.steps(question, k)
        return last

    def steps(self, question: str, k: int = 5) -> Iterator[Reply]:
        """The reply after each passage that was read; the last is the one to give."""
        question = checked(question, k)
        if unknown := self.unknown(question):
            yield Reply(question, None, unknown, ())
            return
        read: list[Candidate] = []
        for number, cosine, words in self.find(question, k):
            if (candidate := self.read(question, number, cosine, words)) is not None:
                read.append(candidate)
            yield self.decide(question, read)

    def unknown(self, question: str) -> str:
        """Why a question cannot be read at all: most of it is not in the vocabulary, as with Chinese."""
        tokenizer = self.encoder.tokenizer
        ids = tokenizer.encode(question)
        missing = int((ids == tokenizer.special["[UNK]"]).sum())
        if 3 * missing < len(ids):
            return ""
        return (
            f"{missing} of the question's {len(ids)} tokens are unknown to the reader, whose vocabulary is "
            "English; please ask in English."
        )

    def read(self, question: str, number: int, cosine: float, words: float) -> Candidate | None:
        """The best span of one passage; None if it has none."""
        passage = self.passages[number]
        front = f"{passage.heading}\n"
        span = self.reader.answer(question, front + passage.text, len(front))
        if span is None:
            return None
        start, stop = trimmed(passage.text, span.start - len(front), span.stop - len(front))
        w = self.weights
        score = w.reader * span.margin + w.meaning * cosine + w.words * words
        return Candidate(passage, cosine, words, start, stop, span.margin, score)

    def decide(self, question: str, read: Sequence[Candidate]) -> Reply:
        """The best candidate, or a refusal."""
        ranked = tuple(sorted(read, key=lambda c: -c.score))
        if ranked and ranked[0].score >= self.weights.threshold:
            return Reply(question, ranked[0], "", ranked)
        return Reply(question, None, "I found no passage that answers this.", ranked)


def trimmed(text: str, start: int, stop: int) -> tuple[int, int]:
    """A span with the quotation marks and brackets around it that its tokens left open."""
    for left, right in (('"', '"'), ("“", "”"), ("(", ")"), ("$", "$")):
        inside = text[start:stop]
        if left == right:
            odd = inside.count(left) % 2
            if odd and start and text[start - 1] == left:
                start -= 1
            elif odd and text[stop : stop + 1] == right:
                stop += 1
        elif inside.count(left) > inside.count(right) and text[stop : stop + 1] == right:
            stop += 1
    return start, stop


def checked(question: str, k: int = 5) -> str:
    """The question without white space at its ends; `ValueError` if it is none."""
    if not isinstance(question, str) or not (asked := " ".join(question.split())):
        raise ValueError("the question is empty; write one")
    if len(asked) > LONGEST:
        raise ValueError(f"the question has {len(asked):,} characters, {LONGEST:,} are the most")
    if not any(c.isalnum() for c in asked):
        raise ValueError("the question has no word; write one")
    if not 1 <= k <= 50:
        raise ValueError(f"k is {k}, and must be from 1 to 50")
    return asked


def stored_weights(reader: SpanReader) -> Weights:
    """The weights that were chosen for the stored reader on the questions for tuning."""
    found = reader.scorer.metadata.get("weights")
    if not isinstance(found, list) or len(found) != len(Weights._fields):
        raise ValueError("Assistant: this reader comes without weights; give some")
    return Weights(*map(float, found))
