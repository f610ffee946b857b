"""WordPiece, the sub-words of BERT: words from their beginning, the longest known part first."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from lmbook.data.errors import DataError, UnknownToken
from lmbook.data.tokenizers.base import MOST_KNOWN
from lmbook.data.tokenizers.learn import learn_merges
from lmbook.data.tokenizers.patterns import SPACE, characters_of

_CONFIG = "tokenizer_config.json"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_HAN = (  # the ideographs that get spaces round them
    r"\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff"
    r"\U00020000-\U0002a6df\U0002a700-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    other = re.compile(f"(?![\t\n\r])[{characters_of('C')}\ufffd]")
    sign = rf"[!-/:-@\[-`{{-~{characters_of('P')}]"
    pieces = re.compile(rf"{sign}|(?:(?!{sign})[^{SPACE}])+")
    return other, re.compile(f"[{_HAN}]"), re.compile(f"[{characters_of('Mn')}]"), pieces


def bert_normalise(text: str, lowercase: bool = True, strip_accents: bool | None = None) -> str:
    """BERT's cleaning: no control characters, spaces round Chinese ones, no accents, lower case.

    Accents go with the capitals unless `strip_accents` says otherwise, as in the library.
    """
    other, han, accent, _ = _patterns()
    text = other.sub("", text)
    if not text.isascii():
        text = han.sub(r" \g<0> ", text)
        if lowercase if strip_accents is None else strip_accents:
            text = accent.sub("", unicodedata.normalize("NFD", text))
    # letter by letter, as the library does: the final sigma of a Greek word stays a sigma
    return "".join(map(str.lower, text)) if lowercase else text


def bert_words(text: str, lowercase: bool = True, strip_accents: bool | None = None) -> list[str]:
    """Words and single signs of punctuation of a cleaned text; the spaces are gone."""
    return _patterns()[3].findall(bert_normalise(text, lowercase, strip_accents))


class WordPieceTokenizer:
    """Sub-words in which a token "##x" goes on a word; what cannot be written becomes [UNK].

    A word is cut from its left: the longest token that the rest begins with, and so on; if at one
    place none fits, or the word is longer than `longest`, all of it is the one token [UNK].
    Decoding gives the words with single spaces: spacing is lost, and without `lowercase=False`, which the
    cased vocabularies need, so are capitals and accents. `encode_offsets` finds them again in the text.

    >>> tokenizer = WordPieceTokenizer.train(["low lower lowest"], vocab_size=18)
    >>> tokenizer.tokens(tokenizer.encode("Lowest low"))
    ['low', '##e', '##s', '##t', 'low']

    Source: Schuster and Nakajima (2012); Devlin et al. (2019).
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        longest: int = 100,
        lowercase: bool = True,
        strip_accents: bool | None = None,
    ) -> None:
        self.vocab, self.longest = dict(vocab), longest
        self.lowercase, self.strip_accents = lowercase, strip_accents
        if "[UNK]" not in self.vocab:
            raise ValueError("WordPieceTokenizer: the vocabulary has no [UNK]")
        self.names = {i: token for token, i in self.vocab.items()}
        self.special = {name: self.vocab[name] for name in SPECIAL if name in self.vocab}
        self._known: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        special: Sequence[str] = SPECIAL,
        min_frequency: int = 2,
        alphabet: Sequence[str] | None = None,
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
    ) -> "WordPieceTokenizer":
        """Learn at most `vocab_size` tokens by merging frequent pairs, as `tokenizers` does.

        (Google's own trainer, never published, weighs a pair by its gain in likelihood.) The
        first tokens are `special`, the characters, and the characters inside words ("##x") in the
        order of `alphabet`, by default sorted. Raises `DataError` for an empty corpus and
        `ValueError` if `vocab_size` is too small for these.
        """
        words: Counter[str] = Counter()
        for text in [texts] if isinstance(texts, str) else texts:
            words.update(bert_words(text, lowercase, strip_accents))
        if not words:
            raise DataError("WordPieceTokenizer.train: the corpus is empty; give it text")
        inner = sorted({f"##{c}" for word in words for c in word[1:]})
        if alphabet is not None:
            if sorted(alphabet) != inner:
                raise ValueError(
                    f"WordPieceTokenizer.train: alphabet must be {inner} in some order"
                )
            inner = list(alphabet)
        characters = sorted({c for word in words for c in word})
        tokens = list(dict.fromkeys([*special, *characters, *inner]))
        if len(tokens) > vocab_size:
            raise ValueError(
                f"WordPieceTokenizer.train: vocab_size {vocab_size} is too small: the special "
                f"tokens and characters of this corpus alone are {len(tokens)}"
            )
        id_of = {token: i for i, token in enumerate(tokens)}
        split = [[id_of[w[0]], *(id_of[f"##{c}"] for c in w[1:])] for w in words]
        learn_merges(
            split, list(words.values()), tokens, vocab_size,
            join=lambda a, b: a + b.removeprefix("##"), least=min_frequency,
        )  # fmt: skip
        vocab = {token: i for i, token in enumerate(tokens)}
        return cls(vocab, lowercase=lowercase, strip_accents=strip_accents)

    def __len__(self) -> int:
        return len(self.vocab)

    def encode(self, text: str) -> np.ndarray:
        """Ids of the tokens, int64, shape (number of tokens,)."""
        ids: list[int] = []
        for word in bert_words(text, self.lowercase, self.strip_accents):
            ids += self._of_word(word)
        return np.array(ids, dtype=np.int64)

    def encode_offsets(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids (T,), and for each token the characters of `text` that it stands for, (T, 2): from, to.

        `text[from:to]` is the token with its capitals and accents. The same ids as `encode`.
        """
        clean, at = [], []
        for i, character in enumerate(text):
            piece = bert_normalise(character, self.lowercase, self.strip_accents)
            clean.append(piece)
            at += [i] * len(piece)
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for match in _patterns()[3].finditer("".join(clean)):
            start = match.start()
            for i in (found := self._of_word(match[0])):
                whole = len(found) == 1  # [UNK] may stand for a long word
                length = len(match[0]) if whole else len(self.names[i].removeprefix("##"))
                offsets.append((at[start], at[start + length - 1] + 1))
                start += length
            ids += found
        return np.array(ids, np.int64), np.array(offsets, np.int64).reshape(-1, 2)

    def _of_word(self, word: str) -> list[int]:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[word] = self._encode_word(word)
        return found

    def _encode_word(self, word: str) -> list[int]:
        ids: list[int] = []
        start = 0
        while start < len(word) <= self.longest:
            prefix = "##" if start else ""
            for stop in range(len(word), start, -1):
                if (found := self.vocab.get(prefix + word[start:stop])) is not None:
                    break
            else:
                return [self.vocab["[UNK]"]]
            ids.append(found)
            start = stop
        return ids if start else [self.vocab["[UNK]"]]

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """The names of the tokens; an unknown id raises `UnknownToken`."""
        try:
            return [self.names[int(i)] for i in ids]
        except KeyError as error:
            raise UnknownToken(
                f"WordPieceTokenizer: id {error} is not in 0..{len(self) - 1}"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The words of `ids` with spaces between; special tokens but [UNK] are left out."""
        hidden = {name for name in self.special if name != "[UNK]"}
        words = " ".join(token for token in self.tokens(ids) if token not in hidden)
        return words.replace(" ##", "")

    def save(self, path: str | Path) -> None:
        """Write `vocab.txt`, one token a line, as BERT's checkpoints have it.

        What is not the default stands in tokenizer_config.json beside it, under the public names.
        """
        names = [self.names[i] for i in range(len(self))]
        Path(path).write_text("\n".join(names) + "\n", encoding="utf-8")
        if not self.lowercase or self.strip_accents is not None:
            said = {"do_lower_case": self.lowercase, "strip_accents": self.strip_accents}
            Path(path).with_name(_CONFIG).write_text(json.dumps(said), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, lowercase: bool | None = None) -> "WordPieceTokenizer":
        """Read a `vocab.txt`. Whether it is cased says `lowercase`, or tokenizer_config.json beside it."""
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        said = Path(path).with_name(_CONFIG)
        given = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
        if lowercase is None:
            lowercase = bool(given.get("do_lower_case", True))
        vocab = {token: i for i, token in enumerate(lines[:-1])}
        return cls(vocab, lowercase=lowercase, strip_accents=given.get("strip_accents"))
