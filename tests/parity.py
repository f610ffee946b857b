"""One helper that holds an operation against PyTorch, so that a new operation's test is one line.

    parity("functional.linear", F.linear, TF.linear, [(2, 3), (4, 3), (4,)])

A case is the list of an operation's arguments: a shape (normal numbers are drawn), a `Draw` made by
`normal`, `uniform`, `integers` or `truths`, or anything else, which both sides receive as it is; or
a function from a random generator to such a list, called `draws` times. Keywords that `parity` does
not know go to both operations.

Every case runs on every backend, in float64 and float32, and in four layouts: contiguous, permuted
axes, every second entry backwards, and broadcast (stride 0). Output and the gradient of every input,
under a random gradient of the output, are compared, and finite differences check ours.

The rule of comparison
----------------------
float64, entry by entry:  |ours - theirs| <= 1e-8 (1 + |theirs|).

float32, against PyTorch's float64 result y from the same (float32) inputs:

    |ours - y| <= 8 eps (max|y| + K),     eps = 2^-23,

where K is what the operation's sums make of rounding errors. A sum of n terms, each off by a random
relative error eps, is off by eps sqrt(sum of squared terms), about eps sqrt(n) times a term: not
eps times the sum, which may cancel. Moving every input and the output's gradient by random relative
errors (1 + eps xi), in float64, does the same to every sum inside, hence K is measured: the largest
root mean square change, over four such moves, in units of eps. max|y| stands for roundings after the
last sum. The factor 8 is the room for the operation's own steps.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:  # never a skip: without the reference nothing here is proven
    raise ImportError('the parity tests need PyTorch: pip install "lmbook[torch]"') from error

from lmbook import backend
from lmbook.autograd import Tensor, gradcheck

torch.set_num_threads(1)  # small arrays: threads would only wait for one another

EPS32 = float(np.finfo(np.float32).eps)
ROOM = 8.0
LIMIT64 = 1e-8
BACKENDS = ("numpy", "numba")
ONLY: tuple[str, ...] = ()  # set by `pytest --backend NAME`
LAYOUTS = ("contiguous", "permuted", "strided", "broadcast")
RECORDS = "LMBOOK_PARITY_RECORDS"  # environment variable: file to append each record to


class ParityError(AssertionError):
    """Our result is not PyTorch's."""


@dataclass(frozen=True)
class Draw:
    """How to draw one argument: its shape, the distribution, and whether it gets a gradient."""

    shape: tuple[int, ...]
    make: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    grad: bool = True


def normal(*shape: int, scale: float = 1.0, shift: float = 0.0, grad: bool = True) -> Draw:
    """Normal numbers."""
    return Draw(shape, lambda rng, s: shift + scale * rng.standard_normal(s), grad)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, grad: bool = True) -> Draw:
    """Uniform numbers."""
    return Draw(shape, lambda rng, s: rng.uniform(low, high, s), grad)


def integers(*shape: int, high: int, low: int = 0) -> Draw:
    """Integers from `low` to `high` - 1."""
    return Draw(shape, lambda rng, s: rng.integers(low, high, s), False)


def truths(*shape: int, p: float = 0.7) -> Draw:
    """Truth values, true with probability `p`."""
    return Draw(shape, lambda rng, s: np.asarray(rng.random(s) < p), False)


