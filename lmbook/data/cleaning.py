"""Cleaning a corpus: repair the characters, drop the boilerplate, keep the documents worth reading.

Nothing here takes punctuation or frequent words out of a text: a language model has to write them.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

_ENDS = ('.', '!', '?', '"', '”', '。', '！', '？')  # fmt: skip
_BULLETS = ("•", "‣", "*", "-", "–", "·")
_COMMON = frozenset(["the", "be", "to", "of", "and", "that", "have", "with"])
_KEPT_FORMAT = "\u200c\u200d"  # joiners, without which Persian, Hindi and family emoji fall apart


def normalise_text(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """One way to write each text: normal form, "\\n" for line ends, no control characters.

    NFC joins a letter and its accent into one code point and changes nothing that is seen; NFKC
    also makes "ﬁ" two letters and "①" a 1, which can change what is meant (2⁵ becomes 25). Tabs
    and line ends stay; other control and format characters (categories Cc, Cf), lone surrogates
    and noncharacters go, but for the zero-width joiners. Applying it twice changes nothing more.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(c for c in text if c in _KEPT_FORMAT or not _is_control(c))
    return unicodedata.normalize(form, kept)


def _is_control(c: str) -> bool:
    if c in "\t\n":
        return False
    category = unicodedata.category(c)
    noncharacter = (ord(c) & 0xFFFE) == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF
    return category in ("Cc", "Cf", "Cs") or noncharacter


def drop_boilerplate(documents: Sequence[str], most: float = 0.1, least: int = 3) -> list[str]:
    """The documents without lines that stand in many of them: menus, footers, licences.

    A line, spaces apart, is boilerplate if it is in more than the share `most` of the documents
    and in at least `least` of them. Blank lines stay.
    """
    if not 0 < most <= 1:
        raise ValueError(f"drop_boilerplate: most={most} must be a share, above 0 and at most 1")
    lines = [[" ".join(line.split()) for line in document.split("\n")] for document in documents]
    frequency = Counter(line for of in lines for line in set(of))
    limit = most * len(documents)
    common = {line for line, n in frequency.items() if line and n >= least and n > limit}
    return [
        "\n".join(raw for raw, line in zip(document.split("\n"), of) if line not in common)
        for document, of in zip(documents, lines)
    ]


@dataclass(frozen=True)
class TextStatistics:
    """What the filters look at. Shares are of words, lines or characters, between 0 and 1."""

    words: int
    mean_word_length: float
    symbols_per_word: float  # "#" and "…" or "..."
    alphabetic_words: float  # with a letter
    bullet_lines: float
    ellipsis_lines: float
    common_words: int  # how many of: the be to of and that have with
    duplicate_lines: float
    duplicate_line_characters: float
    top_ngram_characters: dict[int, float]  # n = 2, 3, 4: by the n-gram that stands most often
    duplicate_ngram_characters: dict[int, float]  # n = 5 ... 10: by n-grams seen before


def statistics_of(text: str) -> TextStatistics:
    """Count. Words are what stands between spaces, as the filters' authors count them."""
    words = text.split()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    n, m = max(len(words), 1), max(len(lines), 1)
    characters = max(sum(map(len, words)), 1)
    seen: set[str] = set()
    repeated = [line for line in lines if line in seen or seen.add(line)]  # type: ignore[func-returns-value]
    return TextStatistics(
        words=len(words),
        mean_word_length=characters / n if words else 0.0,
        symbols_per_word=(text.count("#") + text.count("…") + text.count("...")) / n,
        alphabetic_words=sum(any(c.isalpha() for c in word) for word in words) / n,
        bullet_lines=sum(line.startswith(_BULLETS) for line in lines) / m,
        ellipsis_lines=sum(line.endswith(("…", "...")) for line in lines) / m,
        common_words=len(_COMMON & {word.strip(".,;:!?\"'()").lower() for word in words}),
        duplicate_lines=len(repeated) / m,
        duplicate_line_characters=sum(map(len, repeated)) / max(sum(map(len, lines)), 1),
        top_ngram_characters={k: _top(words, k) / characters for k in (2, 3, 4)},
        duplicate_ngram_characters={k: _duplicate(words, k) / characters for k in range(5, 11)},
    )


