"""Divide a model's layers among ranks by a plan: which layer becomes what. `plans.py` has some."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.randomness import draw_alike

Plan = dict[str, Callable[[Any, Communicator], Module | None]]
"""Pattern of module names -> what makes the replacement; None if it has changed the module itself."""


def parallelize_module(model: Module, comm: Communicator, plan: Plan) -> Module:
    """Replace the modules whose dotted names match the plan, in place; all ranks start from rank 0's weights
    and draw the same random numbers.

    `h.*.mlp.c_fc` matches that layer of every block. Raises `ValueError` for a pattern that matches nothing.
    """
    broadcast_parameters(model, comm)
    draw_alike(comm)
    for pattern, make in plan.items():
        found = [(n, m) for n, m in model.named_modules() if fnmatchcase(n, pattern)]
        if not found:
            raise ValueError(
                f"parallelize_module: no module of {type(model).__name__} matches {pattern!r}"
            )
        for name, module in found:
            replacement = make(module, comm)
            if replacement is not None:
                *path, last = name.split(".")
                parent: Any = model
                for key in path:
                    parent = parent._modules[key]
                parent.add_module(last, replacement)
    return model


def full_tensors(
    model: Module, comm: Communicator, of: Callable[[Any], np.ndarray] = lambda p: p.data
) -> dict[str, np.ndarray]:
    """Name -> whole array of every parameter, put together from all ranks; all ranks call it.

    `of` says which array of a parameter: its values by default; `lambda p: p.grad.data` its gradient.
    """
    found = {}
    for prefix, module in model.named_modules():
        for name, p in module._parameters.items():
            if p is None:
                continue
            key, x = f"{prefix}.{name}" if prefix else name, of(p)
            if name in getattr(module, "parts", {}):
                dim, parts = module.parts[name]
                whole = np.concatenate(comm.all_gather(x), axis=dim)
                rows = np.unique(np.concatenate(parts), return_index=True)[1]  # each once, in order
                found[key] = np.take(whole, rows, axis=dim)
            else:
                found[key] = x.copy()
    return found
