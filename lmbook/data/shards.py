"""A data set in files of a few thousand rows, each read only when its turn comes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lmbook.data.atomic import read_json, write_json
from lmbook.data.errors import DataError

_INDEX = "index.json"
_FORMAT = "lmbook.shards/1"


class Shards:
    """Shards of rows: arrays in memory, or the files of a folder that `write_shards` made.

    `lengths[i]` is the number of rows of shard i, known without reading it; `fingerprint` tells
    data sets apart: by all rows of files, by the first and last row of arrays in memory.
    """

    def __init__(self, source: str | Path | Sequence[np.ndarray]) -> None:
        self.folder = Path(source) if isinstance(source, (str, Path)) else None
        self._arrays: Sequence[np.ndarray] = [] if self.folder else list(source)  # type: ignore[arg-type]
        if self.folder is not None:
            index = read_json(self.folder / _INDEX)
            if not isinstance(index, dict) or index.get("format") != _FORMAT:
                raise DataError(f"{self.folder / _INDEX} is not the index of write_shards")
            self.names, self.lengths = index["files"], index["lengths"]
            content = repr((self.lengths, index["sha256"]))
        else:
            self.lengths = [len(array) for array in self._arrays]
            content = repr((self.lengths, [_ends(array) for array in self._arrays]))
        if not self.lengths or min(self.lengths) < 1:
            raise DataError(f"Shards: lengths {self.lengths}; want one shard at least, none empty")
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.lengths)

    def read(self, shard: int, rows: np.ndarray) -> np.ndarray:
        """The given rows of one shard; of a file only these are read."""
        if self.folder is None:
            return np.asarray(self._arrays[shard])[rows]
        path = self.folder / self.names[shard]
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"shard {path} cannot be read: {error}") from None
        if len(array) != self.lengths[shard]:
            raise DataError(
                f"shard {path} has {len(array)} rows, the index says {self.lengths[shard]}; "
                "write the shards again"
            )
        return np.asarray(array[rows])


def write_shards(folder: str | Path, array: np.ndarray, rows: int) -> Shards:
    """Cut an array along its first axis into .npy files of at most `rows` rows, with an index.

    The index is written last, so that a folder with an index is complete.
    """
    if rows < 1 or not len(array):
        raise ValueError(f"write_shards: {len(array)} rows in shards of {rows}; both at least 1")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    sums: list[str] = []
    lengths: list[int] = []
    for start in range(0, len(array), rows):
        part = np.ascontiguousarray(array[start : start + rows])
        names.append(f"{len(names):05}.npy")
        np.save(folder / names[-1], part, allow_pickle=False)
        lengths.append(len(part))
        sums.append(hashlib.sha256(part.tobytes()).hexdigest())
    write_json(
        folder / _INDEX, {"format": _FORMAT, "files": names, "lengths": lengths, "sha256": sums}
    )
    return Shards(folder)


def _ends(array: np.ndarray) -> str:
    """Type, and the first and last row, as a text that is the same in every process."""
    ends = np.asarray(array)[[0, -1]] if len(array) else np.empty(0)
    rows = repr(ends.tolist()) if ends.dtype.hasobject else ends.tobytes().hex()
    return f"{ends.dtype.str} {ends.shape} {hashlib.sha256(rows.encode()).hexdigest()}"
