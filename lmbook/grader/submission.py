"""Read a submitted notebook without trusting it, and without needing Jupyter."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lmbook.grader.registry import Exercise, exercises

LARGEST = 30_000_000  # bytes
_MAGIC = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?{1,2}\s*)$")
_ID = re.compile(r"(?:\d|[A-Z])(?:\.\d+){1,2}-[a-z]")


class BadSubmission(ValueError):
    """A file that is not a notebook to grade; `verdict` says in a word why."""

    def __init__(self, verdict: str, message: str) -> None:
        super().__init__(message)
        self.verdict = verdict


@dataclass(frozen=True)
class Submission:
    """Code cells with their numbers, and the exercises that belong to the notebook."""

    cells: tuple[tuple[int, str], ...]
    exercises: tuple[Exercise, ...]


def _is_python(source: str) -> bool:
    try:
        compile(source, "<cell>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def plain(source: str) -> str:
    """A cell without what only IPython understands: `%magic`, `!command`, `name?`."""
    if _is_python(source):
        return source
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%"):
        return plain(rest) if first.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    lines = [_MAGIC.sub(r"\1pass", line) for line in source.splitlines()]
    return "\n".join(lines)


def read(path: Path) -> Submission:
    """The submission in `path`, or BadSubmission with a reason that a person can act on."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise BadSubmission("not a notebook", "it is a folder, not a file")
        if size > LARGEST:
            raise BadSubmission("not a notebook", f"it has {size / 1e6:.0f} MB; clear its outputs")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadSubmission("missing", "there is no such file") from None
    except UnicodeDecodeError:
        raise BadSubmission("not a notebook", "it is not text; a notebook is JSON") from None
    except OSError as error:
        raise BadSubmission("missing", f"it cannot be read: {error.strerror}") from None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            where = f"line {error.lineno}: {error.msg}"
        else:
            where = "nested too deeply"
        raise BadSubmission("not a notebook", f"it is not JSON ({where})") from None
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list) or content.get("nbformat") != 4:
        raise BadSubmission("not a notebook", "it is JSON, but not a notebook of format 4")
    code = []
    for number, cell in enumerate(cells):
        if not isinstance(cell, dict):
            raise BadSubmission("not a notebook", f"cell {number} is not a cell")
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise BadSubmission("not a notebook", f"the source of cell {number} is not text")
        if cell.get("cell_type") == "code" and source.strip():
            code.append((number, plain(source)))
    return Submission(tuple(code), _belonging(cells))


def _belonging(cells: list[dict]) -> tuple[Exercise, ...]:
    """All exercises of the sections that the notebook's checks and tags name."""
    named: set[str] = set()
    for cell in cells:
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
        source = cell.get("source", "")
        if cell.get("cell_type") == "code":
            text = "".join(source) if isinstance(source, list) else source
            named |= set(re.findall(rf"""check\(\s*["']({_ID.pattern})["']""", text))
        named |= {t for t in tags or () if isinstance(t, str) and _ID.fullmatch(t)}
    sections = {name.partition("-")[0] for name in named}
    found = tuple(e for e in exercises() if e.section in sections)
    if not found:
        raise BadSubmission("no exercises", "it contains no check(...) of a known exercise")
    return found
