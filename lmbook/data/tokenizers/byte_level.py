"""Byte-level BPE as GPT-2 and the library `tokenizers` have it: the same pieces, merges and ids."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.data.errors import DataError, UnknownToken
from lmbook.data.tokenizers.base import MOST_KNOWN
from lmbook.data.tokenizers.learn import Merge, apply_merges, learn_merges
from lmbook.data.tokenizers.patterns import gpt2_pieces


@cache
def byte_characters() -> dict[int, str]:
    """A visible character for each byte: itself where Latin-1 has a visible one, else U+0100 on.

    So the space, byte 32, is written "Ġ" in files of vocabularies. Source: Radford et al. (2019).
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in set(visible)]
    return {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}


class ByteLevelBPE:
    """Sub-words on bytes; special tokens come first, then the 256 bytes, then what merges make.

    `vocab` is the id of each token, written in `byte_characters`; `merges` are the pairs of tokens
    in the order in which they were learned; the tokens named in `special` stand for no text.
    `decode(encode(text)) == text` for any text, also with lone surrogates.

    >>> tokenizer = ByteLevelBPE.train(["low lower lowest"], vocab_size=259)
    >>> [tokenizer.decode([i]) for i in tokenizer.encode("lowest")]
    ['low', 'e', 's', 't']

    Raises `ValueError` for a vocabulary without all bytes or a merge of unknown tokens.
    Source: Sennrich, Haddow and Birch (2016); on bytes: Radford et al. (2019).
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        special: Sequence[str] = (),
    ) -> None:
        self.vocab, self.merges = dict(vocab), [(a, b) for a, b in merges]
        self.special = {name: self._id(name) for name in special}
        self._of_byte = [self._id(c) for _, c in sorted(byte_characters().items())]
        self._rank = {
            (self._id(a), self._id(b)): (i, self._id(a + b)) for i, (a, b) in enumerate(self.merges)
        }
        to_byte = {c: b for b, c in byte_characters().items()}
        self.bytes_of = {
            i: b"" if token in self.special else bytes(to_byte[c] for c in token)
            for token, i in self.vocab.items()
        }
        self._known: dict[str, list[int]] = {}

    def _id(self, token: str) -> int:
        try:
            return self.vocab[token]
        except KeyError:
            raise ValueError(f"ByteLevelBPE: token {token!r} is not in the vocabulary") from None

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        special: Sequence[str] = (),
        min_frequency: int = 2,
    ) -> "ByteLevelBPE":
        """Learn a vocabulary of at most `vocab_size` tokens; fewer if no pair is frequent enough.

        Raises `DataError` for a corpus without a character, `ValueError` if `vocab_size` does not
        hold the bytes and the special tokens.
        """
        if len(set(special)) != len(special):
            raise ValueError(f"special tokens {list(special)}: each name once")
        if vocab_size < 256 + len(special):
            raise ValueError(
                f"ByteLevelBPE.train: vocab_size {vocab_size} is too small for 256 bytes and "
                f"{len(special)} special tokens; it must be at least {256 + len(special)}"
            )
        pieces = count_pieces(texts)
        if not pieces:
            raise DataError("ByteLevelBPE.train: the corpus is empty; give it text to learn from")
        tokens = [*special, *sorted(byte_characters().values())]
        id_of = {token: i for i, token in enumerate(tokens)}
        of_byte = [id_of[c] for _, c in sorted(byte_characters().items())]
        words = [[of_byte[b] for b in to_bytes(piece)] for piece in pieces]
        merges: list[Merge] = learn_merges(
            words, list(pieces.values()), tokens, vocab_size,
            join=lambda a, b: a + b, least=min_frequency,
        )  # fmt: skip
        pairs = {
            (a, b): None for a, b, _ in merges[::-1]
        }  # of a pair merged twice, the last counts
        return cls(
            {token: i for i, token in enumerate(tokens)},
            [(tokens[a], tokens[b]) for a, b in reversed(pairs)],
            special,
        )

    def __len__(self) -> int:
        return len(self.vocab)

    def __repr__(self) -> str:
        return f"ByteLevelBPE({len(self)} tokens, special={list(self.special)})"

    def encode(self, text: str) -> np.ndarray:
        """Ids of the tokens, int64, shape (number of tokens,). Any text can be encoded."""
        known, ids = self._known, []
        for piece in gpt2_pieces().findall(text):
            found = known.get(piece)
            if found is None:
                if len(known) >= MOST_KNOWN:
                    known.clear()
                start = [self._of_byte[b] for b in to_bytes(piece)]
                found = known[piece] = apply_merges(start, self._rank)
            ids += found
        return np.array(ids, dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens are left out, unknown ids raise `UnknownToken`.

        Bytes that are no valid UTF-8, as a model may produce, become the character U+FFFD.
        """
        try:
            joined = b"".join([self.bytes_of[int(i)] for i in ids])
        except KeyError as error:
            raise UnknownToken(
                f"ByteLevelBPE.decode: id {error} is not in 0..{len(self) - 1}"
            ) from None
        try:
            return joined.decode("utf-8", errors="surrogatepass")
        except UnicodeDecodeError:
            return joined.decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json` that the library `tokenizers` reads, too."""
        cut = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        marks = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        content = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": i, "content": name, **marks, "special": True}
                for name, i in self.special.items()
            ],
            "normalizer": None,
            "pre_tokenizer": {**cut, "use_regex": True},
            "post_processor": None,
            "decoder": {**cut, "use_regex": True},
            "model": {"type": "BPE", "vocab": self.vocab, "merges": self.merges},
        }
        Path(path).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "ByteLevelBPE":
        """Read a `tokenizer.json` of a byte-level BPE; `DataError` for one of another kind."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        model, cut = _part(content, "model"), _part(content, "pre_tokenizer")
        if model.get("type") != "BPE" or cut.get("type") != "ByteLevel":
            raise DataError(
                f"ByteLevelBPE.load: {path} holds model {model.get('type')} with pre-tokenizer "
                f"{cut.get('type')}; want BPE with ByteLevel"
            )
        pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
        special = [t["content"] for t in content.get("added_tokens", []) if t["special"]]
        return cls(model["vocab"], pairs, special)  # type: ignore[arg-type]


def _part(content: Any, name: str) -> dict[str, Any]:
    return (content.get(name) if isinstance(content, dict) else None) or {}


def count_pieces(texts: str | Iterable[str]) -> Counter[str]:
    """How often each piece of GPT-2's cut stands in the texts."""
    pieces: Counter[str] = Counter()
    for text in [texts] if isinstance(texts, str) else texts:
        pieces.update(gpt2_pieces().findall(text))
    return pieces


def to_bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate is kept as it is."""
    return text.encode("utf-8", errors="surrogatepass")
