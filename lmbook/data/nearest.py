"""A translation memory: answer with the translation of the most similar string that is known."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from lmbook.backend import require


class TranslationMemory:
    """The baseline that a learned translator has to beat.

    A sentence is the set of its words and of its letter trigrams, each weighing
    idf = ln((1 + N) / (1 + number of stored sentences that have it)) + 1. The similarity of two
    is the weighted Jaccard index, weight of A ∩ B over weight of A ∪ B. `pairs` are
    (source, target), as `translations(...)` gives them.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        if not pairs:
            raise ValueError("TranslationMemory: no pairs to remember")
        self.targets = [target for _, target in pairs]
        bags = [_features(source) for source, _ in pairs]
        self.count = len(bags)
        self.frequency = Counter(feature for bag in bags for feature in bag)
        self.weights = np.array([sum(map(self._idf, bag)) for bag in bags])
        places: dict[str, list[int]] = defaultdict(list)
        for i, bag in enumerate(bags):
            for feature in bag:
                places[feature].append(i)
        self.places = {feature: np.array(rows) for feature, rows in places.items()}

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """The stored translation of the nearest stored source, for each sentence."""
        return [self.targets[self.nearest(sentence)] for sentence in sentences]

    def nearest(self, sentence: str) -> int:
        """Index of the most similar stored source; of equally similar ones the first."""
        bag = _features(sentence)
        shared = np.zeros(self.count)
        for feature in bag:
            if feature in self.places:
                shared[self.places[feature]] += self._idf(feature)
        union = self.weights + sum(map(self._idf, bag)) - shared
        # rounded, so that a tie does not hang on the last bit; an empty sentence has no weight
        return int(np.argmax((shared / np.maximum(union, 1e-12)).round(9)))

    def _idf(self, feature: str) -> float:
        return math.log((1 + self.count) / (1 + self.frequency[feature])) + 1


def _features(sentence: str) -> list[str]:
    """Words and trigrams, in a fixed order, so that sums come out the same every time."""
    words = sentence.casefold().split()
    text = f" {' '.join(words)} "
    return sorted({*words, *(text[i : i + 3] for i in range(len(text) - 2))})


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """Corpus BLEU, 0 to 100, by sacrebleu; Chinese is compared character by character.

    Source: Post (2018), "A call for clarity in reporting BLEU scores".
    """
    if len(hypotheses) != len(references):
        raise ValueError(
            f"bleu: {len(hypotheses)} hypotheses for {len(references)} references; give one each"
        )
    sacrebleu = require("sacrebleu", "book", "BLEU")
    tokenize = "zh" if language == "zh" else "13a"
    return sacrebleu.corpus_bleu(list(hypotheses), [list(references)], tokenize=tokenize).score
