"""Divide a model's layers among ranks by a plan: which layer becomes what."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.differentiable import copy_to, gather_sum, scatter_to
from lmbook.parallel.tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    SequenceParallelLayerNorm,
    VocabParallelEmbedding,
    heads,
)

Plan = dict[str, Callable[[Any, Communicator], Module | None]]
"""Pattern of module names -> what makes the replacement; None if it has changed the module itself."""


def parallelize_module(model: Module, comm: Communicator, plan: Plan) -> Module:
    """Replace the modules whose dotted names match the plan, in place; all ranks start from rank 0's weights.

    `h.*.mlp.c_fc` matches that layer of every block. Raises `ValueError` for a pattern that matches nothing.
    """
    broadcast_parameters(model, comm)
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


def gpt_plan(n_head: int, sequence_parallel: bool = False) -> Plan:
    """The plan for `lmbook.models.gpt.GPT`: attention by heads, MLP by columns and rows, vocabulary by rows.

    The output layer shares the embedding's rows, so logits stay divided: use
    `vocab_parallel_cross_entropy`. Each block takes 4 all-reduces of (N, T, E), two forwards, two backwards.
    """
    sp = sequence_parallel

    def attention(m: Any, c: Communicator) -> ColumnParallelLinear:
        parts = heads(3, n_head, m.out_features // 3 // n_head, c.size)
        return ColumnParallelLinear(m, c, parts, sequence_parallel=sp)

    def column(m: Any, c: Communicator) -> ColumnParallelLinear:
        return ColumnParallelLinear(m, c, sequence_parallel=sp)

    def row(m: Any, c: Communicator) -> RowParallelLinear:
        return RowParallelLinear(m, c, sequence_parallel=sp)

    def before_logits(m: Module, c: Communicator) -> None:
        m.register_forward_hook(lambda _m, _x, y: gather_sum(y, c, 1) if sp else copy_to(y, c))

    def after_embedding(m: Module, c: Communicator) -> None:
        m.register_forward_hook(lambda _m, _x, y: scatter_to(y, c, 1))

    plan: Plan = {
        "wte": VocabParallelEmbedding,
        "h.*.attn.c_attn": attention,
        "h.*.attn.c_proj": row,
        "h.*.mlp.c_fc": column,
        "h.*.mlp.c_proj": row,
    }
    if sp:
        plan |= {"drop": after_embedding, "h.*.ln_?": SequenceParallelLayerNorm}
        plan |= {"ln_f": SequenceParallelLayerNorm}
    return plan | {"ln_f*": before_logits}


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
                found[key] = np.take(whole, np.argsort(np.concatenate(parts)), axis=dim)
            else:
                found[key] = x.copy()
    return found
