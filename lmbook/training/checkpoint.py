"""Checkpoints: arrays in safetensors with JSON beside them in the header; nothing is pickled.

A checkpoint is written to a temporary file and renamed, so that a reader finds the old one or the
new one, never half of one.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.backend import CheckpointError, TensorFile, host, is_array, require
from lmbook.nn import Module
from lmbook.optim import Optimizer


def save_tensors(path: str | Path, tensors: dict[str, np.ndarray], metadata: Any = None) -> Path:
    """Write arrays and anything that JSON can hold to `path`, atomically."""
    safetensors = require("safetensors.numpy", "book", "saving a checkpoint")
    path = Path(path)
    arrays = {name: np.asarray(host(array), order="C") for name, array in tensors.items()}
    text = json.dumps(metadata)  # one entry: the format writes several in any order
    header = {"lmbook": json.dumps({"sha256": _digest(arrays, text), "metadata": text})}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(safetensors.save(arrays, metadata=header))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def load_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], Any]:
    """Arrays and metadata that `save_tensors` wrote; also any other safetensors file.

    Raises `FileNotFoundError`, or `CheckpointError`, a `ValueError`, for a file that is damaged (a
    checksum tells, down to a single bit) or of another kind.
    """
    file = TensorFile(path)
    arrays = {name: file.read(name, copy=True) for name in file.entries}
    header = file.metadata
    if "lmbook" not in header:
        return arrays, None
    try:
        content = json.loads(header["lmbook"])
        text, digest = content["metadata"], content["sha256"]
        right = digest == _digest(arrays, text)
        metadata = json.loads(text) if right else None
    except (json.JSONDecodeError, KeyError, TypeError):
        right = False
    if not right:
        raise CheckpointError(
            f"checkpoint {path} is damaged: its content does not match its checksum; use an older one"
        )
    return arrays, metadata


def _digest(arrays: dict[str, np.ndarray], text: str) -> str:
    """A checksum of all arrays, by name, and the metadata."""
    total = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def save_checkpoint(
    path: str | Path,
    model: Module,
    optimizer: Optimizer | None = None,
    metadata: dict[str, Any] | None = None,
) -> Path:
    """Write a model's state and, if given, its optimiser's, with metadata, to one file."""
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    numbers: dict[str, Any] = {}
    groups = None
    if optimizer is not None:
        arrays, numbers, groups = split_state(optimizer)
        tensors.update(arrays)
    return save_tensors(
        path, tensors, {"groups": groups, "numbers": numbers, "metadata": metadata or {}}
    )


def load_checkpoint(
    path: str | Path, model: Module, optimizer: Optimizer | None = None
) -> dict[str, Any]:
    """Load what `save_checkpoint` wrote; return the metadata. If a part does not fit, nothing changes."""
    tensors, header = load_tensors(path)
    if header is None or "groups" not in header:
        raise ValueError(
            f"checkpoint {path} was not written by save_checkpoint; use load_tensors and "
            "model.load_state_dict"
        )
    if optimizer is not None:
        if header["groups"] is None:
            raise ValueError(f"checkpoint {path} holds no optimiser state")
        before = optimizer.state_dict()
        optimizer.load_state_dict(join_state(tensors, header["numbers"], header["groups"]))
    try:
        model.load_state_dict(
            {n.removeprefix("model."): a for n, a in tensors.items() if n.startswith("model.")}
        )
    except (KeyError, ValueError):
        if optimizer is not None:
            optimizer.load_state_dict(before)
        raise
    return header["metadata"]


def split_state(optimizer: Optimizer) -> tuple[dict[str, np.ndarray], dict[str, Any], list]:
    """An optimiser's state as arrays `optimizer.<parameter>.<name>`, other entries, and settings."""
    state = optimizer.state_dict()
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, Any] = {}
    for i, entry in state["state"].items():
        for name, value in entry.items():
            if is_array(value):
                arrays[f"optimizer.{i}.{name}"] = value
            else:
                numbers[f"{i}.{name}"] = value
    return arrays, dict(sorted(numbers.items())), state["param_groups"]


def join_state(
    tensors: dict[str, np.ndarray], numbers: dict[str, Any], groups: list
) -> dict[str, Any]:
    """What `split_state` took apart, for `load_state_dict`; other tensors are passed over."""
    state: dict[int, dict[str, Any]] = {}
    entries = {n.removeprefix("optimizer."): a for n, a in tensors.items()
               if n.startswith("optimizer.")}  # fmt: skip
    for name, value in {**entries, **numbers}.items():
        i, _, key = name.partition(".")
        state.setdefault(int(i), {})[key] = value
    return {"state": state, "param_groups": groups}
