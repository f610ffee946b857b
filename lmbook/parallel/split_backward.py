"""A backward pass in two halves: the gradients of inputs now, those of weights when there is time.

Of y = x W^T the gradients are dx = g W and dW = g^T x. The stage before waits for dx alone; dW can be
computed at any moment before the optimiser's step. Source: Qi et al. 2024 (zero bubble).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.autograd.graph import Node
from lmbook.nn import Parameter

SPLIT = ("linear", "embedding", "layer_norm", "rms_norm", "conv", "conv_transpose")
"""Operations that compute the gradient of each input by itself, so that one can wait for another."""


def _nodes(root: Node) -> list[Node]:
    """All operations of a graph."""
    found, stack = {root: None}, [root]
    while stack:
        for edge in stack.pop().edges:
            if isinstance(edge, Node) and edge not in found:
                found[edge] = None
                stack.append(edge)
    return list(found)


class WeightGradients:
    """The second half: what it needs is kept until `backward_weight` computes and adds."""

    def __init__(self) -> None:
        self._kept: list[tuple[Callable[..., Any], np.ndarray, list[Parameter | None]]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def _postpone(self, node: Node) -> None:
        """Cut the edges from an operation to its parameters; remember its gradient as it passes."""
        pull: Any = node.pull
        weights = [e if isinstance(e, Parameter) else None for e in node.edges]
        node.edges = tuple(None if isinstance(e, Parameter) else e for e in node.edges)

        def inputs_only(g: Any, needs: tuple[bool, ...]) -> Any:
            self._kept.append((pull, g, weights))
            return pull(g, needs)

        node.pull = inputs_only

    def backward_weight(self) -> None:
        """Compute the gradients of the weights and add them, in the order of a whole backward pass."""
        for pull, g, weights in self._kept:
            gradients = pull(g, tuple(w is not None for w in weights))
            for w, d in zip(weights, gradients, strict=False):
                if w is not None:
                    w.backward(d)  # adds to .grad
        self._kept.clear()


def backward_input(y: Tensor, gradient: Any = None) -> WeightGradients:
    """`y.backward(gradient)` without the gradients of weights, which `.backward_weight()` adds later.

    Weights of the operations in `SPLIT` wait; all others get their gradients at once. In the end `.grad` has
    the bits of `y.backward(gradient)`, if no weight is used in both ways. Whoever
    waits keeps the operation's input and its gradient.
    """
    later = WeightGradients()
    if y._node is not None:
        for node in _nodes(y._node):
            if (
                node.name in SPLIT
                and node.pull is not None
                and any(isinstance(e, Parameter) for e in node.edges)
            ):
                later._postpone(node)
    y.backward(gradient)
    return later
