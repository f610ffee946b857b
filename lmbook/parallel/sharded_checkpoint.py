"""Checkpoints in as many files as there are ranks, which any other number of ranks can load.

A folder `step-00000012` holds `rank-00000.safetensors`, ..., `buffers.safetensors` where there are any, and
`index.json`, which has a checksum of each file. It is written under another name and renamed when all files
are complete, so a folder of that name is whole; checksums find what was changed later. Nothing is pickled.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import ShapeError, require
from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.optim import Optimizer
from lmbook.parallel.shard import FlatShard


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put(draft: Path, final: Path) -> None:
    """Give a complete draft its name; a checkpoint that had it gives way in one step, never in parts."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    _sync(draft)
    if final.exists():
        final.rename(old)
    draft.rename(final)
    _sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def save_sharded(
    folder: str | Path,
    step: int,
    units: Sequence[FlatShard],
    optimizer: Optimizer,
    metadata: dict[str, Any] | None = None,
    module: Module | None = None,
) -> Path:
    """Write each rank's blocks and moments; all ranks call it. Returns the finished folder.

    `optimizer` is that of the blocks, one for each unit in their order; `metadata` (rank 0's) is anything
    that JSON can hold, such as where the data loader stands. With `module` its buffers are written as well,
    those of rank 0, as data parallelism gives them to all: running means, which no optimiser knows.
    """
    _check(units)
    safetensors = require("safetensors.numpy", "book", "saving a checkpoint")
    comm = units[0].comm
    final = Path(folder) / f"step-{step:08d}"
    draft = final.with_name(f".{final.name}.draft")
    tensors: dict[str, np.ndarray] = {}
    numbers: dict[str, Any] = {}
    for i, unit in enumerate(units):
        tensors[f"{i}.block"] = unit.block.data
        for key, value in optimizer.state.get(id(unit.block), {}).items():
            if isinstance(value, np.ndarray):
                tensors[f"{i}.{key}"] = value
            else:
                numbers[f"{i}.{key}"] = value
    held = b""
    if module is not None and comm.rank == 0:
        held = safetensors.save(
            {n: np.asarray(b.data, order="C") for n, b in module.named_buffers()}
        )
    arrays = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    data = safetensors.save(arrays)
    checksums = comm.gather(hashlib.sha256(data).hexdigest())
    if comm.rank == 0:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        if held:
            _write(draft / "buffers.safetensors", held)
    comm.barrier()
    _write(draft / f"rank-{comm.rank:05d}.safetensors", data)
    comm.barrier()
    if comm.rank == 0:
        groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        index = {
            "ranks": comm.size, "step": step, "sizes": [u.size for u in units],
            "ends": [list(u.ends) for u in units], "numbers": numbers, "groups": groups,
            "metadata": metadata or {}, "checksums": checksums,
            "buffers": hashlib.sha256(held).hexdigest() if held else None,
        }  # fmt: skip
        _write(draft / "index.json", json.dumps(index).encode())
        _put(draft, final)
    comm.barrier()
    return final


def latest(folder: str | Path) -> Path | None:
    """The newest complete checkpoint in a folder, if there is one."""
    found = [
        p for p in Path(folder).glob("step-*") if re.fullmatch(r"step-\d{8}", p.name) and p.is_dir()
    ]
    return max(found, default=None)


def _check(units: Sequence[FlatShard]) -> None:
    if any(u.whole for u in units):
        raise ValueError(
            "sharded checkpoint: these blocks hold whole tensors (whole=True), which do not fit another "
            "number of ranks; save the model's state_dict and the optimiser's of each rank"
        )


