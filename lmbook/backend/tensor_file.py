"""Read a safetensors file: arrays by name, mapped into memory instead of copied; nothing is executed.

The format: eight bytes with the length of the header (little-endian), the header in JSON, which gives each
array's name, type, shape and place, and then the arrays' bytes. Source: huggingface/safetensors, README.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_BLOCK = 1 << 20  # entries converted at once
_MOST = 100_000_000  # bytes of a header, as the format allows
_PICKLES = {b"PK": "a zip of pickles", b"\x80": "a pickle"}


class CheckpointError(ValueError):
    """A checkpoint that is damaged, hostile or of another model; the message says what to do."""


class TensorFile:
    """The arrays of one file. Opening it reads and checks the header alone.

    `entries` has for each name the type as the file spells it, the shape, and the first and last byte.
    Raises `FileNotFoundError`, and `CheckpointError` for a file that is damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"checkpoint {path}: no such file")
        self.entries: dict[str, tuple[str, tuple[int, ...], int, int]] = {}
        header, start, size = self._header()
        metadata = header.pop("__metadata__", {})
        self.metadata: dict[str, str] = metadata if isinstance(metadata, dict) else {}
        end = 0
        for name, entry in sorted(header.items(), key=lambda item: self._offsets(*item)):
            kind, shape, first, last = self._entry(name, entry)
            if first != end:
                raise self._damaged(
                    f"{name} begins at byte {first}, the array before ends at {end}"
                )
            self.entries[name] = kind, shape, start + first, start + last
            end = last
        if start + end != size:
            what = (
                "it is truncated" if start + end > size else "there is something behind its arrays"
            )
            raise self._damaged(
                f"{what}: the header asks for {start + end} bytes, the file has {size}"
            )
        self._map: np.ndarray | None = None

    def _header(self) -> tuple[dict[str, Any], int, int]:
        """The header, the place where the arrays begin, and the size of the file."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            first = file.read(8)
            for mark, kind in _PICKLES.items():
                if first.startswith(mark) and int.from_bytes(first, "little") > size - 8:
                    raise CheckpointError(
                        f"checkpoint {self.path} is damaged or not in safetensors format: it is {kind}, "
                        "which runs code as it is read, and so is not opened; take the model's .safetensors "
                        "file, or write one with safetensors.torch"
                    )
            length = int.from_bytes(first, "little")
            if len(first) < 8 or not 2 <= length <= min(size - 8, _MOST):
                raise self._damaged(f"its header cannot have {length} bytes, the file has {size}")
            try:
                header = json.loads(file.read(length))
            except (ValueError, RecursionError) as error:
                raise self._damaged(f"its header is no JSON ({error})") from None
        if not isinstance(header, dict):
            raise self._damaged("its header is no object")
        return header, 8 + length, size

    def _offsets(self, name: str, entry: Any) -> tuple[int, int]:
        try:
            first, last = entry["data_offsets"]
            return int(first), int(last)
        except (KeyError, TypeError, ValueError):
            raise self._damaged(f"the header says nothing useful of {name!r}") from None

    def _entry(self, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
        first, last = self._offsets(name, entry)
        kind, shape = entry.get("dtype"), entry.get("shape")
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise self._damaged(f"{name} has the shape {shape}")
        if kind in TYPES and math.prod(shape) * np.dtype(TYPES[kind]).itemsize != last - first:
            raise self._damaged(f"{name}, {kind} of shape {tuple(shape)}, has {last - first} bytes")
        return str(kind), tuple(shape), first, last

    def _damaged(self, why: str) -> CheckpointError:
        return CheckpointError(
            f"checkpoint {self.path} is damaged or not in safetensors format: {why}; get it again"
        )

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def dtype(self, name: str) -> np.dtype:
        """The type that `read` gives by default: bfloat16 becomes float32."""
        kind = self.entries[name][0]
        if kind not in TYPES:
            raise CheckpointError(
                f"checkpoint {self.path}: {name} is of type {kind}, which NumPy has not; use a checkpoint "
                "in float32, float16 or bfloat16"
            )
        return np.dtype(np.float32 if kind == "BF16" else TYPES[kind])

    def read(self, name: str, dtype: Any = None, copy: bool = False) -> np.ndarray:
        """One array, in `dtype` or its own.

        In its own type, unless `copy`, it is the file's memory: pages come when they are touched, and a
        page that is written to becomes a copy; the file never changes. Else memory of its own.
        """
        wanted = self.dtype(name) if dtype is None else np.dtype(dtype)
        kind, shape, first, last = self.entries[name]
        stored = np.dtype(TYPES[kind])
        if kind != "BF16" and stored == wanted and not copy and last > first:
            if self._map is None:
                self._map = np.asarray(np.memmap(self.path, np.uint8, mode="c"))
            array = self._map[first:last].view(stored).reshape(shape)
            if array.flags.aligned:
                return array
        out = np.empty(math.prod(shape), wanted)
        with self.path.open("rb") as file:
            file.seek(first)
            for start in range(0, out.size, _BLOCK):
                part = np.fromfile(file, stored, min(_BLOCK, out.size - start))
                if kind == "BF16":  # the upper half of a float32
                    part = (part.astype(np.uint32) << 16).view(np.float32)
                out[start : start + len(part)] = part
        return out.reshape(shape)
