"""What a reader has solved: one small JSON file an exercise, in the reader's data folder."""

from __future__ import annotations

import datetime
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from lmbook.grader.running import Result


def home() -> Path:
    """The folder of the reader's own data: LMBOOK_HOME, or the platform's data folder + `lmbook`.

    Linux: ~/.local/share (or XDG_DATA_HOME); macOS: ~/Library/Application Support; Windows: %APPDATA%.
    """
    if chosen := os.environ.get("LMBOOK_HOME"):
        return Path(chosen).expanduser()
    user = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or user / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = user / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or user / ".local" / "share")
    return base / "lmbook"


def folder() -> Path:
    """Where the progress files are."""
    return home() / "progress"


def load() -> dict[str, dict[str, Any]]:
    """Every exercise tried so far, by id; a file that cannot be read counts as not tried."""
    found = {}
    for path in sorted(folder().glob("*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            found[str(entry["id"])] = {
                "id": str(entry["id"]),
                "solved": bool(entry["solved"]),
                "points": int(entry["points"]),
                "tries": int(entry["tries"]),
                "passed": int(entry["passed"]),
                "tests": int(entry["tests"]),
                "first_solved": entry.get("first_solved"),
                "last_try": entry.get("last_try"),
            }
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def save(result: Result) -> None:
    """Note a try; an exercise once solved stays solved. Whole or not at all."""
    old = load().get(result.id, {})
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    solved = bool(old.get("solved")) or result.solved
    entry = {
        "id": result.id,
        "solved": solved,
        "points": result.points if solved else 0,
        "tries": old.get("tries", 0) + 1,
        "passed": sum(o.passed for o in result.outcomes),
        "tests": len(result.outcomes),
        "first_solved": old.get("first_solved") or (now if result.solved else None),
        "last_try": now,
    }
    write(folder() / f"{result.id}.json", json.dumps(entry, indent=1) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file under another name, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, half = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(half, path)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise
