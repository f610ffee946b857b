"""What an exercise is, and where all of them are found.

A module of `lmbook/grader/checks/` makes its exercises with `Exercise(...)`; making one registers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

KINDS = ("implement", "debug", "predict", "prove")
_ID = re.compile(r"(?:\d|[A-Z])(?:\.\d+){1,2}-[a-z]")
_registry: dict[str, Exercise] = {}

TestFunction = Callable[..., None]


@dataclass(frozen=True)
class Test:
    """One thing that an answer must do: what it is, the function that tries it, a hint."""

    __test__ = False  # nothing for pytest to collect

    name: str
    function: TestFunction
    hint: str
    hidden: bool = False


@dataclass
class Exercise:
    """An exercise with its tests.

    `needs` are the names that the answer defines. All tests must pass for the points: there is
    nothing for a part, so that a notebook as it was handed out scores zero.
    """

    id: str
    title: str
    kind: str
    points: int
    needs: Sequence[str]
    tests: list[Test] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"exercise {self.id!r}: an id looks like '2.1.3-a'")
        if self.kind not in KINDS:
            raise ValueError(f"exercise {self.id}: kind {self.kind!r} is not one of {KINDS}")
        if self.points < 1 or not self.needs:
            raise ValueError(f"exercise {self.id}: it needs points and the names of its answer")
        if self.id in _registry:
            raise ValueError(f"exercise {self.id} is registered twice")
        self.needs = tuple(self.needs)
        _registry[self.id] = self

    @property
    def section(self) -> str:
        """The number of the section: '2.1.3' for '2.1.3-a'."""
        return self.id.partition("-")[0]

    def test(
        self, name: str, hint: str, hidden: bool = False
    ) -> Callable[[TestFunction], TestFunction]:
        """Add a test, a function `(ns, rng)` that returns or raises `CheckFailed`.

        `ns.sigmoid` is what the learner called `sigmoid`; `rng` is a NumPy generator with a new
        seed each time. `name` says what must hold, `hint` helps when it does not, and neither
        tells the answer.
        """

        def add(function: TestFunction) -> TestFunction:
            if any(test.name == name for test in self.tests):
                raise ValueError(f"exercise {self.id}: two tests are called {name!r}")
            self.tests.append(Test(name, function, hint, hidden))
            return function

        return add

    def hidden(self, name: str, hint: str) -> Callable[[TestFunction], TestFunction]:
        """Add a test on inputs drawn at check time, so that a list of known answers fails."""
        return self.test(name, hint, hidden=True)


def _natural(name: str) -> tuple[Any, ...]:
    """Sort key: 2.1.10-a comes after 2.1.9-a."""
    section, _, letter = name.partition("-")
    parts = section.split(".")
    return (*((0, int(p)) if p.isdigit() else (1, p) for p in parts), (2, letter))


def exercises(section: str | None = None) -> list[Exercise]:
    """All exercises in the order of the book, or those of one section ('2.1.3')."""
    from lmbook.grader import checks

    for module in iter_modules(checks.__path__):
        import_module(f"{checks.__name__}.{module.name}")
    found = [_registry[name] for name in sorted(_registry, key=_natural)]
    return [e for e in found if section is None or e.section == section]


def find(name: str) -> Exercise:
    """The exercise with this id."""
    known = {e.id: e for e in exercises()}
    if name not in known:
        near = [i for i in known if i.startswith(name.partition("-")[0] + "-")]
        listed = ", ".join(near or known) or "none yet"
        raise KeyError(f"there is no exercise {name!r}; there are: {listed}")
    return known[name]
