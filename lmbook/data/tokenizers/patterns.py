"""How a text is first cut into pieces that no token crosses."""

import re
import sys
import unicodedata
from functools import cache

# Letters, digits, signs and spaces. A single space goes with what follows it: " the" is one piece.
PIECES = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?=\s)|\s+")

# White_Space of Unicode; Python's \s has four separators (U+001C to U+001F) more.
SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


@cache
def characters_of(*categories: str) -> str:
    """The characters whose Unicode category starts with one of these, as ranges for `[...]`."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(categories):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in ranges)


@cache
def gpt2_pieces() -> re.Pattern[str]:
    """GPT-2's cut: English contractions, letters, numbers, other signs, spaces.

    Letters are category L and numbers category N. Python's `re` has no such classes, so they are
    spelled out from `unicodedata` (a quarter of a second, once).
    Source: Radford et al. (2019).
    """
    letter, number = characters_of("L"), characters_of("N")
    return re.compile(
        rf"'(?:s|t|re|ve|m|ll|d)| ?[{letter}]+| ?[{number}]+| ?[^{SPACE}{letter}{number}]+"
        rf"|[{SPACE}]+(?![^{SPACE}])|[{SPACE}]+"
    )
