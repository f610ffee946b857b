"""The process in which one submission runs: cells first, then the tests, then a word back.

It reads a job from its standard input and answers on what was its standard output; the submission
sees neither. What the submission prints goes to the standard error, which the parent counts.
"""

from __future__ import annotations

import json
import linecache
import os
import sys
import threading
import types
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any


def _channels() -> tuple[Any, Any]:
    """Move input and output out of the submission's reach; return them as files."""
    given, answer = (
        os.fdopen(os.dup(0), encoding="utf-8"),
        os.fdopen(os.dup(1), "w", encoding="utf-8"),
    )
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
    return given, answer


def run_cells(cells: list[list[Any]], names: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Run every cell; a cell that fails does not keep the next from running.

    Returns a verdict and its reason ("" where all went well) and what the cells raised.
    """
    raised: list[str] = []
    for number, source in cells:
        file = f"<cell {number}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            exec(compile(source, file, "exec"), names)
        except SystemExit:
            return "exit", f"cell {number} calls exit", raised
        except MemoryError:
            return "memory", f"cell {number} asks for more memory than it may have", raised
        except BaseException as error:
            raised.append(f"cell {number}: {type(error).__name__}: {error}"[:300])
    return "", "", raised


def _reply(file: Any, **content: Any) -> None:
    file.write(json.dumps(content) + "\n")
    file.flush()


def _judge(
    refused: list[str], known: list[threading.Thread], changed: list[str]
) -> tuple[str, str]:
    """A verdict from what was refused, what was replaced, and what still runs."""
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return "tampered", f"it replaces {', '.join(changed[:3])}{more}"
    if refused:
        kind, _, what = refused[0].partition(": ")
        return kind, f"it tries what is refused while grading: {what}"
    if any(thread not in known and not _of_a_library(thread) for thread in threading.enumerate()):
        return "process", "it leaves a thread running"
    return "", ""


def _of_a_library(thread: threading.Thread) -> bool:
    """Whether a thread is a library's own helper, such as the one that watches over tqdm's bars."""
    run = type(thread).run
    return run is not threading.Thread.run and f"{os.sep}site-packages{os.sep}" in (
        run.__code__.co_filename
    )


def main() -> None:
    """Serve one job; ends the process."""
    given, answer = _channels()
    leave = os._exit
    job = json.loads(given.readline())
    import numpy  # noqa: F401

    from lmbook.grader import find, guard, integrity, running

    # copies of the tests, which nothing that a submission can reach refers to
    chosen = [(find(name), tuple(map(replace, find(name).tests))) for name in job["exercises"]]
    guard.limit(job["memory"], job["cpu"], job["file_size"])
    refused = guard.install(Path(job["folder"]), {given.fileno(), answer.fileno()}, job["caches"])
    known = threading.enumerate()
    before = integrity.snapshot(t.function for _, tests in chosen for t in tests)
    integrity.lock(lambda name: refused("tampered", f"replacing {name}"))
    changes, run, read, reply = integrity.changes, running.run, given.readline, _reply
    judge = partial(_judge, refused.seen, known)

    main_module = types.ModuleType("__main__")
    sys.modules["__main__"] = main_module
    names = vars(main_module)
    names["display"] = print
    verdict, reason, raised = run_cells(job["cells"], names)
    if not verdict:
        verdict, reason = judge(changes(before))
    reply(answer, stage="cells", verdict=verdict, reason=reason, raised=raised)
    if not verdict:
        extra = json.loads(read())["hidden"]
        if extra is not None:
            for exercise, tests in chosen:
                exercise.tests[:] = tests
            exec(compile(extra, "<hidden tests>", "exec"), {"__name__": "hidden_tests"})
            chosen = [(exercise, tuple(exercise.tests)) for exercise, _ in chosen]
        results, changed = [], set()
        for exercise, tests in chosen:
            result = run(
                exercise, names, job["seed"], tests, lambda: changed.update(changes(before))
            )
            results.append(result.as_dict())
        verdict, reason = judge(sorted(changed))
        reply(answer, stage="tests", verdict=verdict, reason=reason, results=results)
        reply(answer, stage="end", word=json.loads(read())["word"])
    sys.stdout.flush()
    leave(0)


if __name__ == "__main__":
    main()
