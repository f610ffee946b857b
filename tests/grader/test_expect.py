"""The expectations: they accept what is right, refuse what is not, and say why in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lmbook.autograd import as_tensor
from lmbook.grader import (
    CheckFailed,
    NotAnswered,
    array,
    avoid,
    expect,
    expect_error,
    expect_for_all,
    expect_gradient,
    expect_number,
    expect_shape,
    expect_unchanged,
    number,
)
from lmbook.grader.expect import shown

FORMS = [
    [1.0, 2.0], (1, 2), np.array([1, 2]), as_tensor(np.array([1.0, 2.0])), torch.tensor([1.0, 2.0]),
    torch.tensor([1.0, 2.0], requires_grad=True), [as_tensor(1.0), as_tensor(2.0)],
]  # fmt: skip


@pytest.mark.parametrize("value", FORMS, ids=lambda v: type(v).__name__)
def test_whatever_holds_the_numbers_is_accepted(value: Any) -> None:
    expect(value, [1.0, 2.0], of="x")
    expect_shape(value, (2,), of="x")
    with pytest.raises(CheckFailed, match="x should be about"):
        expect(value, [1.0, 2.5], of="x")


@pytest.mark.parametrize(
    ("got", "want", "says"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0], r"shape \(2,\); got \(3,\)"),
        ([[1.0, 2.0]], [1.0, 2.0], r"shape \(2,\); got \(1, 2\)"),
        (1.0, [1.0], r"shape \(1,\); got \(\)"),
        (None, 1.0, "is None; is a `return` missing"),
        ("one", 1.0, "should be numbers; got a str"),
        ([1, [2, 3]], 1.0, "should be numbers; got a list"),
        (np.nan, 1.0, "got NaN values"),
        (np.inf, 1.0, "got infinite values"),
        (1.0, np.inf, "should be about inf"),
        (-np.inf, np.inf, "infinite"),
        (1.0, np.nan, "should be about nan"),
        (1 + 1e-5, 1.0, "should be about 1"),
        ([1, 6], [1, 7], r"should be about \[1, 7\]; got \[1, 6\]"),
        (1.0, True, "should be True or False"),
        (np.arange(20.0), np.zeros(20), r"19 of 20 values differ; at index \(1,\)"),
        (1 + 1j, 1.0, "should be"),
    ],
)
def test_what_is_wrong_is_said(got: Any, want: Any, says: str) -> None:
    with pytest.raises(CheckFailed, match=says):
        expect(got, want, of="f(x)")


def test_an_open_answer_is_told_from_a_wrong_one() -> None:
    with pytest.raises(NotAnswered):
        expect(..., 1.0, of="x")


def test_equal_odd_values_agree() -> None:
    expect([np.nan, np.inf, -np.inf, 1], [np.nan, np.inf, -np.inf, 1], of="x")
    expect(np.zeros((0, 3)), np.zeros((0, 3)), of="x")
    expect([True, False], np.array([True, False]), of="x")


def test_an_answer_brings_no_idea_of_equality_of_its_own() -> None:
    class Liar(np.ndarray):
        def __eq__(self, other: Any) -> Any:
            return True

        __sub__ = __rsub__ = lambda self, other: np.zeros(self.shape)

    with pytest.raises(CheckFailed):
        expect(np.ones(3).view(Liar), np.zeros(3), of="x")
    assert type(array(np.ones(3).view(Liar))) is np.ndarray


def test_array_copies() -> None:
    x = np.ones(3)
    array(x)[0] = 5
    assert x[0] == 1


def test_number() -> None:
    assert number([[3]]) == 3.0 and number(as_tensor(2.5)) == 2.5
    for bad in ([1, 2], 1j, "3"):
        with pytest.raises(CheckFailed):
            number(bad)


def test_expect_error() -> None:
    def fails() -> None:
        raise ValueError("shapes (2, 3) and (4,)")

    expect_error(fails, ValueError, of="f", naming=("(2, 3)", "(4,)"))
    with pytest.raises(CheckFailed, match="should name 5"):
        expect_error(fails, ValueError, of="f", naming=("5",))
    with pytest.raises(CheckFailed, match="should raise TypeError, and raised ValueError"):
        expect_error(fails, TypeError, of="f")
    with pytest.raises(CheckFailed, match="should raise ValueError, and returned 3"):
        expect_error(lambda: 3, ValueError, of="f")


def test_expect_unchanged() -> None:
    x = np.arange(3.0)
    assert expect_unchanged(lambda a: a.sum(), x, of="f") == 3
    with pytest.raises(CheckFailed, match="changes its argument 1 in place"):
        expect_unchanged(lambda a: a.sort() or a.__setitem__(0, 9), x, of="f")


def test_expect_gradient() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3))
    expect_gradient(lambda v: (v**3).sum(), 3 * x**2, x, of="the gradient")
    with pytest.raises(CheckFailed, match="the gradient"):
        expect_gradient(lambda v: (v**3).sum(), 2 * x**2, x, of="the gradient")


def test_expect_for_all_shows_the_counterexample() -> None:
    rng = np.random.default_rng(0)
    expect_for_all(lambda a: a * a >= 0, lambda r: (r.normal(),), rng, "a^2 >= 0")
    with pytest.raises(CheckFailed, match=r"a <= 1 does not hold for 1\.\d+"):
        expect_for_all(lambda a: a <= 1, lambda r: (r.normal(),), rng, "a <= 1")


def test_avoid_follows_helpers_and_classes() -> None:
    names: dict[str, Any] = {"np": np}
    exec(
        "def direct(x):\n    return np.convolve(x, x)\n"
        "def helper(x):\n    return direct(x)\n"
        "def inner(x):\n    return [np.convolve(v, v) for v in x]\n"
        "class Layer:\n    def f(self, x):\n        return helper(x)\n"
        "def clean(x):\n    return x + 1\n"
        "def itself(x):\n    return itself(x - 1) if x else 0\n",
        names,
    )
    for name in ("direct", "helper", "inner", "Layer"):
        with pytest.raises(CheckFailed, match="uses convolve: write it yourself"):
            avoid(names[name], "convolve", why="write it yourself")
    for name in ("clean", "itself"):
        avoid(names[name], "convolve", why="write it yourself")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "True"), (3, "3"), (1048576.0, "1048576"), (0.1 + 0.2, "0.3"), (None, "None"),
        ("text", "'text'"), (np.zeros((4, 5)), "an array of shape (4, 5)"), (object(), "a object"),
        (-0.0 * np.ones(2), "[0., 0.]"), (np.nan, "nan"), (-np.inf, "-inf"),
    ],
)  # fmt: skip
def test_values_in_words(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (4.03, ""), (4.1, "n is not right$"), (8.0, "n is not right: both ways"),
        (0, "n is not right: nothing is lost"), (float("nan"), "n is not right$"),
        (..., "n is still"), ([1, 2], "n should be one number"),
    ],
)  # fmt: skip
def test_a_number_and_the_remark_on_a_known_mistake(got: Any, says: str) -> None:
    slips = {8: "both ways", 0: "nothing is lost"}
    if not says:
        expect_number(got, 4, "n", slips, rtol=0.01)
        return
    with pytest.raises(CheckFailed, match=says):
        expect_number(got, 4, "n", slips, rtol=0.01)
