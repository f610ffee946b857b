"""What every tokenizer gives: ids for a text, the text for ids, and ids for special tokens."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

MOST_KNOWN = 100_000
"""So many pieces are remembered with their ids; then a tokenizer starts to remember anew."""


class Tokenizer(Protocol):
    """Text to ids and back; `decode(encode(text)) == text`. Special tokens are never in a text."""

    special: dict[str, int]

    def __len__(self) -> int: ...

    def encode(self, text: str) -> np.ndarray: ...

    def decode(self, ids: Iterable[int]) -> str: ...


def number_specials(names: Sequence[str], first: int) -> dict[str, int]:
    """Ids from `first` on for the special tokens; a repeated name raises `ValueError`."""
    if len(set(names)) != len(names):
        raise ValueError(f"special tokens {list(names)}: each name once")
    return {name: first + i for i, name in enumerate(names)}