def lay(x: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another memory layout; "broadcast" repeats the first row instead."""
    if x.ndim == 0 or layout == "contiguous":
        return backend.contiguous(x).reshape(x.shape)
    if layout == "permuted":
        order = np.roll(np.arange(x.ndim), 1)
        return backend.contiguous(x.transpose(order.tolist())).transpose(np.argsort(order).tolist())
    if layout == "strided":
        wide = np.zeros_like(x, shape=(*x.shape[:-1], 2 * x.shape[-1]))
        wide[..., ::-2] = x
        return wide[..., ::-2]
    return np.broadcast_to(x[:1], x.shape)


@dataclass
class Result:
    """What one run gives: outputs, then gradients, as arrays."""

    outputs: list[np.ndarray]
    gradients: list[np.ndarray] = field(default_factory=list)


def _flat(y: Any) -> list[Any]:
    """The tensors in nested tuples."""
    if isinstance(y, tuple | list):
        return [t for part in y for t in _flat(part)]
    return [] if y is None else [y]


def _with(arguments: list[Any], arrays: list[np.ndarray], wrap: Callable[..., Any]) -> list[Any]:
    """The arguments with each drawn one replaced by a tensor of its array."""
    drawn = iter(arrays)
    return [wrap(next(drawn), a.grad) if isinstance(a, Draw) else a for a in arguments]


def _differentiable(tensors: Iterable[Any]) -> list[Any]:
    return [t for t in tensors if getattr(t, "requires_grad", False)]


def run_theirs(
    function: Any, arguments: list[Any], arrays: list[np.ndarray], seeds: list[np.ndarray] | None
) -> Result:
    """PyTorch's outputs and, given the outputs' gradients, those of the inputs."""

    def wrap(a: np.ndarray, grad: bool) -> Any:
        return torch.tensor(np.array(a)).requires_grad_(grad and a.dtype.kind == "f")

    given = _with(arguments, arrays, wrap)
    outputs = _flat(function(*given))
    result = Result([y.detach().numpy() for y in outputs])
    live = [(y, g) for y, g in zip(outputs, seeds or []) if y.requires_grad]
    if live:
        leaves = _differentiable(given)
        found = torch.autograd.grad(
            [y for y, _ in live], leaves, [torch.tensor(np.array(g)) for _, g in live],
            allow_unused=True,
        )  # fmt: skip
        result.gradients = [
            np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(leaves, found)
        ]
    return result


def run_ours(
    function: Any, arguments: list[Any], arrays: list[np.ndarray], seeds: list[np.ndarray] | None
) -> Result:
    """Our outputs and gradients; inputs and output gradients must come out as they went in."""
    kept = [backend.host(a).copy() for a in [*arrays, *(seeds or [])]]
    given = _with(arguments, arrays, lambda a, grad: Tensor(a, grad and a.dtype.kind == "f"))
    outputs = _flat(function(*given))
    result = Result([backend.host(y.data).copy() for y in outputs])
    live = [(y, g) for y, g in zip(outputs, seeds or []) if y.requires_grad]
    if len(live) == 1:
        live[0][0].backward(live[0][1])
    elif live:
        sum(((y * g).sum() for y, g in live[1:]), (live[0][0] * live[0][1]).sum()).backward()
    if live:
        leaves = _differentiable(given)
        result.gradients = [
            np.zeros(x.shape, x.dtype) if x.grad is None else backend.host(x.grad.data)
            for x in leaves
        ]
    for before, after in zip(kept, [*arrays, *(seeds or [])]):
        if not np.array_equal(before, backend.host(after), equal_nan=True):
            raise ParityError("an input, or the gradient passed to backward, was changed in place")
    return result


def _as(dtype: str, arrays: list[np.ndarray], layout: str) -> list[np.ndarray]:
    """Floating-point arrays as `dtype`, in the layout they had, where the backend keeps them; others as
    they are."""
    return [
        lay(backend.asarray(a, dtype), layout) if a.dtype.kind == "f" else backend.asarray(a)
        for a in arrays
    ]


def _spread(
    function: Any,
    arguments: list[Any],
    arrays: list[np.ndarray],
    seeds: list[np.ndarray] | None,
    exact: Result,
    rng: np.random.Generator,
) -> list[float]:
    """K of the rule, for every output and gradient."""

    def move(a: np.ndarray) -> np.ndarray:
        return a * (1 + EPS32 * rng.standard_normal(a.shape)) if a.dtype.kind == "f" else a

    wanted = [*exact.outputs, *exact.gradients]
    squares = [np.zeros(y.shape) for y in wanted]
    for _ in range(4):
        moved = run_theirs(
            function, arguments, [move(a) for a in arrays], seeds and [move(g) for g in seeds]
        )
        for total, y, z in zip(squares, wanted, [*moved.outputs, *moved.gradients]):
            if y.dtype.kind == "f":
                total += np.where(np.isfinite(y), z - y, 0) ** 2 / 4
    return [float(np.sqrt(s.max(initial=0.0))) / EPS32 for s in squares]


@dataclass
class Record:
    """The largest errors of one operation, for the parity page."""

    name: str  # "room.operation", or "room.operation, variant"
    gradients: bool = True  # compared
    finite: bool = True  # checked by finite differences
    backends: tuple[str, ...] = BACKENDS
    dtypes: tuple[str, ...] = ("float64", "float32")
    shapes: set[str] = field(default_factory=set)
    draws: int = 0
    error64: float = 0.0
    error32: float = 0.0
    limit32: float = 0.0
    used32: float = 0.0

    def keep(self) -> None:
        """Append it as one line of JSON to the file that the environment names, if it does."""
        if path := os.environ.get(RECORDS):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({**self.__dict__, "shapes": sorted(self.shapes)}) + "\n")


def _compare(
    where: str, record: Record, dtype: str, ours: Result, exact: Result, spread: list[float]
) -> None:
    """Raise unless our run agrees with the exact one by the rule; note the largest errors."""
    if len(ours.outputs) != len(exact.outputs) or len(ours.gradients) != len(exact.gradients):
        raise ParityError(
            f"{where}: {len(ours.outputs)} outputs and {len(ours.gradients)} gradients, PyTorch's "
            f"{len(exact.outputs)} and {len(exact.gradients)}"
        )
    labels = [f"output {i}" for i in range(len(ours.outputs))]
    labels += [f"gradient {i}" for i in range(len(ours.gradients))]
    pairs = zip(labels, ours.outputs + ours.gradients, exact.outputs + exact.gradients, spread)
    for label, a, y, k in pairs:
        if a.shape != y.shape:
            raise ParityError(f"{where}: {label} has shape {a.shape}, PyTorch's {y.shape}")
        if y.dtype.kind != "f":
            if a.dtype.kind != y.dtype.kind or not np.array_equal(a, y):
                raise ParityError(f"{where}: {label}: {a.dtype} {a} is not {y.dtype} {y}")
            continue
        if a.dtype != np.dtype(dtype):
            raise ParityError(f"{where}: {label} is {a.dtype}, the inputs are {dtype}")
        same = (a == y) | (np.isnan(a) & np.isnan(y))  # also infinities, and empty arrays
        error = np.where(same, 0.0, np.abs(a.astype(np.float64) - np.where(same, 0, y)))
        finite = np.abs(y[np.isfinite(y)])
        scale = float(finite.max(initial=0.0))
        if dtype == "float64":
            limit = LIMIT64 * (1 + np.where(np.isfinite(y), np.abs(y), 0))
            record.error64 = max(record.error64, float((error / limit).max(initial=0.0)) * LIMIT64)
        else:
            limit = np.full(y.shape, ROOM * EPS32 * (scale + k))
            worst = float(error.max(initial=0.0))
            used = worst / (ROOM * EPS32 * (scale + k)) if worst else 0.0
            if used > record.used32:
                record.used32, unit = used, max(scale, 1e-30)
                record.error32, record.limit32 = worst / unit, ROOM * EPS32 * (1 + k / unit)
        bad = ~(error <= limit)
        if bad.any():
            i = np.unravel_index(
                int(np.argmax(np.where(bad, error / (limit + 1e-300), -1))), y.shape
            )
            raise ParityError(
                f"{where}: {label} differs: at {tuple(map(int, i))} ours {a[i]!r}, PyTorch's {y[i]!r}; error "
                f"{error[i]:.3g} over the limit {limit[i]:.3g} ({int(bad.sum())} of {y.size} entries)"
            )


def _cases(cases: tuple[Any, ...], draws: int, rng: np.random.Generator) -> Iterable[list[Any]]:
    for case in cases:
        for _ in range(draws if callable(case) else 1):
            arguments = case(rng) if callable(case) else case
            yield [
                normal(*a) if isinstance(a, tuple) and all(type(n) is int for n in a) else a
                for a in arguments
            ]


def parity(
    name: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    *cases: Any,
    seed: int = 0,
    draws: int = 4,
    dtypes: tuple[str, ...] = ("float64", "float32"),
    layouts: tuple[str, ...] = LAYOUTS,
    backends: tuple[str, ...] | None = None,
    gradients: bool = True,
    finite: bool = True,
    **options: Any,
) -> Record:
    """Hold `ours` against `theirs` over `cases`; raise `ParityError` where they differ.

    `name` is what the parity page calls it: "room.operation", a comma, and the variant if there are
    several; `gradients=False` is for what has none, `finite=False`
    leaves finite differences out (where a function has kinks that draws may meet).
    """
    backends = ONLY or backends or BACKENDS
    record = Record(name, gradients, gradients and finite, backends, dtypes)
    rng = np.random.default_rng(seed)
    ours, theirs = (partial(f, **options) if options else f for f in (ours, theirs))
    before = backend.current()
    try:
        for arguments in _cases(cases, draws, np.random.default_rng(seed)):
            record.shapes.add(" ".join(_shape(a) for a in arguments if isinstance(a, Draw)))
            for layout in layouts:
                record.draws += 1
                _check(record, ours, theirs, arguments, layout, rng, dtypes, backends, gradients)
            if gradients and finite:
                _differences(ours, arguments, rng)
    finally:
        backend.use(before)
    record.keep()
    return record


def _shape(a: Draw) -> str:
    return "(" + ", ".join(map(str, a.shape)) + ("," if len(a.shape) == 1 else "") + ")"


def _draw(arguments: list[Any], rng: np.random.Generator) -> list[np.ndarray]:
    """One array for each drawn argument; floats are float32 numbers, held in float64."""
    made = [np.asarray(a.make(rng, a.shape)) for a in arguments if isinstance(a, Draw)]
    return [a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for a in made]


def _check(
    record: Record, ours: Any, theirs: Any, arguments: list[Any], layout: str,
    rng: np.random.Generator, dtypes: tuple[str, ...], backends: tuple[str, ...], gradients: bool,
) -> None:  # fmt: skip
    """One draw in one layout, on every backend, in every type."""
    arrays = [lay(a, layout) for a in _draw(arguments, rng)]
    outputs = run_theirs(theirs, arguments, arrays, None).outputs
    seeds = None
    if gradients:
        seeds = [
            lay(rng.standard_normal(y.shape).astype("f4").astype("f8"), layout) for y in outputs
        ]
    exact = run_theirs(theirs, arguments, arrays, seeds)
    spread = _spread(theirs, arguments, arrays, seeds, exact, rng)
    for name, dtype in itertools.product(backends, dtypes):
        choose(name)
        where = f"{record.name} [{name}, {dtype}, {layout}, shapes {[a.shape for a in arrays]}]"
        try:
            mine = run_ours(
                ours, arguments, _as(dtype, arrays, layout), seeds and _as(dtype, seeds, layout)
            )
        except ParityError as error:
            raise ParityError(f"{where}: {error}") from None
        except Exception as error:
            error.add_note(where)
            raise
        _compare(where, record, dtype, mine, exact, spread)


def choose(name: str) -> None:
    """Use a backend; one that is not installed fails the test, it never skips it."""
    if not backend.available()[name]:
        raise ParityError(f'backend {name!r} is not installed: pip install "lmbook[fast]"')
    backend.use(name)


def _differences(ours: Any, arguments: list[Any], rng: np.random.Generator) -> None:
    """Our derivatives against finite differences, in float64."""
    arrays = _draw(arguments, rng)
    given = _with(arguments, arrays, lambda a, grad: Tensor(a, grad and a.dtype.kind == "f"))
    if not _differentiable(given) or not all(a.size for a in arrays):
        return
    weights: list[np.ndarray] = []

    def weighed(*inputs: Any) -> Tensor:
        outputs = [y for y in _flat(ours(*inputs)) if y.dtype.kind == "f"]
        if not weights:
            weights.extend(rng.standard_normal(y.shape) for y in outputs)
        total = (outputs[0] * weights[0]).sum()
        return sum(((y * w).sum() for y, w in zip(outputs[1:], weights[1:])), total)

    gradcheck(weighed, given)


def as_function(module: Any, **call: Any) -> tuple[Callable[..., Any], list[str]]:
    """A module of ours as a function of its inputs and then its parameters; and their names.

    `call` holds keywords for the module's own call.
    """
    slots = [
        (owner, key, f"{prefix}.{key}" if prefix else key)
        for prefix, owner in module.named_modules()
        for key, value in owner._parameters.items()
        if value is not None
    ]

    def function(*arguments: Any) -> Any:
        first = len(arguments) - len(slots)
        for (owner, key, _), p in zip(slots, arguments[first:], strict=True):
            owner._enter(owner._parameters, key, p)
        return module(*arguments[:first], **call)

    return function, [name for *_, name in slots]


def module_parity(
    name: str,
    ours: Any,
    theirs: Any,
    *cases: Any,
    call: dict[str, Any] | None = None,
    **options: Any,
) -> Record:
    """Hold a module of ours against PyTorch's, whose `state_dict` it loads first.

    Output and the gradients of inputs and of every parameter are compared, as `parity` does. `call`
    holds keywords for the call of both modules, arrays becoming tensors for PyTorch's. Both are left
    in float64.
    """
    call = call or {}
    theirs_call = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in call.items()}
    ours.load_state_dict(theirs.state_dict())
    ours.double()
    theirs.double()
    values = {k: p.detach().numpy().copy() for k, p in theirs.named_parameters()}
    function, names = as_function(ours, **call)
    if set(names) != set(values):
        raise ParityError(f"{name}: parameters {sorted(names)} are not {sorted(values)}")

    def reference(*arguments: Any) -> Any:
        first = len(arguments) - len(names)
        given = dict(zip(names, arguments[first:], strict=True))
        return torch.func.functional_call(theirs, given, arguments[:first], theirs_call)

    fixed = [Draw(values[n].shape, lambda rng, s, n=n: values[n]) for n in names]

    def extend(case: Any) -> Any:
        return (lambda rng: [*case(rng), *fixed]) if callable(case) else [*case, *fixed]

    return parity(name, function, reference, *map(extend, cases), **options)
