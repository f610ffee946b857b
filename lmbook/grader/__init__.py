"""Check exercises: at once in a notebook, or many submissions from the command line.

    from lmbook.grader import check, report

    check("2.1.1-a")      what passed, what did not, and a hint
    report()              the section's exercises and their points

Whoever writes exercises needs `Exercise`, `predict`, `ordering`, `choice` and the expectations.
"""

from lmbook.grader.expect import (
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
    expect_that,
    expect_unchanged,
    number,
)
from lmbook.grader.kinds import choice, ordering, predict
from lmbook.grader.live import check, report
from lmbook.grader.registry import Exercise, Test, exercises, find
from lmbook.grader.running import Outcome, Result, run

__all__ = [
    "CheckFailed", "Exercise", "NotAnswered", "Outcome", "Result", "Test", "array", "avoid", "check",
    "choice", "exercises", "expect", "expect_error", "expect_for_all", "expect_gradient",
    "expect_number", "expect_shape", "expect_that", "expect_unchanged", "find", "number", "ordering",
    "predict", "report", "run",
]  # fmt: skip
