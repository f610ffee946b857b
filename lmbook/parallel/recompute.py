"""Activation checkpointing: keep a layer's input, compute the rest again when the gradient comes."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lmbook.autograd import Tensor, primitive
from lmbook.autograd.graph import enable_grad, no_grad
from lmbook.backend import default_generator
from lmbook.nn import Parameter


@primitive
def _recompute(anchor, *arrays, again):  # type: ignore[no-untyped-def]
    """The output of a function; its graph is built only when the gradient is pulled back."""
    out, again.output = again.output, None
    return out, lambda g, needs: (None, *again.pull(g))


class _Again:
    """One call of a function: its output, and its inputs for the second time."""

    def __init__(
        self, function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.random = deepcopy(default_generator().bit_generator.state)
        with no_grad():
            y = function(*args, **kwargs)
        if not isinstance(y, Tensor):
            raise TypeError(
                f"checkpoint: the function must return one tensor, not {type(y).__name__}"
            )
        self.output = y.data

    def pull(self, g: Any) -> list[Any]:
        """Compute again, with the random numbers of the first time, and go back."""
        fresh = [
            Tensor(a.data, requires_grad=a.requires_grad) if isinstance(a, Tensor) else a
            for a in self.args
        ]
        generator = default_generator().bit_generator
        now, generator.state = generator.state, self.random
        try:
            with enable_grad():
                y = self.function(*fresh, **self.kwargs)
        finally:
            generator.state = now
        if y.requires_grad:
            y.backward(g)
        return [None if a.grad is None else a.grad.data for a in fresh if isinstance(a, Tensor)]


def checkpoint(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`function(*args)`, of which only tensors among `args` are kept for the backward pass.

    The gradients have the same bits, for one more forward pass. Parameters that the function uses get
    theirs as usual. Tensors among `kwargs` get none. Running means, as those of batch
    normalisation, are updated twice. Source: Chen et al. 2016.
    """
    again = _Again(function, args, kwargs)
    anchor = Parameter(again.output.reshape(-1)[:1].copy())  # keeps the step in the graph
    return _recompute(anchor, *(a for a in args if isinstance(a, Tensor)), again=again)