def _top(words: list[str], n: int) -> int:
    """Characters in all occurrences of the most frequent n-gram of words, if it stands twice."""
    counts = Counter(zip(*(words[i:] for i in range(n))))
    if not counts:
        return 0
    gram, times = max(counts.items(), key=lambda item: (item[1], sum(map(len, item[0]))))
    return times * sum(map(len, gram)) if times > 1 else 0


def _duplicate(words: list[str], n: int) -> int:
    """Characters of words in an n-gram that has stood before; each word counts once."""
    seen: set[tuple[str, ...]] = set()
    inside = [False] * len(words)
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        if gram in seen:
            inside[i : i + n] = [True] * n
        seen.add(gram)
    return sum(len(word) for word, hit in zip(words, inside) if hit)


@dataclass(frozen=True)
class QualityFilter:
    """Gopher's rules for English documents, with its thresholds; `why(text)` names the broken ones.

    A document is kept if it has 50 to 100,000 words of 3 to 10 characters on the average, few
    symbols, few bullet points and ellipses, four words in five with a letter, two of the most
    common words, and does not repeat itself.
    Source: Rae et al. (2021), "Scaling Language Models", appendix A.
    """

    min_words: int = 50
    max_words: int = 100_000
    word_length: tuple[float, float] = (3, 10)
    symbols_per_word: float = 0.1
    alphabetic_words: float = 0.8
    bullet_lines: float = 0.9
    ellipsis_lines: float = 0.3
    common_words: int = 2
    duplicate_lines: float = 0.30
    duplicate_line_characters: float = 0.20
    top_ngram: dict[int, float] = field(default_factory=lambda: {2: 0.20, 3: 0.18, 4: 0.16})
    duplicate_ngram: dict[int, float] = field(
        default_factory=lambda: {n: 0.15 - 0.01 * (n - 5) for n in range(5, 11)}
    )

    def why(self, text: str) -> list[str]:
        """The names of the rules that the text breaks; none for a text to keep."""
        s = statistics_of(text)
        low, high = self.word_length
        broken = {
            "words": not self.min_words <= s.words <= self.max_words,
            "word_length": not low <= s.mean_word_length <= high,
            "symbols_per_word": s.symbols_per_word > self.symbols_per_word,
            "alphabetic_words": s.alphabetic_words < self.alphabetic_words,
            "bullet_lines": s.bullet_lines > self.bullet_lines,
            "ellipsis_lines": s.ellipsis_lines > self.ellipsis_lines,
            "common_words": s.common_words < self.common_words,
            "duplicate_lines": s.duplicate_lines > self.duplicate_lines,
            "duplicate_line_characters": s.duplicate_line_characters
            > self.duplicate_line_characters,
            "top_ngram": any(s.top_ngram_characters[n] > t for n, t in self.top_ngram.items()),
            "duplicate_ngram": any(
                s.duplicate_ngram_characters[n] > t + 1e-12 for n, t in self.duplicate_ngram.items()
            ),
        }
        return [name for name, is_broken in broken.items() if is_broken]

    def __call__(self, text: str) -> bool:
        """True for a text to keep."""
        return not self.why(text)


def keep_sentences(text: str, min_words: int = 3) -> str:
    """The lines that end like a sentence and have `min_words` words, as C4 was cleaned.

    Source: Raffel et al. (2020), section 2.2.
    """
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(
        line for line in lines if line.endswith(_ENDS) and len(line.split()) >= min_words
    )


def sift(documents: Iterable[str], keep: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """The documents that are kept and those that are not, so that what goes can be read."""
    kept: list[str] = []
    dropped: list[str] = []
    for document in documents:
        (kept if keep(document) else dropped).append(document)
    return kept, dropped
