"""A wrong answer is told what is wrong with it, in words that fit it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmbook.grader import find, run, show

WRONG = Path(__file__).parent / "wrong"

TOLD = [
    ("1.2.4-c", "rank_as_place", "rank 2, counted from 0, is the third place"),
    ("1.2.4-c", "pairs_forgotten", "each of the pairs has a dot product"),
    ("1.2.4-d", "refuses_any_zero", "does no harm if the policy never shows it either"),
    ("1.3.2-b", "sums_come_back", "what falls out at the bottom comes back"),
    ("1.3.2-c", "one_flop_a_weight", "share is not right: each weight takes part in"),
    ("3.4.1-b", "no_padding", "shared memory is read in 32.0 times the least passes"),
    ("3.4.1-b", "without_shared_memory", "32.0 a store; 4 are enough"),
    ("3.4.1-c", "four_bytes", "doubles is not right: a double has 8 bytes"),
    ("3.4.1-c", "three_warps", "divergent is not right: all lanes of one of yours agree"),
    ("3.4.1-d", "pixel_by_pixel", "right, but no shared memory is used"),
    ("B.0-a", "one_spelling", "`HOST`, `Host` and `host` are one header"),
    ("B.0-a", "null_is_none", "Origin 'null': should be 403; got 200"),
    ("B.0-b", "true_is_one", "In Python `isinstance(True, int)` holds"),
    ("B.0-b", "no_bounds_named", "message of the ValueError should name"),
    ("B.0-c", "changes_on_the_way", "Change nothing before"),
    ("B.0-c", "stretched", "a tensor of shape (4,) for one of (3, 4)"),
    ("B.2-a", "in_place", "weight, which was given, afterwards should be"),
    ("B.2-d", "calls_the_package", "uses fit_temperature: write the search yourself"),
    ("B.3-a", "one_too_long", "a span of one token too many: got tokens (2, 5)"),
    ("B.3-c", "no_constant", "k is added to each rank"),
    ("3.4.1-d", "three_in_a_bank", "shared memory is written in 3.0 times the least passes"),
]


@pytest.mark.parametrize(("exercise", "answer", "says"), TOLD)
def test_the_hint_fits_the_slip(exercise: str, answer: str, says: str) -> None:
    path = WRONG / exercise.partition("-")[0] / exercise / f"{answer}.py"
    names: dict[str, object] = {"np": np}
    exec(path.read_text(encoding="utf-8"), names)
    result = run(find(exercise), names, seed=1)
    text = " ".join(show.as_text(result).split())
    assert result.status == "not yet" and "nan" not in text
    assert says in text


SPARED = [
    ("1.2.4-a", "penalty_once", {"one person", "people without ratings"}),
    ("1.2.4-b", "one_too_many", {"films that were met"}),
    (
        "B.0-c",
        "stretched",
        {
            "a file that fits",
            "missing",
            "extra",
            "dtypes",
            "all of them, by name",
            "load fills the model's arrays",
            "all or nothing",
            "the error has every complaint",
        },
    ),
    ("1.2.4-b", "ties_in_favour", {"a list of k", "films that were met"}),
]


@pytest.mark.parametrize(("exercise", "answer", "passes"), SPARED)
def test_what_is_right_is_not_called_wrong(exercise: str, answer: str, passes: set[str]) -> None:
    path = WRONG / exercise.partition("-")[0] / exercise / f"{answer}.py"
    names: dict[str, object] = {"np": np}
    exec(path.read_text(encoding="utf-8"), names)
    result = run(find(exercise), names, seed=1)
    assert {o.name for o in result.outcomes if o.passed} == passes
