"""Honest estimates: folds, cross-validation, steps kept inside them, test sets that leaked."""

from lmbook.training.validation.contamination import Overlap, contamination, repeated_rows
from lmbook.training.validation.cross_validation import (
    BestOf,
    Choice,
    Scores,
    accuracy_of,
    choose,
    cross_validate,
)
from lmbook.training.validation.preparation import (
    MedianImputer,
    Pipeline,
    SelectKBest,
    f_statistic,
)
from lmbook.training.validation.splits import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

__all__ = [
    "BestOf", "Choice", "GroupKFold", "KFold", "MedianImputer", "Overlap", "Pipeline", "Scores",
    "SelectKBest", "StratifiedGroupKFold", "StratifiedKFold", "TimeSeriesSplit", "accuracy_of", "choose",
    "contamination", "cross_validate", "f_statistic", "repeated_rows",
]  # fmt: skip