def load_sharded(
    path: str | Path,
    units: Sequence[FlatShard],
    optimizer: Optimizer,
    module: Module | None = None,
) -> dict[str, Any]:
    """Fill blocks and moments from a checkpoint of any number of ranks; return {"step", "metadata"}.

    All ranks call it. Each compares the checksums of its share of the files, then reads the parts that it
    needs; with `module` every rank gets the buffers that were saved. Raises `ValueError` or `ShapeError`,
    naming the file, if the checkpoint is of another model or damaged; nothing has changed then.
    """
    safetensors = require("safetensors", "book", "loading a checkpoint")
    path = Path(path)
    _check(units)
    if not (path / "index.json").is_file():
        raise ValueError(f"checkpoint {path}: has no index.json; it is no complete checkpoint")
    index = json.loads((path / "index.json").read_text())
    sizes = [u.size for u in units]
    if index["sizes"] != sizes:
        raise ShapeError(
            f"checkpoint {path}: units of {index['sizes']} entries, the model's have {sizes}; build the same "
            "model with the same units"
        )
    if len(index["groups"]) != len(optimizer.param_groups):
        raise ValueError(
            f"checkpoint {path}: {len(index['groups'])} groups, the optimiser has "
            f"{len(optimizer.param_groups)}"
        )
    _verify(path, index, units[0].comm)
    files = {
        r: safetensors.safe_open(str(path / f"rank-{r:05d}.safetensors"), framework="numpy")
        for r in range(index["ranks"])
    }
    saved = _buffers(path, module, index)
    fresh: list[dict[str, Any]] = []
    for i, unit in enumerate(units):
        me, ends = unit.comm.rank, index["ends"][i]
        low, high = unit.ends[me], unit.ends[me + 1]
        keys = [k.partition(".")[2] for k in files[0].keys() if k.startswith(f"{i}.")]  # noqa: SIM118
        fresh.append({k: _read(files, f"{i}.{k}", ends, low, high) for k in keys})
        if fresh[-1]["block"].dtype != unit.block.dtype:
            raise ValueError(
                f"checkpoint {path}: unit {i} is {fresh[-1]['block'].dtype}, the model's {unit.block.dtype}"
            )
    for buffer, values in saved:
        buffer.data[...] = values
    for i, (unit, state) in enumerate(zip(units, fresh, strict=True)):
        unit.block.data[...] = state.pop("block")
        numbers = {
            k.partition(".")[2]: v for k, v in index["numbers"].items() if k.startswith(f"{i}.")
        }
        if state or numbers:
            optimizer.state[id(unit.block)] = {**state, **numbers}
    for group, given in zip(optimizer.param_groups, index["groups"], strict=True):
        group.update({k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    return {"step": index["step"], "metadata": index["metadata"]}


def _verify(path: Path, index: dict[str, Any], comm: Communicator) -> None:
    """Every file is read by one rank and compared with its checksum; all ranks raise if one differs."""
    bad = []
    for r in range(comm.rank, index["ranks"], comm.size):
        name = path / f"rank-{r:05d}.safetensors"
        found = hashlib.sha256(name.read_bytes()).hexdigest() if name.is_file() else "missing"
        if found != index["checksums"][r]:
            bad.append(name.name)
    names = sorted(n for some in comm.all_gather(bad) for n in some)
    if names:
        raise ValueError(f"checkpoint {path}: {', '.join(names)} missing or damaged")


def _buffers(
    path: Path, module: Module | None, index: dict[str, Any]
) -> list[tuple[Tensor, np.ndarray]]:
    """The module's buffers with their saved values."""
    if module is None:
        return []
    safetensors = require("safetensors.numpy", "book", "loading a checkpoint")
    wanted = dict(module.named_buffers())
    if index["buffers"] is None:
        raise ValueError(f"checkpoint {path}: has no buffers; save with module=model")
    name = path / "buffers.safetensors"
    data = name.read_bytes() if name.is_file() else b""
    if hashlib.sha256(data).hexdigest() != index["buffers"]:
        raise ValueError(f"checkpoint {path}: {name.name} missing or damaged")
    found = safetensors.load(data)
    told = {n: (b.shape, b.dtype) for n, b in wanted.items()}
    if (held := {n: (x.shape, x.dtype) for n, x in found.items()}) != told:
        raise ShapeError(
            f"checkpoint {path}: buffers {held}, the model's {told}; build the same model"
        )
    return [(wanted[n], x) for n, x in found.items()]


def _read(files: dict[int, Any], key: str, ends: list[int], low: int, high: int) -> np.ndarray:
    """Entries low to high - 1 of a vector whose blocks lie in the files of the ranks that wrote it."""
    if low == high:
        return files[0].get_tensor(key)[:0]
    parts = []
    for r, file in files.items():
        a, b = max(low, ends[r]), min(high, ends[r + 1])
        if a < b:
            parts.append(file.get_slice(key)[a - ends[r] : b - ends[r]])
    return np.concatenate(parts)
