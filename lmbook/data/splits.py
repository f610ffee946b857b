"""How data sets are split: fixed, by rules that any machine repeats."""

import hashlib
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Splits(NamedTuple, Generic[T]):
    """The three parts of a data set: learn from `train`, choose on `validation`, report `test`."""

    train: T
    validation: T
    test: T


def part_of(key: str, validation: float, test: float, seed: int = 0) -> str:
    """The part that `key` falls into: "train", "validation" or "test".

    The key's SHA-256 is read as a number u in [0, 1): test if u < `test`, validation if
    u < `test` + `validation`. The same key is in the same part for ever, whatever else is added.
    """
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    u = int.from_bytes(digest[:8], "big") / 2**64
    return "test" if u < test else "validation" if u < test + validation else "train"
