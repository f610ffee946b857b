"""Try every answer of a section: the solution, the hand-out, and the wrong answers kept beside the tests.

python -m book.tools.exercises --prove 2.1.1

The cells before an answer run once; each variant of the answer then runs in a forked copy of the
process (in a fresh namespace where the system cannot fork), so that none sees another.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from book.tools import exercises as tool
from book.tools import notebooks
from book.tools.notebooks import ROOT
from lmbook.grader import exercises, find, run

WRONG = ROOT / "tests" / "grader" / "wrong"
SEEDS = (0, 1, 20)
LIMIT = 30  # seconds for one answer
CALM = {
    "LMBOOK_LIVE": "0", "LMBOOK_PROGRESS": "0", "LMBOOK_BACKEND": "numpy", "MPLBACKEND": "Agg",
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip


def notebook_of(section: str) -> Path:
    """The solution notebook whose cells are tagged with this section's exercises."""
    for path in tool.solutions():
        if any(i.startswith(f"{section}-") for i in tool.answer_cells(notebooks.read(path))):
            return path
    raise LookupError(f"no notebook in solutions/ has a cell tagged with an exercise of {section}")


def wrong_answers(name: str) -> dict[str, str]:
    """Name and source of each wrong answer to an exercise."""
    section = name.partition("-")[0]
    folder = WRONG / section / name
    return {p.stem: p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.py"))}


def _try(name: str, source: str, names: dict[str, Any], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Run an answer's cell and its tests; report the first seed that fails."""
    start = time.perf_counter()
    error = ""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(source, f"<cell {name}>", "exec"), names)
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
        result = None
        for seed in seeds:
            result = run(find(name), names, seed)
            if not result.solved:
                break
    assert result is not None
    failed = [o for o in result.outcomes if not o.passed]
    return {
        "status": result.status, "score": result.score, "raised": error,
        "failed": [o.name for o in failed], "why": [o.message for o in failed],
        "seconds": round(time.perf_counter() - start, 2),
    }  # fmt: skip


def _apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `work` in a forked copy, with a limit on its time."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(LIMIT)
        try:
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        why = f"ended without a result, or ran for {LIMIT} s"
        return {"status": "no verdict", "score": 0, "failed": ["any"], "why": [why], "raised": "",
                "seconds": LIMIT}  # fmt: skip
    return json.loads(data)


def _run_cells(cells: list[Any], names: dict[str, Any]) -> None:
    """Run the shared cells, leaving out checks and reports."""
    for cell in cells:
        if cell.cell_type == "code" and not cell.source.lstrip().startswith(("check(", "report(")):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, f"<cell {cell.id}>", "exec"), names)


def _fresh() -> dict[str, Any]:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return vars(module)


def section(number: str) -> dict[str, dict[str, Any]]:
    """By exercise: what became of 'solution', 'handed out', and each wrong answer."""
    solution = notebooks.read(notebook_of(number))
    given = tool.hand_out(solution, "exercises/x.ipynb")
    wanted = tool.answer_cells(solution)
    exercises()  # imported here, the tests need not be imported by every copy
    found: dict[str, dict[str, Any]] = {}
    names, at = _fresh(), 0
    for name, index in sorted(wanted.items(), key=lambda item: item[1]):
        _run_cells(solution.cells[at:index], names)
        at = index
        variants = {
            "solution": solution.cells[index].source,
            "handed out": given.cells[tool.answer_cells(given)[name]].source,
            **{f"wrong: {k}": v for k, v in wrong_answers(name).items()},
        }
        found[name] = {}
        for label, source in variants.items():
            seeds = SEEDS if label == "solution" else SEEDS[:1]
            if hasattr(os, "fork"):
                found[name][label] = _apart(partial(_try, name, source, names, seeds))
            else:
                copy = _fresh()
                _run_cells(solution.cells[:index], copy)
                found[name][label] = _try(name, source, copy, seeds)
    return found


def in_process_of_its_own(number: str) -> dict[str, dict[str, Any]]:
    """`section` in a new interpreter with one thread, which can fork without danger."""
    done = subprocess.run(
        [sys.executable, "-m", "book.tools.proof", number],
        cwd=ROOT, env={**os.environ, **CALM}, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"section {number} could not be tried:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def complaints(found: dict[str, dict[str, Any]], least: int = 3) -> list[str]:
    """What is not as it must be, one line each."""
    lines = []
    for name, variants in found.items():
        for label, got in variants.items():
            if label == "solution" and got["status"] != "solved":
                lines.append(
                    f"{name}: the solution fails {got['failed']}: {got['why']} {got['raised']}"
                )
            if label == "handed out" and got["score"]:
                lines.append(f"{name}: the notebook as handed out scores {got['score']}")
            if label.startswith("wrong") and got["status"] != "not yet":
                lines.append(
                    f"{name}: {label} is {got['status']!r}, and should fail a test {got['why']}"
                )
        wrong = sum(label.startswith("wrong") for label in variants)
        if wrong < least:
            lines.append(f"{name}: {wrong} wrong answers in tests/grader/wrong, fewer than {least}")
    return lines


def main(sections: list[str]) -> int:
    """Print what became of each answer; exit code 1 if something is not as it must be."""
    bad = 0
    for number in sections or sorted({e.section for e in exercises()}):
        found = in_process_of_its_own(number)
        for name, variants in found.items():
            for label, got in variants.items():
                reason = f"  fails: {got['failed'][0]} ({got['why'][0]})" if got["failed"] else ""
                print(f"{name}  {label:28} {got['status']:12} {got['seconds']:5.2f} s{reason}")
        for line in complaints(found):
            bad += 1
            print(f"NOT RIGHT  {line}")
    return int(bad > 0)


if __name__ == "__main__":
    print(json.dumps(section(sys.argv[1])))
