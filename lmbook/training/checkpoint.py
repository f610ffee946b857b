"""Checkpoints: arrays in safetensors with JSON beside them in the header; nothing is pickled.

A checkpoint is written to a temporary file and renamed, so that a reader finds the old one or the
new one, never half of one.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.backend import require
from lmbook.nn import Module
from lmbook.optim import Optimizer


def save_tensors(path: str | Path, tensors: dict[str, np.ndarray], metadata: Any = None) -> Path:
    """Write arrays and anything that JSON can hold to `path`, atomically."""
    safetensors = require("safetensors.numpy", "book", "saving a checkpoint")
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    header = {"lmbook": json.dumps(metadata)}
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

    Raises `FileNotFoundError`, or `ValueError` for a file that is damaged or of another kind.
    """
    safetensors = require("safetensors", "book", "loading a checkpoint")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"checkpoint {path} is damaged or not in safetensors format: {error}"
        ) from None
    return arrays, json.loads(header["lmbook"]) if "lmbook" in header else None


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
        state = optimizer.state_dict()
        groups = state["param_groups"]
        for i, entry in state["state"].items():
            for name, value in entry.items():
                if isinstance(value, np.ndarray):
                    tensors[f"optimizer.{i}.{name}"] = value
                else:
                    numbers[f"{i}.{name}"] = value
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
        state: dict[int, dict[str, Any]] = {}
        for name, array in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                i, _, key = rest.partition(".")
                state.setdefault(int(i), {})[key] = array
        for name, value in header["numbers"].items():
            i, _, key = name.partition(".")
            state.setdefault(int(i), {})[key] = value
        before = optimizer.state_dict()
        optimizer.load_state_dict({"state": state, "param_groups": header["groups"]})
    try:
        model.load_state_dict(
            {n.removeprefix("model."): a for n, a in tensors.items() if n.startswith("model.")}
        )
    except (KeyError, ValueError):
        if optimizer is not None:
            optimizer.load_state_dict(before)
        raise
    return header["metadata"]
