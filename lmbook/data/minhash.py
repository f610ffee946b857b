"""Near duplicates in a corpus too large to compare all pairs: MinHash and locality-sensitive hashing."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lmbook.data.near_duplicates import Groups, words_of

_PRIME = (1 << 61) - 1  # Mersenne: larger than any 32-bit hash, for a family of hash functions


def exact_duplicates(documents: Sequence[str]) -> list[int]:
    """For each document the index of its first copy; its own index if it is the first.

    Copies are equal up to spaces; they are found by their SHA-256, not by comparison.
    """
    first: dict[bytes, int] = {}
    return [
        first.setdefault(hashlib.sha256(" ".join(d.split()).encode("utf-8", "replace")).digest(), i)
        for i, d in enumerate(documents)
    ]


def shingles(text: str, n: int = 5) -> set[str]:
    """All runs of `n` characters of the text, in lower case with single spaces; itself if shorter."""
    if n < 1:
        raise ValueError(f"shingles: n={n} must be at least 1")
    text = " ".join(text.casefold().split())
    return {text[i : i + n] for i in range(max(len(text) - n + 1, 1))} if text else set()


def jaccard(a: set[str] | frozenset[str], b: set[str] | frozenset[str]) -> float:
    """|A ∩ B| / |A ∪ B|; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0


def collision_probability(s: np.ndarray | float, bands: int, rows: int) -> np.ndarray:
    """P(two sets of Jaccard similarity s share a band) = 1 - (1 - s^rows)^bands."""
    return 1 - (1 - np.asarray(s, dtype=np.float64) ** rows) ** bands


class MinHash:
    """Signatures whose share of equal entries estimates the Jaccard similarity of two sets.

    Entry k of a signature is min over x in the set of h_k(x), for the hash functions

        h_k(x) = ((a_k x + b_k) mod p) mod 2^32,   p = 2^61 - 1.

    The element with the smallest hash is in both sets with probability |A ∩ B| / |A ∪ B|, so
    P(entry k is equal) is the similarity s, and the mean of K entries has standard error
    sqrt(s (1 - s) / K). Source: Broder (1997).
    """

    def __init__(self, permutations: int = 128, seed: int = 0) -> None:
        if permutations < 1:
            raise ValueError(f"MinHash: permutations {permutations} must be at least 1")
        random = np.random.default_rng(seed)
        self.a = random.integers(1, _PRIME, size=permutations, dtype=np.uint64)
        self.b = random.integers(0, _PRIME, size=permutations, dtype=np.uint64)

    def signature(self, elements: set[str] | frozenset[str]) -> np.ndarray:
        """uint32 of shape (permutations,); an empty set has a signature of its own, all ones."""
        x = np.array([_hash(e) for e in elements], dtype=np.uint64)
        if not len(x):
            return np.full(len(self.a), 0xFFFFFFFF, dtype=np.uint32)
        out = np.full(len(self.a), 0xFFFFFFFF, dtype=np.uint64)
        part = max(1, (1 << 19) // len(self.a))  # so many elements that a table takes 4 MB
        for start in range(0, len(x), part):
            hashed = _times_mod(self.a, x[start : start + part, None]) + self.b  # (part, K)
            np.minimum(out, ((hashed % _PRIME) & 0xFFFFFFFF).min(axis=0), out=out)
        return out.astype(np.uint32)

    def signatures(self, sets: Sequence[set[str] | frozenset[str]]) -> np.ndarray:
        """uint32 of shape (number of sets, permutations)."""
        if not sets:
            return np.empty((0, len(self.a)), dtype=np.uint32)
        return np.stack([self.signature(elements) for elements in sets])


def _hash(element: str) -> int:
    digest = hashlib.blake2b(element.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def _times_mod(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """a x mod 2^61 - 1 for a below 2^61 and x below 2^32, in 64 bits: by the upper and lower half."""
    mask = np.uint64(_PRIME)
    low = (a & np.uint64(0x1FFFFFFF)) * x  # 29 + 32 bits
    high = (a >> np.uint64(29)) * x  # 32 + 32 bits: times 2^29, where 2^61 is 1
    wrapped = (high >> np.uint64(32)) + ((high & np.uint64(0xFFFFFFFF)) << np.uint64(29))
    total = (low & mask) + (low >> np.uint64(61)) + wrapped
    return (total & mask) + (total >> np.uint64(61))


def candidate_pairs(signatures: np.ndarray, bands: int) -> set[tuple[int, int]]:
    """Pairs (i, j), i < j, whose signatures agree in all rows of at least one band.

    The K columns are cut into `bands` bands of K / bands rows; K must be a multiple.
    """
    n, columns = signatures.shape
    if bands < 1 or columns % bands:
        raise ValueError(f"candidate_pairs: {columns} columns cannot be cut into {bands} bands")
    pairs: set[tuple[int, int]] = set()
    for band in np.split(np.ascontiguousarray(signatures), bands, axis=1):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for i in range(n):
            buckets[band[i].tobytes()].append(i)
        for bucket in buckets.values():
            pairs.update((i, j) for k, j in enumerate(bucket) for i in bucket[:k])
    return pairs


def deduplicate(
    documents: Sequence[str],
    threshold: float = 0.8,
    *,
    bands: int = 16,
    rows: int = 8,
    n: int = 5,
    seed: int = 0,
    verify: bool = True,
) -> list[int]:
    """The indices of the documents to keep, the first of each group of near duplicates.

    Candidates come from MinHash with `bands` bands of `rows` rows over `n`-character shingles
    (`n=0`: over words). With `verify`, a pair counts if its true similarity reaches `threshold`;
    without, if the estimate of the signatures does. Groups are connected components.
    Source: Lee et al. (2022), "Deduplicating Training Data Makes Language Models Better".
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"deduplicate: threshold {threshold} must be above 0 and at most 1")
    sets = [words_of(d) if n == 0 else frozenset(shingles(d, n)) for d in documents]
    signatures = MinHash(bands * rows, seed).signatures(sets)
    groups = Groups(len(documents))
    for i, j in sorted(candidate_pairs(signatures, bands)):
        alike = jaccard(sets[i], sets[j]) if verify else np.mean(signatures[i] == signatures[j])
        if alike >= threshold:
            groups.join(i, j)
    return groups.firsts()
