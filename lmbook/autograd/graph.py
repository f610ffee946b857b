"""The computation graph and the backward pass over it.

Every result remembers one `Node`: which operation made it, which nodes or leaves it came from, and
how to pull a gradient back through it. The backward pass visits each node once, after all of its
consumers, and frees it as it leaves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from lmbook.autograd.primitives import Part
from lmbook.backend import Array, GradientError, namespace, table

Pull = Callable[..., Any] | tuple[Callable[[Array], Array], ...]


class Leaf(Protocol):
    """What the graph needs to know of a leaf: a tensor that nobody computed."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...


grad_mode: ContextVar[bool] = ContextVar("grad_mode", default=True)
"""Whether operations are recorded; each thread, and each rank of a simulator, has its own."""
anomaly_mode: ContextVar[bool] = ContextVar("anomaly_mode", default=False)
"""Whether results are searched for NaN and infinity."""
_ends: ContextVar[list[Callable[[], None]] | None] = ContextVar("ends", default=None)
"""What to call when the backward pass that is running has ended; None while there is none."""


class Handle:
    """Removes a hook again."""

    def __init__(self, hooks: dict[int, Any], hook: Callable[..., Any]) -> None:
        self._hooks, self._key = hooks, max(hooks, default=-1) + 1
        hooks[self._key] = hook

    def remove(self) -> None:
        """Stop calling the hook."""
        self._hooks.pop(self._key, None)


