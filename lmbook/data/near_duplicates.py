"""Groups of sentences that are nearly the same, so that a split can keep each in one part."""

import math
import re
from collections import Counter, defaultdict

_WORD = re.compile(r"[^\W\d_]+")


def words_of(sentence: str) -> frozenset[str]:
    """The set of a sentence's words: lower case, without numbers, punctuation, placeholders."""
    return frozenset(_WORD.findall(sentence.casefold()))


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
    parent = list(range(len(sets)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen_by_word: dict[str, list[int]] = defaultdict(list)
    for i, words in enumerate(sets):
        rarest_first = sorted(words, key=lambda word: (frequency[word], word))
        prefix = rarest_first[: len(words) - math.ceil(threshold * len(words)) + 1]
        for j in sorted({j for word in prefix for j in seen_by_word[word]}):
            if len(words & sets[j]) >= threshold * len(words | sets[j]):
                parent[root(i)] = root(j)
        for word in prefix:
            seen_by_word[word].append(i)
    return [root(i) for i in range(len(sets))]
