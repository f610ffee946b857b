"""Predictions, proofs in order, and choices: right answers pass, slips are named, answers stay hidden."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.grader import Exercise, choice, ordering, predict, run, show

pytestmark = pytest.mark.usefixtures("own_registry")


def said(exercise: Exercise, **names: object) -> tuple[str, str]:
    """Status, and everything that the reader would see."""
    result = run(exercise, names, seed=1)
    return result.status, show.as_text(result)


def test_predict() -> None:
    made = predict(
        "9.2.1-a",
        "How many",
        1,
        "n",
        lambda: 7850,
        "Count a row.",
        mistakes={"no biases": lambda: 7840},
    )
    assert said(made, n=7850)[0] == said(made, n=np.int64(7850))[0] == "solved"
    for wrong in (7840, 7849, 0, -7850):
        status, text = said(made, n=wrong)
        assert status == "not yet" and "7850" not in text.replace(str(wrong), "")
        assert ("no biases" in text) == (wrong == 7840)
    assert said(made, n="many")[0] == "not yet" and said(made, n=...)[0] == "not answered"


def test_predict_with_a_tolerance() -> None:
    made = predict("9.2.1-b", "About", 1, "n", lambda: 100.0, "h", rtol=0.05)
    assert said(made, n=104)[0] == "solved" and said(made, n=106)[0] == "not yet"


PROOF = {"A": "", "B": "A", "C": "A", "D": "BC"}


@pytest.mark.parametrize(
    "order", ["ABCD", "ACBD", ["a", "b", "c", "d"], "A, B, C, D", "A -> C -> B -> D"]
)
def test_every_order_that_follows_is_right(order: object) -> None:
    made = ordering("9.2.1-c", "Proof", 2, "proof", PROOF, "h", wrong={"X": "it needs f linear"})
    assert said(made, proof=order)[0] == "solved"


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("BACD", "step B uses something"),
        ("ABDC", "step D uses something"),
        ("ABC", "4 steps; 3 of yours"),
        ("ABCDX", "step X does not hold: it needs f linear"),
        ("ABCDD", "step D occurs 2 times"),
        ("ABCDQ", "there is no step 'Q'"),
        (3, "letters in order"),
    ],
)
def test_an_order_that_does_not_follow(order: object, says: str) -> None:
    made = ordering("9.2.1-d", "Proof", 2, "proof", PROOF, "h", wrong={"X": "it needs f linear"})
    status, text = said(made, proof=order)
    assert status == "not yet" and says in text


def test_choice() -> None:
    claims = {
        "A": lambda rng: rng.normal() ** 2 >= 0,
        "B": lambda rng: False,
        "C": lambda rng: True,
    }
    made = choice("9.2.1-e", "Which", 1, "true", claims, "Try small cases.")
    for right in ("AC", "ca", ["A", "C"], {"A", "C"}, "A, C"):
        assert said(made, true=right)[0] == "solved"
    status, text = said(made, true="AB")
    assert status == "not yet" and "1 of 3 claims are judged rightly" in text
    assert "no claim 'Z'" in said(made, true="AZ")[1] and said(made, true="")[0] == "not yet"
    assert said(made, true=None)[0] == "not yet"
