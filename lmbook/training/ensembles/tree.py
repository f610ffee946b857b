"""Decision trees for classes and for numbers (CART)."""

import math
from typing import Any, Self

import numpy as np

from lmbook.training.ensembles.estimator import (
    Classifier,
    Estimator,
    Regressor,
    Seed,
    at_least,
    generator,
)
from lmbook.training.ensembles.growing import Columns, Growth, Tree, grow
from lmbook.training.ensembles.pruning import prune, pruning_path


class DecisionTree(Estimator):
    """Questions `x[feature] <= threshold`, each chosen to make the two groups it leaves purest.

    Settings as in scikit-learn: `max_depth`; a node needs `min_samples_split` rows to be split, and each
    child keeps `min_samples_leaf`; a split must lower the impurity, weighted by the node's share of
    all rows, by `min_impurity_decrease`; `max_features` (a number, a share, "sqrt", "log2", None for all)
    features are drawn at each node; `ccp_alpha` prunes (see pruning.py). Rows of weight 0 do not count.
    `tree_` holds the nodes. Of equally good splits the lowest feature wins, where all are looked at;
    scikit-learn draws lots. Source: Breiman et al. 1984.
    """

    criteria: tuple[str, ...] = ()
    centred = False
    _made = "tree_"
    tree_: Tree

    def __init__(
        self,
        *,
        criterion: str,
        max_depth: int | None,
        min_samples_split: int,
        min_samples_leaf: int,
        min_impurity_decrease: float,
        max_features: int | float | str | None,
        ccp_alpha: float,
        random_state: Seed,
    ) -> None:
        self.criterion, self.max_depth = criterion, max_depth
        self.min_samples_split, self.min_samples_leaf = min_samples_split, min_samples_leaf
        self.min_impurity_decrease, self.max_features = min_impurity_decrease, max_features
        self.ccp_alpha, self.random_state = ccp_alpha, random_state

    def _growth(self) -> Growth:
        """The settings, checked."""
        name = type(self).__name__
        if self.criterion not in self.criteria:
            raise ValueError(f"{name}: criterion is one of {self.criteria}, not {self.criterion!r}")
        if self.max_depth is not None:
            at_least(name, 1, max_depth=self.max_depth)
        at_least(name, 2, min_samples_split=self.min_samples_split)
        at_least(name, 1, min_samples_leaf=self.min_samples_leaf)
        at_least(
            name, 0, min_impurity_decrease=self.min_impurity_decrease, ccp_alpha=self.ccp_alpha
        )
        return Growth(
            self.criterion == "entropy",
            math.inf if self.max_depth is None else self.max_depth,
            self.min_samples_split,
            self.min_samples_leaf,
            self.min_impurity_decrease,
            how_many(name, self.max_features, self.n_features_in_),
        )

    def grow(self, columns: Columns, targets: np.ndarray, weights: np.ndarray) -> Self:
        """Fit to features whose ranks are known; `targets` (N, K) are one-hot or numbers.

        For ensembles, whose trees share the ranks.
        """
        self.n_features_in_ = len(columns.codes)
        middle = np.average(targets, axis=0, weights=weights) if self.centred else 0.0
        tree = grow(
            columns, targets - middle, weights, self._growth(), generator(self.random_state)
        )
        tree.value += middle
        self.tree_ = prune(tree, self.ccp_alpha) if self.ccp_alpha > 0 else tree
        return self

    def apply(self, X: Any) -> np.ndarray:
        """The leaf that each row ends in, (N,)."""
        return self.tree_.apply(self._inputs(X, "apply"))

    def get_depth(self) -> int:
        """The largest number of questions asked."""
        self._fitted("get_depth")
        return int(self.tree_.depths.max())

    def get_n_leaves(self) -> int:
        """Number of leaves."""
        self._fitted("get_n_leaves")
        return self.tree_.n_leaves

    @property
    def feature_importances_(self) -> np.ndarray:
        """Each feature's share of the fall in impurity, (D,); zeros for a tree without a split."""
        self._fitted("feature_importances_")
        drop = self.tree_.importances(self.n_features_in_)
        return drop / drop.sum() if drop.sum() > 0 else drop

    def cost_complexity_pruning_path(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The values of `ccp_alpha` at which the tree grown on X, y loses nodes, and the impurity of the
        leaves that are left at each."""
        whole = type(self)(**{**self.get_params(), "ccp_alpha": 0.0})
        return pruning_path(whole.fit(X, y, sample_weight).tree_)  # type: ignore[attr-defined]


class DecisionTreeClassifier(DecisionTree, Classifier):
    """A tree whose leaves hold class shares p; impurity is Gini's or the entropy.

        gini = 1 - sum_k p_k^2        entropy = -sum_k p_k log2 p_k

    One class only is allowed: the tree is a leaf.
    """

    criteria = ("gini", "entropy")

    def __init__(
        self,
        *,
        criterion: str = "gini",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        min_impurity_decrease: float = 0.0,
        max_features: int | float | str | None = None,
        ccp_alpha: float = 0.0,
        random_state: Seed = 0,
    ) -> None:
        super().__init__(
            criterion=criterion, max_depth=max_depth, min_samples_split=min_samples_split,
            min_samples_leaf=min_samples_leaf, min_impurity_decrease=min_impurity_decrease,
            max_features=max_features, ccp_alpha=ccp_alpha, random_state=random_state,
        )  # fmt: skip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree on X (N, D) and classes y (N,)."""
        X, y, weights = self._training(X, y, sample_weight)
        codes = self._classes(y)
        return self.grow(Columns(X), np.eye(len(self.classes_))[codes], weights)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The class shares of each row's leaf, (N, K)."""
        X = self._inputs(X, "predict_proba")
        return self.tree_.value[self.tree_.apply(X)]


class DecisionTreeRegressor(DecisionTree, Regressor):
    """A tree whose leaves hold means; impurity is the variance of the targets in a node."""

    criteria = ("squared_error",)
    centred = True  # sums of squares lose digits far from zero

    def __init__(
        self,
        *,
        criterion: str = "squared_error",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        min_impurity_decrease: float = 0.0,
        max_features: int | float | str | None = None,
        ccp_alpha: float = 0.0,
        random_state: Seed = 0,
    ) -> None:
        super().__init__(
            criterion=criterion, max_depth=max_depth, min_samples_split=min_samples_split,
            min_samples_leaf=min_samples_leaf, min_impurity_decrease=min_impurity_decrease,
            max_features=max_features, ccp_alpha=ccp_alpha, random_state=random_state,
        )  # fmt: skip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the tree on X (N, D) and numbers y (N,)."""
        X, y, weights = self._training(X, y, sample_weight)
        return self.grow(Columns(X), y.astype(float)[:, None], weights)

    def predict(self, X: Any) -> np.ndarray:
        """The mean of each row's leaf, (N,)."""
        X = self._inputs(X, "predict")
        return self.tree_.value[self.tree_.apply(X), 0]


def how_many(name: str, given: int | float | str | None, features: int) -> int:
    """The number of features that a `max_features` means, of so many."""
    if given is None:
        return features
    if given in ("sqrt", "log2"):
        return max(1, int(math.sqrt(features) if given == "sqrt" else math.log2(features)))
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if whole and 1 <= given <= features:  # type: ignore[operator]
        return int(given)  # type: ignore[arg-type]
    if isinstance(given, float) and 0 < given <= 1:
        return max(1, int(given * features))
    raise ValueError(
        f'{name}: max_features is "sqrt", "log2", None, a number from 1 to {features} '
        f"or a share, not {given!r}"
    )
