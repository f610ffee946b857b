"""One token a character."""

from collections.abc import Iterable, Sequence

import numpy as np

from lmbook.data.errors import UnknownToken
from lmbook.data.tokenizers.base import number_specials


class CharTokenizer:
    """The characters of a text in code-point order, then the special tokens.

    >>> tokenizer = CharTokenizer("banana", special=("<pad>",))
    >>> tokenizer.encode("nab")
    array([2, 0, 1])
    >>> tokenizer.special["<pad>"]
    3

    `characters` lists the characters; `len(tokenizer)` counts the special tokens too.
    """

    def __init__(self, text: str, special: Sequence[str] = ()) -> None:
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters)}
        self.special = number_specials(special, first=len(self.characters))

    def __len__(self) -> int:
        return len(self.characters) + len(self.special)

    def __repr__(self) -> str:
        return f"CharTokenizer({len(self.characters)} characters, special={list(self.special)})"

    def encode(self, text: str) -> np.ndarray:
        """Ids of the characters, int64, shape (len(text),).

        A character that is not in the vocabulary raises `UnknownToken`, which names it.
        """
        try:
            return np.array([self.ids[character] for character in text], dtype=np.int64)
        except KeyError as error:
            character = error.args[0]
            where = text.index(character)
            raise UnknownToken(
                f"CharTokenizer.encode: character {character!r} (U+{ord(character):04X}) at "
                f"position {where} is not among the {len(self.characters)} known ones; build the "
                "tokenizer from a text that contains it"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens are left out, unknown ids raise `UnknownToken`."""
        return "".join(self._character(int(i)) for i in ids)

    def _character(self, i: int) -> str:
        if 0 <= i < len(self.characters):
            return self.characters[i]
        if i in self.special.values():
            return ""
        raise UnknownToken(f"CharTokenizer.decode: id {i} is not in 0..{len(self) - 1}")
