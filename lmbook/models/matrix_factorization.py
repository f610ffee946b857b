"""Matrix factorisation: a person and a film are vectors, a rating their product (Koren et al. 2009).

    r(u, i) = mean + b_u + c_i + p_u . q_i

One module, three ways to fit it: gradients (`Trainer`), alternating least squares on ratings, and the
weighted ones on mere visits. Shapes: N pairs, U users, I items, K factors.
"""

from typing import Any

import numpy as np

from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError, default_generator


class MatrixFactorization(nn.Module):
    """Ratings of pairs from K factors and, unless `bias` is False, a constant and two biases."""

    def __init__(
        self, num_users: int, num_items: int, factors: int = 16, bias: bool = True
    ) -> None:
        super().__init__()
        self.num_users, self.num_items, self.factors = num_users, num_items, factors
        self.user = nn.Embedding(num_users, factors)
        self.item = nn.Embedding(num_items, factors)
        self.user_bias: Any = nn.Embedding(num_users, 1) if bias else None
        self.item_bias: Any = nn.Embedding(num_items, 1) if bias else None
        for table, std in (
            (self.user, 0.1), (self.item, 0.1), (self.user_bias, 0.0), (self.item_bias, 0.0)
        ):  # fmt: skip
            if table is not None:
                nn.init.normal_(table.weight, std=std)
        self.register_buffer("mean", nn.init.new(1))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Numbers of users and items, (N,) each -> ratings (N,)."""
        score = (self.user(users) * self.item(items)).sum(-1) + self.mean
        if self.user_bias is None:
            return score
        return score + self.user_bias(users)[..., 0] + self.item_bias(items)[..., 0]

    def scores(self, users: Any) -> np.ndarray:
        """Scores of all items for each of `users`: (N, I)."""
        users = np.asarray(users)
        p, q = self.user.weight.data[users], self.item.weight.data
        score = p @ q.T + self.mean.data
        if self.user_bias is None:
            return score
        return score + self.user_bias.weight.data[users] + self.item_bias.weight.data.T


def squared_error(
    model: MatrixFactorization, users: Tensor, items: Tensor, ratings: Tensor
) -> Tensor:
    """Mean squared error of a batch: the `Trainer`'s loss. Regularise by the optimiser's weight_decay."""
    return (model(users, items) - ratings).square().mean()


def fit_als(
    model: MatrixFactorization,
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    weight: float = 0.1,
    sweeps: int = 10,
) -> list[float]:
    """Alternating least squares: with the items fixed, each user is a ridge regression, and in turn.

    Minimises   sum (r - r(u, i))^2 + weight * (sum_u n_u |theta_u|^2 + sum_i n_i |theta_i|^2),
    theta being the factors and the bias, n the number of ratings. Returns the objective after each
    sweep, which never rises. Source: Zhou et al. 2008 (ALS with weighted regularisation).
    """
    _check(model, users, items, ratings)
    model.mean.data[...] = ratings.mean()
    target = ratings.astype(np.float64) - float(model.mean.data[0])
    left, right = _side(model.user, model.user_bias), _side(model.item, model.item_bias)
    by_user, by_item = _groups(users, len(left)), _groups(items, len(right))
    bias = model.user_bias is not None
    objective = []
    for _ in range(sweeps):
        _ridge(left, by_user, right, items, target, weight, bias)
        _ridge(right, by_item, left, users, target, weight, bias)
        error = target - _product(left[users], right[items], bias)
        penalty = sum(
            (np.bincount(index, minlength=len(side)) * (side**2).sum(axis=1)).sum()
            for index, side in ((users, left), (items, right))
        )
        objective.append(float(error @ error + weight * penalty))
    _store(model.user, model.user_bias, left)
    _store(model.item, model.item_bias, right)
    return objective


def _product(left: np.ndarray, right: np.ndarray, bias: bool) -> np.ndarray:
    """p . q, and if the last column is a bias, the sum of both."""
    if not bias:
        return (left * right).sum(axis=1)
    return (left[:, :-1] * right[:, :-1]).sum(axis=1) + left[:, -1] + right[:, -1]


def _ridge(
    side: np.ndarray, groups: list[np.ndarray], other: np.ndarray, index: np.ndarray,
    target: np.ndarray, weight: float, bias: bool,
) -> None:  # fmt: skip
    """Solve each row of `side` exactly, given the `other` side."""
    eye = np.eye(side.shape[1])
    for row, chosen in enumerate(groups):
        if not len(chosen):
            side[row] = 0
            continue
        x, y = other[index[chosen]], target[chosen]
        if bias:  # the other's bias is known; our own multiplies 1
            y = y - x[:, -1]
            x = np.concatenate([x[:, :-1], np.ones((len(x), 1))], axis=1)
        side[row] = np.linalg.solve(x.T @ x + weight * len(chosen) * eye, x.T @ y)


def fit_implicit_als(
    model: MatrixFactorization,
    users: np.ndarray,
    items: np.ndarray,
    counts: np.ndarray | None = None,
    alpha: float = 10.0,
    weight: float = 10.0,
    sweeps: int = 10,
) -> list[float]:
    """Weighted ALS for visits without ratings: every pair is an example, those that met count more.

    Minimises   sum over all (u, i) of c (x - p . q)^2 + weight (sum |p|^2 + sum |q|^2),
    x = 1 and c = 1 + alpha * count where the pair met, x = 0 and c = 1 elsewhere. The sum over the
    zeros is Q'Q, the same for all users, so a sweep costs O(K^2 visits + K^3 (U + I)). Returns the
    objective after each sweep. Source: Hu, Koren and Volinsky 2008.
    """
    counts = np.ones(len(users)) if counts is None else np.asarray(counts, np.float64)
    _check(model, users, items, counts)
    if model.user_bias is not None:
        raise ValueError("fit_implicit_als: build the model with bias=False; zeros carry no bias")
    model.mean.data[...] = 0
    left, right = _side(model.user, None), _side(model.item, None)
    by_user, by_item = _groups(users, len(left)), _groups(items, len(right))
    extra = alpha * counts
    objective = []
    for _ in range(sweeps):
        _weighted_ridge(left, by_user, right, items, extra, weight)
        _weighted_ridge(right, by_item, left, users, extra, weight)
        met = (left[users] * right[items]).sum(axis=1)
        everywhere = ((left.T @ left) * (right.T @ right)).sum()  # sum of (p . q)^2 over all pairs
        seen = ((1 + extra) * (1 - met) ** 2 - met**2).sum()
        penalty = (left**2).sum() + (right**2).sum()
        objective.append(float(everywhere + seen + weight * penalty))
    _store(model.user, None, left)
    _store(model.item, None, right)
    return objective


def _weighted_ridge(
    side: np.ndarray, groups: list[np.ndarray], other: np.ndarray, index: np.ndarray,
    extra: np.ndarray, weight: float,
) -> None:  # fmt: skip
    shared = other.T @ other + weight * np.eye(other.shape[1])
    for row, chosen in enumerate(groups):
        x, c = other[index[chosen]], extra[chosen]
        side[row] = np.linalg.solve(shared + (x.T * c) @ x, x.T @ (1 + c))


def _groups(index: np.ndarray, n: int) -> list[np.ndarray]:
    """Positions of each number from 0 to n - 1."""
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(np.bincount(index, minlength=n))[:-1])


def _side(table: nn.Embedding, bias: nn.Embedding | None) -> np.ndarray:
    """One side's factors and, as last column, its biases, in float64; factors all zero are drawn."""
    factors = table.weight.data.astype(np.float64)
    if not factors.any():
        factors = 0.1 * default_generator().standard_normal(factors.shape)
    return factors if bias is None else np.concatenate([factors, bias.weight.data], axis=1)


def _store(table: nn.Embedding, bias: nn.Embedding | None, side: np.ndarray) -> None:
    state = {"weight": side if bias is None else side[:, :-1]}
    table.load_state_dict(state)
    if bias is not None:
        bias.load_state_dict({"weight": side[:, -1:]})


def _check(model: Any, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
    shapes = [np.shape(x) for x in (users, items, values)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ShapeError(
            f"ALS: users, items and values must be vectors of one length, got {shapes}"
        )
    for name, x, n in (("users", users, model.num_users), ("items", items, model.num_items)):
        if x.min() < 0 or x.max() >= n:
            raise ShapeError(
                f"ALS: {name} run from {x.min()} to {x.max()}, the model has 0 to {n - 1}"
            )
