"""Groups of sentences that are nearly the same, so that a split can keep each in one part."""

import math
import re
from collections import Counter, defaultdict

_WORD = re.compile(r"[^\W\d_]+")


def words_of(sentence: str) -> frozenset[str]:
    """The set of a sentence's words: lower case, without numbers, punctuation, placeholders."""
    return frozenset(_WORD.findall(sentence.casefold()))


class Groups:
    """Union-find: which of n things are connected by the pairs joined so far."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))

    def root(self, i: int) -> int:
        """One member of i's group, the same for all in it."""
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Put the groups of i and j together."""
        self.parent[self.root(i)] = self.root(j)

    def firsts(self) -> list[int]:
        """The smallest member of each group, in order."""
        smallest: dict[int, int] = {}
        for i in range(len(self.parent)):
            smallest.setdefault(self.root(i), i)
        return sorted(smallest.values())


def near_duplicate_groups(sentences: list[str], threshold: float = 0.6) -> list[int]:
    """For each sentence the number of its group; near duplicates share a group.

    Two sentences are near duplicates if the Jaccard similarity |A ∩ B| / |A ∪ B| of their word
    sets is at least `threshold`; groups are the connected components. Only sentences that share
    one of their rarest words are compared: two sets with similarity t share a word among the
    first |A| - ceil(t |A|) + 1 of A, in any fixed order of words.
    Source: Bayardo, Ma and Srikant (2007), "Scaling up all pairs similarity search".
    """
    sets = [words_of(sentence) for sentence in sentences]
    frequency = Counter(word for words in sets for word in words)
    groups = Groups(len(sets))
    seen_by_word: dict[str, list[int]] = defaultdict(list)
    for i, words in enumerate(sets):
        rarest_first = sorted(words, key=lambda word: (frequency[word], word))
        prefix = rarest_first[: len(words) - math.ceil(threshold * len(words)) + 1]
        for j in sorted({j for word in prefix for j in seen_by_word[word]}):
            if len(words & sets[j]) >= threshold * len(words | sets[j]):
                groups.join(i, j)
        for word in prefix:
            seen_by_word[word].append(i)
    return [groups.root(i) for i in range(len(sets))]
