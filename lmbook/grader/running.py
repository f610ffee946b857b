"""Run the tests of one exercise against the names of a notebook."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmbook.grader.expect import CheckFailed, NotAnswered
from lmbook.grader.registry import Exercise, Test

SOLVED, OPEN, EMPTY = "solved", "not yet", "not answered"


@dataclass(frozen=True)
class Outcome:
    """What became of one test; `message` and `hint` are empty where it passed."""

    name: str
    passed: bool
    message: str = ""
    hint: str = ""
    hidden: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Result:
    """What became of one exercise."""

    id: str
    title: str
    points: int
    outcomes: tuple[Outcome, ...]

    @property
    def solved(self) -> bool:
        """Whether every test passed; an exercise without tests is never solved."""
        return bool(self.outcomes) and all(o.passed for o in self.outcomes)

    @property
    def score(self) -> int:
        """All points, or none."""
        return self.points if self.solved else 0

    @property
    def status(self) -> str:
        """'solved', 'not yet', or 'not answered'."""
        if self.solved:
            return SOLVED
        return EMPTY if any(o.empty for o in self.outcomes) else OPEN

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = asdict(self) | {"status": self.status, "score": self.score}
        found["outcomes"] = [asdict(o) for o in self.outcomes]
        return found

    def _ipython_display_(self) -> None:
        """Nothing: `check` has shown it already."""


class Namespace:
    """The learner's names as attributes; a missing one counts as not answered."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        value = self._names.get(name, Ellipsis)
        if value is Ellipsis:
            missing = name not in self._names
            why = "is not defined; run the cell above" if missing else "is still `...`"
            raise NotAnswered(f"`{name}` {why}")
        return value


def _where(error: BaseException) -> str:
    """The learner's line in which an error arose, if it was there."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        # IPython names a cell's file "...ipykernel_1/123.py", the grader "<cell 3>"
        if frame.filename.startswith("<cell") or "ipykernel_" in frame.filename:
            return f" (line {frame.lineno} of its cell, in {frame.name})"
    return ""


def run_test(test: Test, namespace: Namespace, rng: np.random.Generator) -> Outcome:
    """One test; whatever the answer raises is a failure with its reason."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            test.function(namespace, rng)
    except NotAnswered as error:
        return Outcome(test.name, False, str(error), "", test.hidden, empty=True)
    except NotImplementedError:
        return Outcome(test.name, False, "not answered yet", "", test.hidden, empty=True)
    except CheckFailed as error:
        return Outcome(test.name, False, str(error), test.hint, test.hidden)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f"your code raised {text}{_where(error)}"
        return Outcome(test.name, False, message, test.hint, test.hidden)
    return Outcome(test.name, True, hidden=test.hidden)


def run(
    exercise: Exercise,
    names: Mapping[str, Any],
    seed: int,
    tests: Sequence[Test] | None = None,
    after: Callable[[], Any] = lambda: None,
) -> Result:
    """All tests of an exercise, each with a generator of its own made from `seed`.

    `after` is called after each test.
    """
    namespace = Namespace(names)
    outcomes = []
    for i, test in enumerate(exercise.tests if tests is None else tests):
        outcomes.append(run_test(test, namespace, np.random.default_rng([seed, i])))
        after()
    return Result(exercise.id, exercise.title, exercise.points, tuple(outcomes))
