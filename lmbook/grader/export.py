"""Write solution notebooks as nbgrader's source notebooks (its cell metadata, version 3).

nbgrader itself is not needed here. Its `nbgrader generate_assignment` takes the answers out, and
`autograde` runs the graded cells, which call the same checks as the reader's notebook.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmbook.grader.markers import for_nbgrader, has_starter, strip
from lmbook.grader.registry import find

CONFIG = '''"""Configuration of nbgrader for the exercises of the book."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "lmbook"
c.CourseDirectory.root = "."
c.ExecutePreprocessor.timeout = 120
'''
TEST = """\
from lmbook.grader import check as _check

assert _check("{id}").solved, "see what the check says above"\
"""
_ID = re.compile(r"(?:\d|[A-Z])(?:\.\d+){1,2}-[a-z]")


class ExportError(ValueError):
    """A notebook that is not a solution notebook of the book."""


def _marked(grade_id: str, **fields: Any) -> dict[str, Any]:
    plain = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": plain | {"grade_id": grade_id} | fields}


def _code(id: str, source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "id": id, "metadata": metadata, "source": source,
            "execution_count": None, "outputs": []}  # fmt: skip


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return "".join(source) if isinstance(source, list) else source


def convert(notebook: dict[str, Any]) -> dict[str, Any]:
    """The nbgrader version of a solution notebook, both as plain JSON values."""
    cells: list[dict[str, Any]] = []
    exercises = 0
    for i, cell in enumerate(notebook["cells"]):
        tags = cell.get("metadata", {}).get("tags", [])
        source = _source(cell)
        name = next((t for t in tags if _ID.fullmatch(t)), None)
        key = (name or "").replace(".", "-")
        if "solution-only" in tags or source.startswith(("check(", "report(")):
            continue
        if cell["cell_type"] == "markdown":
            cells.append({"cell_type": "markdown", "id": cell.get("id", f"m{i}"),
                          "metadata": {}, "source": source})  # fmt: skip
        elif name is None:
            cells.append(_code(cell.get("id", f"c{i}"), source, {}))
        else:
            exercises += 1
            if has_starter(source):  # an answer's cell can hold no given code: show it before
                given = f"Start from this:\n\n```python\n{strip(source)}\n```"
                cells.append({"cell_type": "markdown", "id": f"starter-{key}", "metadata": {},
                              "source": textwrap.dedent(given)})  # fmt: skip
            answer = _marked(f"answer-{key}", solution=True)
            cells.append(_code(f"answer-{key}", for_nbgrader(source), answer))
            test = _marked(f"test-{key}", grade=True, locked=True, points=find(name).points)
            cells.append(_code(f"test-{key}", TEST.format(id=name), test))
    if not exercises:
        raise ExportError("no cell is tagged with an exercise; export takes solution notebooks")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def export(solutions: Sequence[Path], folder: Path) -> list[Path]:
    """Write DIR/source/NAME/NAME.ipynb for each solution, and nbgrader_config.py; return the files."""
    written = []
    for path in solutions:
        try:
            content = convert(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ExportError(f"{path}: {error}") from None
        name = f"{path.parent.name}-{path.stem}"
        target = folder / "source" / name / f"{name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        target.write_text(text, encoding="utf-8", newline="\n")
        written.append(target)
    config = folder / "nbgrader_config.py"
    if not config.exists():  # an instructor's own settings stay
        config.write_text(CONFIG, encoding="utf-8", newline="\n")
        written.append(config)
    return written
