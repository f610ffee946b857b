"""Trees, and models made of many: bagging, forests, boosting, stacking. Names as in scikit-learn.

Inputs are arrays X (N, D) without missing values; a wrong one is refused with the way out. The same
`random_state` gives the same model.
"""

from lmbook.training.ensembles.adaboost import AdaBoostClassifier
from lmbook.training.ensembles.bagging import (
    BaggingClassifier,
    BaggingRegressor,
    bootstrap,
    variance_of_mean,
)
from lmbook.training.ensembles.boosting import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from lmbook.training.ensembles.estimator import NotFittedError, clone
from lmbook.training.ensembles.forest import RandomForestClassifier, RandomForestRegressor
from lmbook.training.ensembles.growing import Tree
from lmbook.training.ensembles.importance import Importance, permutation_importance
from lmbook.training.ensembles.linear import LogisticRegression, Ridge
from lmbook.training.ensembles.stacking import StackingClassifier, StackingRegressor, k_folds
from lmbook.training.ensembles.tree import DecisionTreeClassifier, DecisionTreeRegressor

__all__ = [
    "AdaBoostClassifier", "BaggingClassifier", "BaggingRegressor", "DecisionTreeClassifier",
    "DecisionTreeRegressor", "GradientBoostingClassifier", "GradientBoostingRegressor", "Importance",
    "LogisticRegression", "NotFittedError", "RandomForestClassifier", "RandomForestRegressor", "Ridge",
    "StackingClassifier", "StackingRegressor", "Tree", "bootstrap", "clone", "k_folds",
    "permutation_importance", "variance_of_mean",
]  # fmt: skip
