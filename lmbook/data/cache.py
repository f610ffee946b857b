"""Where fetched archives are kept, and how a file is checked."""

import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path


def cache_dir() -> Path:
    """The folder of fetched archives: LMBOOK_CACHE, or the platform's cache folder + `lmbook`.

    Linux: ~/.cache (or XDG_CACHE_HOME); macOS: ~/Library/Caches; Windows: %LOCALAPPDATA%.
    """
    if chosen := os.environ.get("LMBOOK_CACHE"):
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "lmbook"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; remembered while the file's size and time stay."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
