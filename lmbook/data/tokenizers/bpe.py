"""Byte-pair encoding on bytes: sub-words that any text can be written in, without loss."""

import heapq
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from lmbook.data.errors import UnknownToken
from lmbook.data.tokenizers.base import number_specials

PairOfIds = tuple[int, int]

# A text is first cut into letters, digits, signs and spaces; no token crosses a cut. A single
# space goes with what follows it, so that " the" is one token.
PIECES = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?=\s)|\s+")


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
        ids = list(_to_bytes(piece))
        while len(ids) > 1:
            best = min(pairwise(ids), key=lambda pair: self.rank.get(pair, len(self)))
            if best not in self.rank:
                break
            ids = _join(ids, best, self.rank[best])
        return ids

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


def _join(ids: list[int], pair: PairOfIds, new: int) -> list[int]:
    """`ids` with every occurrence of `pair`, from the left, replaced by `new`."""
    out = []
    i = 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def _learn(pieces: Counter[str], merges: int) -> list[PairOfIds]:
    """The merges, in order. Only the pieces that contain the joined pair are looked at again."""
    words = [(list(_to_bytes(piece)), count) for piece, count in sorted(pieces.items())]
    bytes_of = [bytes([i]) for i in range(256)]
    counts: Counter[PairOfIds] = Counter()
    places: dict[PairOfIds, set[int]] = defaultdict(set)
    for w, (ids, count) in enumerate(words):
        for pair in pairwise(ids):
            counts[pair] += count
            places[pair].add(w)

    def entry(pair: PairOfIds) -> tuple[int, bytes, bytes, PairOfIds]:
        return -counts[pair], bytes_of[pair[0]], bytes_of[pair[1]], pair

    heap = [entry(pair) for pair in counts]
    heapq.heapify(heap)
    learned: list[PairOfIds] = []
    while heap and len(learned) < merges:
        negative, _, _, best = heapq.heappop(heap)
        if -negative != counts[best]:  # the count has changed since it was put on the heap
            continue
        if counts[best] < 2:
            break
        learned.append(best)
        new = len(bytes_of)
        bytes_of.append(bytes_of[best[0]] + bytes_of[best[1]])
        changed: set[PairOfIds] = set()
        for w in places.pop(best):
            ids, count = words[w]
            joined = _join(ids, best, new)
            before, after = Counter(pairwise(ids)), Counter(pairwise(joined))
            for pair in before.keys() | after.keys():
                if before[pair] != after[pair]:
                    counts[pair] += count * (after[pair] - before[pair])
                    changed.add(pair)
                if after[pair]:
                    places[pair].add(w)
            words[w] = (joined, count)
        for pair in changed:
            if counts[pair] > 0:
                heapq.heappush(heap, entry(pair))
    return learned
