"""Are the files of a data set here, and are they what they should be?"""

from importlib.resources import files
from pathlib import Path

from lmbook.data.cache import sha256_of
from lmbook.data.cards import Archive, Bundled, DataSet
from lmbook.data.pip_client import path_of


def state_of(row: DataSet) -> dict[str, str]:
    """For each file of a data set: "sound", "missing" or "damaged" (the hash is wrong)."""
    return {name_of(file): _state(_path(file), file.sha256) for file in row.files}


def name_of(file: Archive | Bundled) -> str:
    """The name under which a file is listed."""
    return file.filename if isinstance(file, Archive) else f"lmbook/data/{file.path}"


def _path(file: Archive | Bundled) -> Path:
    if isinstance(file, Archive):
        return path_of(file)
    return Path(str(files("lmbook.data").joinpath(file.path)))


def _state(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "missing"
    return "sound" if sha256_of(path) == sha256 else "damaged"
