"""Byte-pair encoding on bytes: sub-words that any text can be written in, without loss."""

import json
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lmbook.data.errors import UnknownToken
from lmbook.data.tokenizers.base import number_specials
from lmbook.data.tokenizers.learn import apply_merges, learn_merges
from lmbook.data.tokenizers.patterns import PIECES

PairOfIds = tuple[int, int]


class BPETokenizer:
    """Tokens 0..255 are the bytes; token 256 + i joins the pair `merges[i]`; then the special ones.

    >>> tokenizer = BPETokenizer.train("low lower lowest", merges=3)
    >>> [tokenizer.decode([i]) for i in tokenizer.encode("lowest")]
    ['low', 'e', 's', 't']

    Source: Sennrich, Haddow and Birch (2016); on bytes: Radford et al. (2019), GPT-2.
    """

    def __init__(self, merges: Sequence[PairOfIds], special: Sequence[str] = ()) -> None:
        self.merges = [(int(a), int(b)) for a, b in merges]
        self.rank = {pair: 256 + i for i, pair in enumerate(self.merges)}
        self.bytes_of = [bytes([i]) for i in range(256)]
        for a, b in self.merges:
            if not (min(a, b) >= 0 and max(a, b) < len(self.bytes_of)):
                raise ValueError(f"BPETokenizer: merge ({a}, {b}) uses a token not made yet")
            self.bytes_of.append(self.bytes_of[a] + self.bytes_of[b])
        self._rank_and_token = {pair: (i, i) for pair, i in self.rank.items()}
        self.special = number_specials(special, first=len(self.bytes_of))
        self._known: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls, text: str | Iterable[str], merges: int, special: Sequence[str] = ()
    ) -> "BPETokenizer":
        """Learn at most `merges` merges: each joins the pair of tokens that stands most often.

        `text` is a string or several. Of pairs that are equally frequent, the one whose bytes
        come first is taken. Stops early when no pair is left that stands twice.
        """
        texts = [text] if isinstance(text, str) else text
        pieces = Counter(piece for part in texts for piece in PIECES.findall(part))
        return cls(_learn(pieces, merges), special)

    def __len__(self) -> int:
        return len(self.bytes_of) + len(self.special)

    def __repr__(self) -> str:
        return f"BPETokenizer({len(self.merges)} merges, special={list(self.special)})"

    def encode(self, text: str) -> np.ndarray:
        """Ids of the tokens, int64, shape (number of tokens,). Any text can be encoded."""
        ids: list[int] = []
        for piece in PIECES.findall(text):
            if piece not in self._known:
                self._known[piece] = self._encode_piece(piece)
            ids += self._known[piece]
        return np.array(ids, dtype=np.int64)

    def _encode_piece(self, piece: str) -> list[int]:
        """Apply the merges to one piece, the earliest learned first."""
        return apply_merges(list(_to_bytes(piece)), self._rank_and_token)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens are left out, unknown ids raise `UnknownToken`.

        Bytes that are no valid UTF-8, as a model may produce, become the character U+FFFD.
        """
        joined = b"".join(self._bytes(int(i)) for i in ids)
        try:
            return joined.decode("utf-8", errors="surrogatepass")
        except UnicodeDecodeError:
            return joined.decode("utf-8", errors="replace")

    def _bytes(self, i: int) -> bytes:
        if 0 <= i < len(self.bytes_of):
            return self.bytes_of[i]
        if i in self.special.values():
            return b""
        raise UnknownToken(f"BPETokenizer.decode: id {i} is not in 0..{len(self) - 1}")

    def save(self, path: str | Path) -> None:
        """Write the merges and the names of the special tokens as JSON."""
        content = {"merges": self.merges, "special": list(self.special)}
        Path(path).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "BPETokenizer":
        """Read what `save` wrote."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls([(a, b) for a, b in content["merges"]], content["special"])


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")  # a lone surrogate is kept as it is


def _learn(pieces: Counter[str], merges: int) -> list[PairOfIds]:
    """The merges, in order; of pairs equally frequent, the one whose bytes come first."""
    words = [list(_to_bytes(piece)) for piece in sorted(pieces)]
    counts = [pieces[piece] for piece in sorted(pieces)]
    tokens = [bytes([i]) for i in range(256)]
    learned = learn_merges(
        words, counts, tokens, 256 + merges,
        join=operator.add, order=lambda a, b: (tokens[a], tokens[b]), reuse=False,
    )  # fmt: skip
    return [(a, b) for a, b, _ in learned]