class Node:
    """One operation in the graph.

    `pull` is either one function per input, each from the output's gradient to that input's, or a
    single function `pull(g, needs)` that returns all of them as fresh arrays (`needs` says which
    are wanted).
    """

    __slots__ = ("__weakref__", "dtype", "edges", "guards", "name", "pull", "shape")

    def __init__(
        self,
        name: str,
        edges: tuple["Node | Leaf | None", ...],
        pull: Pull | None,
        out: Array,
        guards: tuple[tuple[list[int], int], ...],
    ) -> None:
        self.name = name
        self.edges = edges
        self.pull = pull
        self.shape = out.shape
        self.dtype = out.dtype
        self.guards = guards

    def __repr__(self) -> str:
        return f"<{self.name} {self.shape}>"

    def check(self) -> None:
        """Refuse to differentiate when a value was changed in place after it was used."""
        if self.pull is None:
            raise GradientError(
                f"backward: the graph through {self.name!r} was freed by an earlier backward(); "
                "run the forward pass again, or keep it with backward(retain_graph=True)"
            )
        for version, seen in self.guards:
            if version[0] != seen:
                raise GradientError(
                    f"backward: a tensor that {self.name!r} (output shape {self.shape}) needs was "
                    "changed in place after it was used; use an operation that makes a new tensor, "
                    "such as x = x + y in place of x += y, or x.clone()"
                )


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum `g` over the axes along which `shape` was broadcast."""
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(shape) if n == 1 and g.shape[i + lead] != 1
    )
    return g.sum(axis=axes, keepdims=True).reshape(shape) if axes else g.reshape(shape)


def _consumers(root: Node) -> tuple[dict[Node, int], dict[int, int]]:
    """How many edges lead to each node reachable from `root`, and to each leaf (its id) with hooks."""
    count: dict[Node, int] = {root: 0}
    leaves: dict[int, int] = {}
    stack = [root]
    while stack:
        for edge in stack.pop().edges:
            if type(edge) is Node:
                if edge in count:
                    count[edge] += 1
                else:
                    count[edge] = 1
                    stack.append(edge)
            elif edge is not None and getattr(edge, "_hooks", None):
                leaves[id(edge)] = leaves.get(id(edge), 0) + 1
    return count, leaves


def reached(root: Node) -> set[int]:
    """The ids of the leaves with hooks that a backward pass from `root` would give a gradient."""
    return set(_consumers(root)[1])


def queue_callback(callback: Callable[[], None]) -> None:
    """Call `callback()` when the backward pass that runs in this thread has ended without an error.

    Of passes within a pass, as in recomputation, the outermost counts. Outside of any it is called at once.
    PyTorch: `torch.autograd.Variable._execution_engine.queue_callback`.
    """
    ends = _ends.get()
    if ends is None:
        callback()
    else:
        ends.append(callback)


def running() -> bool:
    """Whether a backward pass runs, as while a recomputed layer computes its output again."""
    return _ends.get() is not None


def backward(
    root: Node,
    seed: Array,
    leaf: Callable[[Any, Array, bool], None],
    retain_graph: bool = False,
    watch: dict[Node, Any] | None = None,
    hooks: bool = True,
) -> None:
    """Pull `seed`, the gradient of `root`'s output, back to every leaf.

    `leaf(tensor, g, owned)` receives each leaf's contribution; `owned` says that nobody else holds
    `g`. Gradients of the nodes in `watch` are stored there. A leaf's `hooks` run after its last
    contribution, while the pass goes on; what they gave to `queue_callback` runs at its end.
    """
    if running():
        return _visit(root, seed, leaf, retain_graph, watch, hooks)
    ends: list[Callable[[], None]] = []
    _ends.set(ends)
    try:
        _visit(root, seed, leaf, retain_graph, watch, hooks)
        for callback in ends:
            callback()
    finally:
        _ends.set(None)


def _visit(
    root: Node, seed: Array, leaf: Callable[[Any, Array, bool], None], retain_graph: bool,
    watch: dict[Node, Any] | None, hooks: bool,
) -> None:  # fmt: skip
    """Each node once, after all of its consumers."""
    waiting, expected = _consumers(root)
    expected = expected if hooks else {}
    grads: dict[Node, tuple[Any, bool]] = {root: (seed, False)}
    ready = [root]
    while ready:
        node = ready.pop()
        g, _ = grads.pop(node, (None, False))
        if watch is not None and node in watch:
            watch[node] = g
        node.check()
        pull, edges = node.pull, node.edges
        fused = not isinstance(pull, tuple)
        if g is None:  # no gradient came: pass that on
            pulled: tuple[Any, ...] = (None,) * len(edges)
        elif fused:
            pulled = pull(g, tuple(e is not None for e in edges))  # type: ignore[operator, misc]
        else:
            pulled = tuple(
                None if e is None else f(g)
                for f, e in zip(pull, edges, strict=True)  # type: ignore[arg-type]
            )
        if not retain_graph:
            node.pull, node.guards = None, ()
        for edge, d in zip(edges, pulled, strict=False):
            if edge is None:
                continue
            owned = fused
            held = grads.get(edge)  # type: ignore[arg-type]
            if type(d) is Part:
                mine = held is not None and held[1]
                xp = namespace(d.g) if table.gpu else np
                d = d.add_to(held[0] if mine else xp.zeros(edge.shape, edge.dtype))  # type: ignore[index]
                owned = True
                if mine:
                    d = None
            elif d is not None:
                if d.shape != edge.shape:
                    d, owned = unbroadcast(d, edge.shape), True
                if d.dtype != edge.dtype:
                    d, owned = d.astype(edge.dtype), True
            if type(edge) is not Node:
                if d is not None:
                    leaf(edge, d, owned)
                if id(edge) in expected:
                    expected[id(edge)] -= 1
                    if expected[id(edge)] == 0:
                        run_hooks(edge)
                continue
            if d is not None:
                if held is None:
                    grads[edge] = (d, owned)
                elif held[1]:
                    np.add(held[0], d, out=held[0])
                elif owned:
                    np.add(held[0], d, out=d)
                    grads[edge] = (d, True)
                else:
                    grads[edge] = (held[0] + d, True)
            waiting[edge] -= 1
            if waiting[edge] == 0:
                ready.append(edge)
        del g, pulled


def run_hooks(leaf: Any) -> None:
    """Tell who asked for it that a leaf has its gradient."""
    for hook in list(getattr(leaf, "_hooks", {}).values()):
        hook(leaf)


@contextmanager
def _set(mode: ContextVar[bool], value: bool) -> Iterator[None]:
    before = mode.get()
    mode.set(value)
    try:
        yield
    finally:
        mode.set(before)


def no_grad() -> Any:
    """Record no graph inside the block, or inside a decorated function."""
    return _set(grad_mode, False)


def enable_grad() -> Any:
    """Record the graph inside the block, even within `no_grad`."""
    return _set(grad_mode, True)


def detect_anomaly() -> Any:
    """Raise `NonFiniteError` at the first operation whose result holds NaN or infinity."""
    return _set(anomaly_mode, True)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return grad_mode.get()
