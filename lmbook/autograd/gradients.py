"""`grad`: gradients as a result, without touching any tensor's `.grad`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbook.autograd import graph
from lmbook.autograd.graph import Node
from lmbook.autograd.tensor import Tensor, start
from lmbook.backend import Array, GradientError


def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Any = None,
    retain_graph: bool = False,
) -> tuple[Tensor, ...]:
    """Gradients of `output` with respect to `inputs`, without touching any `.grad`.

    Returns one tensor per input, zeros for an input that the output does not depend on.
    """
    wanted = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    for x in wanted:
        if not x.requires_grad:
            raise GradientError(f"grad: an input of shape {x.shape} does not require a gradient")
    seed = start(output, gradient)
    leaves: dict[int, Array] = {}
    watch: dict[Node, Any] = {x._node: None for x in wanted if x._node is not None}

    def collect(leaf: Tensor, g: Array, owned: bool) -> None:
        held = leaves.get(id(leaf))
        leaves[id(leaf)] = g if held is None else held + g

    if output._node is None:
        collect(output, seed, False)
    else:
        graph.backward(output._node, seed, collect, retain_graph, watch, hooks=False)
    found = [leaves.get(id(x)) if x._node is None else watch[x._node] for x in wanted]
    return tuple(
        Tensor(np.zeros_like(x.data) if g is None else g.copy())
        for x, g in zip(wanted, found, strict=True)
    )
