"""Exercises that are not a function to write: a number to predict, a proof to put in order, a choice.

    predict   a number, computed at check time from the package, never stored
    ordering  the steps of a proof, lettered in the notebook, put in an order that follows
    choice    which of some claims hold, each settled by a function that runs

A witness or a constant in an inequality is an ordinary exercise of kind 'prove', whose test calls
`expect_that` or `expect_for_all` with what the learner found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lmbook.grader.expect import CheckFailed, number, shown
from lmbook.grader.registry import Exercise


def predict(
    id: str,
    title: str,
    points: int,
    name: str,
    answer: Callable[[], float],
    hint: str,
    rtol: float = 0.0,
    atol: float = 0.0,
    mistakes: Mapping[str, Callable[[], float]] | None = None,
) -> Exercise:
    """A number to find before running anything, kept by the learner in the variable `name`.

    `answer()` computes it. With both tolerances zero it must be exact. `mistakes` maps a remark
    ("you left out the biases") to the number that this mistake gives: the learner who makes it
    reads the remark instead of the hint. The right number is never shown.
    """
    exercise = Exercise(id, title, "predict", points, (name,))

    def right(ns: Any, rng: np.random.Generator) -> None:
        got, want = number(getattr(ns, name), f"`{name}`"), float(answer())
        if abs(got - want) <= atol + rtol * abs(want):
            return
        for remark, slip in (mistakes or {}).items():
            value = float(slip())
            if abs(got - value) <= max(atol + rtol * abs(value), 1e-12 * abs(value)):
                raise CheckFailed(f"{shown(got)} is not right: {remark}")
        raise CheckFailed(f"{shown(got)} is not right")

    exercise.test(f"`{name}` agrees with what the computer finds", hint)(right)
    return exercise


def ordering(
    id: str,
    title: str,
    points: int,
    name: str,
    steps: Mapping[str, Sequence[str]],
    hint: str,
    wrong: Mapping[str, str] | None = None,
) -> Exercise:
    """A proof to put in order; the learner writes the letters in `name`, such as "CAEB".

    `steps` maps a letter to the letters of the steps that it rests on: every order that respects
    them is right. `wrong` maps the letter of a false step to what is false about it.
    """
    exercise = Exercise(id, title, "prove", points, (name,))
    wrong = wrong or {}

    def letters(ns: Any) -> list[str]:
        value = getattr(ns, name)
        if not isinstance(value, (str, list, tuple)):
            raise CheckFailed(f"`{name}` should be the letters in order, and is {shown(value)}")
        return [str(c).upper() for c in value if str(c).strip(" ,;->")]

    @exercise.test("every step is one of those offered, once", "Write each letter at most once.")
    def known(ns: Any, rng: np.random.Generator) -> None:
        order = letters(ns)
        for c in order:
            if c not in steps and c not in wrong:
                raise CheckFailed(f"there is no step {c!r}")
            if order.count(c) > 1:
                raise CheckFailed(f"step {c} occurs {order.count(c)} times")

    @exercise.test("every step holds", "Try a false-looking step on a small example.")
    def true(ns: Any, rng: np.random.Generator) -> None:
        for c in letters(ns):
            if c in wrong:
                raise CheckFailed(f"step {c} does not hold: {wrong[c]}")

    @exercise.test("every step rests on steps before it", hint)
    def follows(ns: Any, rng: np.random.Generator) -> None:
        done: set[str] = set()
        for c in letters(ns):
            if not set(steps.get(c, ())) <= done:
                raise CheckFailed(f"step {c} uses something that has not been shown before it")
            done.add(c)

    @exercise.test("nothing is missing", "Some step that you left out is needed.")
    def whole(ns: Any, rng: np.random.Generator) -> None:
        have = sum(c in steps for c in letters(ns))
        if have < len(steps):
            raise CheckFailed(f"the proof needs {len(steps)} steps; {have} of yours are among them")

    return exercise


def choice(
    id: str,
    title: str,
    points: int,
    name: str,
    claims: Mapping[str, Callable[[np.random.Generator], Any]],
    hint: str,
) -> Exercise:
    """Which claims hold? The learner lists their letters in `name`, such as "AC".

    `claims` maps a letter to a function of a generator that tries the claim on drawn cases and
    says whether it holds; the answer is found by running it, so it is stored nowhere.
    """
    exercise = Exercise(id, title, "prove", points, (name,))

    @exercise.test("the claims that you name are those that hold", hint)
    def right(ns: Any, rng: np.random.Generator) -> None:
        value = getattr(ns, name)
        if not isinstance(value, (str, list, tuple, set)):
            raise CheckFailed(f"`{name}` should be letters, and is {shown(value)}")
        got = {str(c).upper() for c in value if str(c).strip(" ,;")}
        if unknown := got - set(claims):
            raise CheckFailed(f"there is no claim {min(unknown)!r}")
        holds = {letter for letter, claim in claims.items() if bool(claim(rng))}
        if got != holds:
            right_ones = len(got & holds) + len(set(claims) - got - holds)
            raise CheckFailed(f"{right_ones} of {len(claims)} claims are judged rightly")

    return exercise
