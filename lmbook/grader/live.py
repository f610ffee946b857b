"""`check` and `report`: what a reader calls in a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from lmbook.grader import progress, show
from lmbook.grader.registry import exercises, find
from lmbook.grader.running import Result, run

_latest: dict[str, Result] = {}


def _stored() -> bool:
    """Whether this run's output is stored in the book: plain, the same each time, no progress."""
    return os.environ.get("LMBOOK_LIVE") == "0"


def _display(text: str, markup: str) -> None:
    """Show HTML in a live notebook, text anywhere else."""
    shell = sys.modules.get("IPython")
    session = shell.get_ipython() if shell else None
    if _stored() or session is None or not hasattr(session, "kernel"):
        print(text)
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": markup}, raw=True)


def check(name: str, names: Mapping[str, Any] | None = None) -> Result:
    """Test the answer to one exercise, show what passed and a hint for what did not.

    `check("2.1.1-a")` looks at the names of the notebook that calls it, or at `names` where given.
    The inputs of some tests are drawn anew each time. Progress is kept in the reader's data folder.
    """
    exercise = find(name)
    if names is None:
        names = sys._getframe(1).f_globals
    seed = 0 if _stored() else int.from_bytes(os.urandom(4), "little")
    result = run(exercise, names, seed)
    _latest[name] = result
    text, markup = show.as_text(result), show.as_html(result)
    if not _stored():
        try:
            progress.save(result)
        except OSError as error:
            note = f"(progress could not be saved: {error.strerror or error})"
            text, markup = f"{text}\n{note}", f"{markup}<p>{note}</p>"
    _display(text, markup)
    return result


def report(section: str | None = None) -> None:
    """Show the points of a section's exercises: those checked just now, else the kept progress.

    Without a number, the section is that of the exercises checked in this session.
    """
    checked = {find(name).section for name in _latest}
    kept = {} if _stored() else progress.load()
    rows: list[show.Row] = []
    for exercise in exercises(section):
        if section is None and checked and exercise.section not in checked:
            continue
        now, before = _latest.get(exercise.id), kept.get(exercise.id)
        if now and (now.solved or not (before and before["solved"])):
            score, status = now.score, now.status
        elif before:
            score, status = before["points"], "solved" if before["solved"] else "not yet"
        else:
            score, status = 0, "not tried"
        rows.append((exercise.id, exercise.title, score, exercise.points, status))
    if not rows:
        print(f"no exercises in section {section}" if section else "there are no exercises yet")
        return
    _display(show.table_text(rows), show.table_html(rows))
