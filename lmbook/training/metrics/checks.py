"""What every metric asks of its input; each error says which input, and what would do instead."""

from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import NonFiniteError, ShapeError, host


def array(name: str, what: str, x: Any) -> np.ndarray:
    """Input as an array without NaN or infinity; `name` is the metric's, `what` the argument's."""
    values = host(x.data if isinstance(x, Tensor) else x)
    if values.size == 0:
        raise ShapeError(
            f"{name}: {what} is empty, shape {values.shape}; give at least one example"
        )
    if values.dtype == object:
        raise ValueError(
            f"{name}: {what} mixes types or lengths; give one array of numbers or names"
        )
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values.reshape(-1)))[0])
        raise NonFiniteError(
            f"{name}: {what} holds {values.reshape(-1)[bad]} at position {bad}; drop such examples or "
            "find out where they come from, a metric cannot"
        )
    return values


def labels(name: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors of classes of one length."""
    true, pred = array(name, "y_true", y_true), array(name, "y_pred", y_pred)
    if true.ndim != 1 or true.shape != pred.shape:
        hint = "; give classes, such as logits.argmax(axis=1)" if pred.ndim == 2 else ""
        raise ShapeError(
            f"{name}: y_true {true.shape} and y_pred {pred.shape} must be vectors of one length{hint}"
        )
    for what, values in (("y_true", true), ("y_pred", pred)):
        if values.dtype.kind == "f" and (values != np.rint(values)).any():
            raise ValueError(f"{name}: {what} holds fractions; give classes, not scores")
    if (true.dtype.kind in "US") != (pred.dtype.kind in "US"):
        raise ValueError(f"{name}: y_true has type {true.dtype}, y_pred {pred.dtype}; one is text")
    return true, pred


def binary(name: str, y_true: Any, pos_label: Any = 1) -> np.ndarray:
    """A vector of True (the class is `pos_label`) and False; refuses more than two classes."""
    true = array(name, "y_true", y_true)
    if true.ndim != 1:
        raise ShapeError(f"{name}: y_true must be a vector, got shape {true.shape}")
    classes = np.unique(true)
    if len(classes) > 2:
        raise ValueError(
            f"{name}: y_true has {len(classes)} classes, two are expected; compare one class with the "
            "rest, or give scores of shape (n, classes) where the metric takes them"
        )
    if len(classes) == 2 and pos_label not in classes.tolist():
        raise ValueError(
            f"{name}: pos_label {pos_label!r} is none of the classes {classes.tolist()}"
        )
    return true == pos_label


def scores(
    name: str, y_true: Any, y_score: Any, pos_label: Any = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Truth as booleans and a score for each; both classes must occur."""
    true = binary(name, y_true, pos_label)
    score = array(name, "y_score", y_score).astype(np.float64)
    if score.shape != true.shape:
        raise ShapeError(
            f"{name}: y_true {true.shape} and y_score {score.shape} must be vectors of one length"
        )
    if true.all() or not true.any():
        raise ValueError(
            f"{name}: y_true holds {'only' if true.all() else 'no'} positives; a ranking needs both "
            "classes, so choose the examples such that both occur (stratify the split)"
        )
    return true, score


def probabilities(name: str, y_true: Any, y_prob: Any) -> tuple[np.ndarray, np.ndarray]:
    """Classes 0 to k - 1, and probabilities of shape (n, k); a vector means the probability of class 1."""
    prob = array(name, "y_prob", y_prob).astype(np.float64)
    true = array(name, "y_true", y_true)
    if prob.ndim == 1:
        true, prob = binary(name, true).astype(np.intp), np.stack([1 - prob, prob], axis=1)
    if prob.ndim != 2 or true.ndim != 1 or len(true) != len(prob):
        raise ShapeError(
            f"{name}: y_true {true.shape} and y_prob {prob.shape} do not fit; give (n,) and (n, classes)"
        )
    if prob.min() < 0 or prob.max() > 1 or np.abs(prob.sum(axis=1) - 1).max() > 1e-4:
        raise ValueError(
            f"{name}: y_prob must hold probabilities whose rows sum to 1, but they lie in "
            f"[{prob.min():.4g}, {prob.max():.4g}]; take softmax of logits first"
        )
    if true.dtype.kind not in "iub" or true.min() < 0 or true.max() >= prob.shape[1]:
        raise ValueError(
            f"{name}: y_true must hold the numbers 0 to {prob.shape[1] - 1}, the columns of y_prob"
        )
    return true.astype(np.intp), prob
