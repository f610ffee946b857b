"""`check` and `report`: what passed, what failed, a hint, and never the answer; progress is kept."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmbook.grader import (
    CheckFailed,
    Exercise,
    check,
    exercises,
    expect,
    expect_that,
    find,
    progress,
    report,
    run,
    show,
)

pytestmark = pytest.mark.usefixtures("own_registry")


@pytest.fixture
def double() -> Exercise:
    made = Exercise("9.1.1-a", title="Twice <x>", kind="implement", points=3, needs=["double"])

    @made.test("twice one is two", "What is 1 + 1?")
    def one(ns: Any, rng: np.random.Generator) -> None:
        expect(ns.double(1.0), 2.0, of="double(1)")

    @made.hidden("any number", "Add x to itself.")
    def drawn(ns: Any, rng: np.random.Generator) -> None:
        x = rng.normal()
        expect(ns.double(x), 2 * x, of="double of a number")

    return made


def test_a_right_answer(double: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    result = check("9.1.1-a", {"double": lambda x: x + x})
    said = capsys.readouterr().out
    assert result.solved and result.score == 3
    assert said.splitlines()[0] == "9.1.1-a  Twice <x>: solved, 3 of 3 points"
    assert said.count("✓ passed") == 2 and "hint" not in said


def test_a_wrong_answer_is_told_what_failed_and_a_hint(
    double: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    result = check("9.1.1-a", {"double": lambda x: 2.0})  # knows the example by heart
    said = capsys.readouterr().out
    assert (result.score, result.status) == (0, "not yet")
    assert "✓ passed  twice one is two" in said and "✗ failed  any number" in said
    assert "hint: Add x to itself." in said and "What is 1 + 1?" not in said


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({}, "`double` is not defined; run the cell above"),
        ({"double": ...}, "`double` is still `...`"),
        ({"double": lambda x: ...}, "double(1) is still `...`"),
    ],
)
def test_an_empty_answer(
    double: Exercise, names: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = check("9.1.1-a", names)
    said = capsys.readouterr().out
    assert result.status == "not answered" and says in said and said.count("✗") == 1


def test_an_answer_that_is_not_implemented(double: Exercise) -> None:
    def answer(x: float) -> float:
        raise NotImplementedError("your code here")

    assert run(double, {"double": answer}, seed=0).status == "not answered"


def test_what_an_answer_raises_is_reported_with_its_line(double: Exercise) -> None:
    names: dict[str, Any] = {}
    exec(compile("def double(x):\n    return x + missing", "<cell 4>", "exec"), names)
    first = run(double, names, seed=0).outcomes[0]
    assert first.message == (
        "your code raised NameError: name 'missing' is not defined (line 2 of its cell, in double)"
    )


@pytest.mark.parametrize("error", [SystemExit, RecursionError, MemoryError, GeneratorExit])
def test_nothing_that_an_answer_raises_gets_out(double: Exercise, error: type) -> None:
    def answer(x: float) -> float:
        raise error

    assert not run(double, {"double": answer}, seed=0).solved
    with pytest.raises(KeyboardInterrupt):  # but the reader may interrupt
        run(double, {"double": lambda x: (_ for _ in ()).throw(KeyboardInterrupt)}, seed=0)


def test_what_an_answer_prints_is_not_shown(
    double: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    run(double, {"double": lambda x: print("noise") or x + x}, seed=0)
    assert capsys.readouterr().out == ""


def test_drawn_inputs_differ_between_checks_and_repeat_with_a_seed(double: Exercise) -> None:
    def drawn(seed: int) -> list[float]:
        seen: list[float] = []
        run(double, {"double": lambda x: seen.append(float(x)) or 2 * x}, seed)
        return seen

    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1)[0] == drawn(2)[0] == 1.0


def test_check_looks_at_the_names_of_its_caller(double: Exercise) -> None:
    names: dict[str, Any] = {"check": check}
    exec("double = lambda x: 2 * x\nresult = check('9.1.1-a')", names)
    assert names["result"].solved


def test_an_unknown_exercise_names_its_neighbours(double: Exercise) -> None:
    with pytest.raises(KeyError, match=r"9\.1\.1-z.*there are: 9\.1\.1-a"):
        check("9.1.1-z")


def test_an_exercise_without_tests_is_never_solved() -> None:
    assert not run(Exercise("9.1.1-b", "t", "prove", 1, ["x"]), {"x": 1}, 0).solved


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "2.1"}, "an id looks like"),
        ({"kind": "essay"}, "kind 'essay'"),
        ({"points": 0}, "points"),
        ({"needs": []}, "names of its answer"),
        ({"id": "9.1.1-a"}, "registered twice"),
    ],
)
def test_exercises_are_declared_rightly(
    double: Exercise, change: dict[str, Any], says: str
) -> None:
    good = {"id": "9.1.1-c", "title": "t", "kind": "prove", "points": 1, "needs": ["x"]}
    with pytest.raises(ValueError, match=says):
        Exercise(**{**good, **change})
    with pytest.raises(ValueError, match="two tests are called"):
        double.test("any number", "hint")(lambda ns, rng: None)


def test_exercises_come_in_the_order_of_the_book() -> None:
    for name in ("9.1.10-a", "9.1.2-a", "A.1.1-a"):
        Exercise(name, "t", "prove", 1, ["x"])
    ids = [e.id for e in exercises()]
    assert ids.index("9.1.2-a") < ids.index("9.1.10-a") < ids.index("A.1.1-a")
    assert [e.id for e in exercises("9.1.10")] == ["9.1.10-a"] and find(
        "9.1.2-a"
    ).section == "9.1.2"


def test_html_says_the_same_and_is_escaped(double: Exercise) -> None:
    result = run(double, {"double": lambda x: x}, seed=0)
    markup = show.as_html(result)
    assert "Twice &lt;x&gt;" in markup and "<x>" not in markup
    assert markup.count("✗ failed") == 2 and markup.count("Hint:") == 2
    assert markup.count("<div") == markup.count("</div>") and markup.count("<li") == 2


def test_progress_is_kept_and_a_solved_exercise_stays_solved(double: Exercise, home: Path) -> None:
    check("9.1.1-a", {"double": lambda x: x})
    assert progress.load()["9.1.1-a"]["solved"] is False
    check("9.1.1-a", {"double": lambda x: 2 * x})
    check("9.1.1-a", {"double": lambda x: x})
    kept = progress.load()["9.1.1-a"]
    assert (kept["solved"], kept["points"], kept["tries"], kept["passed"]) == (True, 3, 3, 0)
    assert [p.name for p in (home / "progress").iterdir()] == ["9.1.1-a.json"]
    (home / "progress" / "9.1.1-a.json").write_text("half a fi", encoding="utf-8")
    assert progress.load() == {}


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    double: Exercise, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file where the folder should be", encoding="utf-8")
    assert check("9.1.1-a", {"double": lambda x: 2 * x}).solved
    assert "progress could not be saved" in capsys.readouterr().out


def test_a_write_that_fails_leaves_the_old_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress.write(home / "a.json", "old")
    monkeypatch.setattr("os.replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with contextlib.suppress(OSError):
        progress.write(home / "a.json", "new")
    assert {p.name: p.read_text() for p in home.iterdir()} == {"a.json": "old"}


def test_the_report(double: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    report("9.1.1")
    assert "0/3     not tried" in capsys.readouterr().out
    check("9.1.1-a", {"double": lambda x: 2 * x})
    capsys.readouterr()
    report()  # the section of what was checked
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["9.1.1-a", "Twice", "<x>", "3/3", "solved"] and "3/3" in said[-1]
    report("8.8.8")
    assert "no exercises in section 8.8.8" in capsys.readouterr().out


def test_stored_outputs_are_the_same_each_time_and_keep_no_progress(
    double: Exercise, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMBOOK_LIVE", "0")
    seen: list[float] = []
    for _ in range(2):
        check("9.1.1-a", {"double": lambda x: seen.append(float(x)) or 2 * x})
    assert seen[:2] == seen[2:] and not home.exists()


def test_a_live_notebook_gets_html(double: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython
    import IPython.display

    shown: list[dict[str, str]] = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": True})())
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append(data))
    check("9.1.1-a", {"double": lambda x: 2 * x})
    assert shown[0]["text/plain"].startswith("9.1.1-a") and "<ul" in shown[0]["text/html"]


def test_results_are_plain_json(double: Exercise) -> None:
    result = run(double, {"double": lambda x: x}, seed=0)
    assert json.loads(json.dumps(result.as_dict()))["status"] == "not yet"


def test_a_condition_left_open_counts_as_not_answered() -> None:
    made = Exercise("9.1.1-d", "t", "prove", 1, ["x"])
    made.test("holds", "h")(lambda ns, rng: expect_that(ns.x is not None, "x is None"))
    assert run(made, {}, 0).status == "not answered"
    assert run(made, {"x": None}, 0).outcomes[0].message == "x is None"
    with pytest.raises(CheckFailed):
        expect_that(False, "no")
