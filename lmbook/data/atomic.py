"""Small files that are either the old or the new one, never half of one."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from lmbook.data.errors import DataError


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write to a temporary file beside `path`, force it to disk, and rename it to `path`."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def write_json(path: str | Path, value: Any) -> Path:
    """`value` as JSON, atomically."""
    return write_bytes(path, json.dumps(value, indent=1).encode("utf-8"))


def read_json(path: str | Path) -> Any:
    """What `write_json` wrote; `DataError` for a file that is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not JSON ({error}); it is damaged or another file") from None
