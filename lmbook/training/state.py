"""The whole state of a run in one file, so that it ends with the same bits after any interruption.

What a later step depends on: weights and buffers, the optimiser's moments, the step and with it the
schedule, gradients collected so far, the random generators, the place in the data, the loss scale,
what early stopping has seen, and the history.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import ShapeError, default_generator
from lmbook.data import DataError
from lmbook.nn import Module
from lmbook.training.checkpoint import join_state, load_tensors, save_tensors, split_state
from lmbook.training.history import History

if TYPE_CHECKING:
    from lmbook.training.trainer import Trainer

FORMAT = "lmbook run 1"


def _generators(model: Module) -> Iterator[tuple[str, np.random.Generator]]:
    """The default generator, and those that layers such as Dropout have for themselves."""
    yield "default", default_generator()
    for name, module in model.named_modules():
        own = module.__dict__.get("generator")
        if isinstance(own, np.random.Generator):
            yield f"layer {name}", own


def _states(trainer: "Trainer", batches: Any) -> dict[str, Any]:
    """Whatever has a state in JSON, under its name; None where the run has no such part."""
    parts = {"scheduler": trainer.scheduler, "scaler": trainer.scaler, "batches": batches,
             "early_stopping": trainer.early_stopping}  # fmt: skip
    states = {k: p.state_dict() if hasattr(p, "state_dict") else None for k, p in parts.items()}
    return _plain(states)


def save(trainer: "Trainer", path: str | Path, batches: Any = None, extra: Any = None) -> Path:
    """Write the trainer's whole state, and that of the loader `batches`; atomically."""
    arrays, numbers, groups = split_state(trainer.optimizer)
    tensors = {f"model.{n}": a for n, a in trainer.model.state_dict().items()} | arrays
    for name, p in trainer.model.named_parameters():
        if p.grad is not None:  # between two updates of a run that accumulates
            tensors[f"grad.{name}"] = p.grad.data
    if trainer.early_stopping is not None:
        tensors |= {f"best.{n}": a for n, a in trainer.early_stopping.best_state.items()}
    header = {
        "format": FORMAT, "step": trainer.step, "numbers": numbers, "groups": groups,
        "generators": {n: _plain(g.bit_generator.state) for n, g in _generators(trainer.model)},
        "states": _states(trainer, batches), "history": trainer.history.to_json(), "extra": extra,
    }  # fmt: skip
    return save_tensors(path, tensors, header)


def load(trainer: "Trainer", path: str | Path, batches: Any = None) -> Any:
    """Take over what `save` wrote; return its `extra`. If a part does not fit, nothing changes."""
    tensors, header = load_tensors(path)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(
            f"checkpoint {path} holds no run ({FORMAT!r}), so that training cannot go on from it; for "
            "its weights use load_tensors and model.load_state_dict"
        )
    _check(trainer, path, header, batches)
    before = _snapshot(trainer, batches)
    try:
        _apply(trainer, tensors, header, batches)
    except (KeyError, ValueError, TypeError, ShapeError, DataError) as error:
        _apply(trainer, *before, batches)
        raise type(error)(f"checkpoint {path} does not fit this run: {_text(error)}") from error
    return header["extra"]


def _check(trainer: "Trainer", path: str | Path, header: dict[str, Any], batches: Any) -> None:
    """Parts that only one of the two has."""
    for name, own in _states(trainer, batches).items():
        given = header["states"].get(name)
        if (own is None) != (given is None):
            which = "holds" if own is None else "lacks"
            raise ValueError(
                f"checkpoint {path} {which} the state of {name}; make the run with the parts it was "
                "made with"
            )
    names = {name for name, _ in _generators(trainer.model)}
    if names != header["generators"].keys():
        raise ValueError(
            f"checkpoint {path} has random generators {sorted(header['generators'])}, this run "
            f"{sorted(names)}"
        )


def _snapshot(trainer: "Trainer", batches: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `load` would have to put back."""
    arrays, numbers, groups = split_state(trainer.optimizer)
    tensors = {f"model.{n}": a for n, a in trainer.model.state_dict().items()} | arrays
    tensors |= {f"grad.{n}": p.grad.data for n, p in trainer.model.named_parameters()
                if p.grad is not None}  # fmt: skip
    if trainer.early_stopping is not None:
        tensors |= {f"best.{n}": a for n, a in trainer.early_stopping.best_state.items()}
    header = {
        "step": trainer.step, "numbers": numbers, "groups": [dict(g) for g in groups],
        "generators": {n: g.bit_generator.state for n, g in _generators(trainer.model)},
        "states": _states(trainer, batches), "history": trainer.history.to_json(), "extra": None,
    }  # fmt: skip
    return {name: array.copy() for name, array in tensors.items()}, header


def _apply(
    trainer: "Trainer", tensors: dict[str, np.ndarray], header: dict[str, Any], batches: Any
) -> None:
    def part(kind: str) -> dict[str, np.ndarray]:
        return {n[len(kind) + 1 :]: a for n, a in tensors.items() if n.startswith(f"{kind}.")}

    trainer.model.load_state_dict(part("model"))
    trainer.optimizer.load_state_dict(join_state(tensors, header["numbers"], header["groups"]))
    gradients = part("grad")
    for name, p in trainer.model.named_parameters():
        p.grad = Tensor(gradients[name].copy()) if name in gradients else None
    states = header["states"]
    if trainer.scheduler is not None:
        trainer.scheduler.load_state_dict(states["scheduler"])
    if trainer.scaler is not None:
        trainer.scaler.load_state_dict(states["scaler"])
    if trainer.early_stopping is not None:
        trainer.early_stopping.load_state_dict(states["early_stopping"], part("best"))
    if states["batches"] is not None:
        batches.load_state_dict(states["batches"])
    trainer.step, trainer.history = int(header["step"]), History.from_json(header["history"])
    for name, generator in _generators(trainer.model):
        generator.bit_generator.state = header["generators"][name]


def _plain(state: Any) -> Any:
    """A generator's state with arrays (as MT19937 has) as lists."""
    if isinstance(state, dict):
        return {k: _plain(v) for k, v in state.items()}
    if isinstance(state, list | tuple):
        return [_plain(v) for v in state]
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


def _text(error: Exception) -> str:
    return str(error.args[0]) if error.args else str(error)
