"""Read weights that PyTorch saved, without PyTorch and without running what the file says.

A `.pth` file holds a pickle: a program that rebuilds objects, and may call anything while it does.
Here it may call three names, all of which describe arrays; any other is refused. The numbers lie
behind the pickle (files written before PyTorch 1.6) or beside it in a zip archive.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from lmbook.data.errors import DataError

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip


class _Storage(NamedTuple):
    """A run of numbers that the pickle refers to by `key`."""

    key: str
    dtype: np.dtype
    numel: int


class _View(NamedTuple):
    """An array as the pickle describes it: where it lies in its storage."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> _View:
    return _View(storage, offset, tuple(size), tuple(stride))


def _rebuild_parameter(view: _View, *_: Any) -> _View:
    return view


class _Unpickler(pickle.Unpickler):
    """Knows the names that describe arrays, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the pickle stands for."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _rebuild_tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _rebuild_parameter
        if module == "torch" and name in TYPES:
            return np.dtype(TYPES[name])
        raise DataError(
            f"the file asks for {module}.{name}, which is no part of a table of weights; it may be "
            "hostile, and nothing of it was run. Ask for the weights as safetensors"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        """A reference to numbers outside the pickle."""
        kind, dtype, key, _, numel, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise DataError(f"the file refers to a {kind!r}, not to a storage of numbers")
        return _Storage(str(key), dtype, int(numel))


def read_torch(content: bytes, name: str = "the file") -> dict[str, np.ndarray]:
    """The arrays of a state dictionary that `torch.save` wrote, by name.

    Raises `DataError`, with `name`, where the content is no such file, is cut short, or holds
    anything but arrays.
    """
    try:
        table, numbers = (_from_zip if content[:2] == b"PK" else _from_stream)(content)
        if not isinstance(table, dict) or not all(isinstance(v, _View) for v in table.values()):
            raise DataError("it holds something else than a dictionary of arrays by name")
        return {str(key): _array(view, numbers) for key, view in table.items()}
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # a damaged pickle raises whatever it stumbles over
        raise DataError(
            f"{name} is no weights file of PyTorch, or is damaged ({type(error).__name__}: {error}); "
            "fetch it again"
        ) from None


def _from_stream(content: bytes) -> tuple[Any, dict[str, bytes]]:
    """The older format: four pickles, a list of keys, then each storage's length and numbers."""
    file = io.BytesIO(content)
    if _Unpickler(file).load() != MAGIC:
        raise DataError("it does not begin as PyTorch's files do")
    _, system = _Unpickler(file).load(), _Unpickler(file).load()
    if not system.get("little_endian"):
        raise DataError("its numbers are big-endian; save it again on another machine")
    unpickler = _Unpickler(file)
    table = unpickler.load()
    widths = {
        v.storage.key: v.storage.dtype.itemsize for v in table.values() if isinstance(v, _View)
    }
    numbers = {}
    for key in map(str, _Unpickler(file).load()):
        count = int.from_bytes(file.read(8), "little")
        numbers[key] = file.read(count * widths.get(key, 1))
    return table, numbers


def _from_zip(content: bytes) -> tuple[Any, dict[str, bytes]]:
    """The format since 1.6: `data.pkl`, and one member for each storage."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (index,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        folder = index.removesuffix("data.pkl")
        table = _Unpickler(io.BytesIO(archive.read(index))).load()
        start = f"{folder}data/"
        members = [n for n in archive.namelist() if n.startswith(start)]
        return table, {n.removeprefix(start): archive.read(n) for n in members}


def _array(view: _View, numbers: dict[str, bytes]) -> np.ndarray:
    """The array, after it is known to lie inside its storage."""
    storage = view.storage
    flat = numbers.get(storage.key, b"")
    if len(flat) != storage.numel * storage.dtype.itemsize:
        raise DataError(
            f"it is cut short: storage {storage.key} should have {storage.numel} numbers, "
            f"{len(flat) // storage.dtype.itemsize} are there; fetch it again"
        )
    last = view.offset + sum((n - 1) * s for n, s in zip(view.size, view.stride, strict=True))
    if 0 not in view.size and not (
        view.offset >= 0 and min(view.stride, default=0) >= 0 and last < storage.numel
    ):
        raise DataError(f"an array of {view.size} reaches beyond storage {storage.key}")
    start = np.frombuffer(flat, storage.dtype)[view.offset :]
    strides = tuple(s * storage.dtype.itemsize for s in view.stride)
    return np.lib.stride_tricks.as_strided(start, view.size, strides).copy()
