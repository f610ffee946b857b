"""Activation checkpointing: keep a layer's input, compute the rest again when the gradient comes."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import pairwise
from math import isqrt
from typing import Any

from lmbook.autograd import Tensor, primitive
from lmbook.autograd.graph import enable_grad, no_grad
from lmbook.backend import default_generator
from lmbook.distributed import blocks
from lmbook.nn import Module, Parameter


@primitive
def _recompute(anchor, *arrays, again):  # type: ignore[no-untyped-def]
    """The output of a function; its graph is built only when the gradient is pulled back."""
    out, again.output = again.output, None
    return out, lambda g, needs: (None, *again.pull(g))


class _Again:
    """One call of a function: its output, and its inputs for the second time."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        modules: Sequence[Module],
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.buffers = [b for m in modules for _, b in m.named_buffers()]
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
        kept = [b.data.copy() for b in self.buffers]  # running means have seen this batch already
        try:
            with enable_grad():
                y = self.function(*fresh, **self.kwargs)
        finally:
            generator.state = now
            for b, values in zip(self.buffers, kept, strict=True):
                b.data[...] = values
        if y.requires_grad:
            y.backward(g)
        return [None if a.grad is None else a.grad.data for a in fresh if isinstance(a, Tensor)]


def recomputed(
    function: Callable[..., Tensor], args: Any, kwargs: Any, modules: Iterable[Module]
) -> Tensor:
    """`checkpoint`, for a function that uses the buffers of these modules."""
    again = _Again(function, tuple(args), kwargs, list(modules))
    anchor = Parameter(again.output.reshape(-1)[:1].copy())  # keeps the step in the graph
    return _recompute(anchor, *(a for a in args if isinstance(a, Tensor)), again=again)


def checkpoint(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`function(*args)`, of which only tensors among `args` are kept for the backward pass.

    The gradients have the same bits, for one more forward pass. Parameters that the function uses get
    theirs as usual. Tensors among `kwargs` get none. The buffers of a module (or of the module whose
    method `function` is), such as running means, are left as the first pass left them; those that a plain
    function reaches otherwise are updated twice, as in PyTorch. Source: Chen et al. 2016.
    """
    owner = function if isinstance(function, Module) else getattr(function, "__self__", None)
    return recomputed(function, args, kwargs, [owner] if isinstance(owner, Module) else [])


def checkpoint_sequential(
    functions: Sequence[Callable[..., Tensor]], segments: int | None, x: Tensor
) -> Tensor:
    """functions[-1](... functions[0](x)) in `segments` runs of neighbours, each checkpointed.

    Kept: the input of each segment, and, while one goes back, what its functions keep. With L functions and
    k segments that is k + L / k layers' worth, least near k = sqrt(L), the default (None). Source: Chen et
    al. 2016.
    """
    if segments is None:
        segments = max(1, isqrt(len(functions)))
    if not 1 <= segments <= len(functions):
        raise ValueError(
            f"checkpoint_sequential: {segments} segments of {len(functions)} functions; take 1 to "
            f"{len(functions)}"
        )
    ends = blocks(len(functions), segments)
    for low, high in pairwise(ends):
        run = functions[low:high]

        def segment(x: Tensor, run: Sequence[Callable[..., Tensor]] = run) -> Tensor:
            for f in run:
                x = f(x)
            return x

        x = recomputed(segment, (x,), {}, [f for f in run if isinstance(f, Module)])
    return x


def apply_activation_checkpointing(model: Module, kinds: tuple[type[Module], ...]) -> Module:
    """Checkpoint every module of these classes, in place, before it is wrapped for many ranks.

    A module inside another of them is left alone, since it is recomputed already.
    """
    inside: set[int] = set()
    for m in model.modules():
        if isinstance(m, kinds) and id(m) not in inside:
            inside |= {id(x) for x in m.modules()}
            _replace(m, "forward", [m])
    if not inside:
        raise ValueError(
            f"apply_activation_checkpointing: {type(model).__name__} holds no "
            f"{' or '.join(k.__name__ for k in kinds)}"
        )
    return model


def recompute_attention(model: Module) -> Module:
    """Selective recomputation: only what attention keeps, its scores, is computed again; in place.

    Changes every module with a method `attend(q, k, v, ...)`. Saves what grows with the square of the
    length, for few FLOP. Source: Korthikanti et al. 2022, section 5.
    """
    found = [m for m in model.modules() if hasattr(m, "attend")]
    if not found:
        raise ValueError(
            f"recompute_attention: {type(model).__name__} has no module with a method attend"
        )
    for m in found:
        _replace(m, "attend", [])
    return model


def _replace(module: Module, name: str, modules: list[Module]) -> None:
    inner = getattr(module, name)

    def again(*args: Any, **kwargs: Any) -> Tensor:
        return recomputed(inner, args, kwargs, modules)

    object.__setattr__(module, name, again)
