"""Every method of Tensor and every joining function against PyTorch, one line each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lmbook
from lmbook.autograd import Tensor, as_tensor
from lmbook.autograd.primitives import PRIMITIVES
from tests.parity import LAYOUTS, integers, parity, truths, uniform

SHAPES = [[()], [(5,)], [(3, 4)], [(2, 3, 4)], [(3, 0)]]
PAIRS = [
    [(3, 4), (3, 4)], [(3, 4), (4,)], [(3, 1), (1, 4)], [(2, 3, 4), (3, 1)], [(), (2, 3)], [(1,), (0,)],
    [(2, 1, 3), (4, 1)],
]  # fmt: skip


def broadcastable(rng: np.random.Generator) -> list[Any]:
    """Two random shapes that broadcast."""
    full = rng.integers(1, 5, size=rng.integers(0, 5))
    pair = [np.where(rng.random(len(full)) < 0.3, 1, full)[rng.integers(0, 2) :] for _ in range(2)]
    return [tuple(map(int, shape)) for shape in pair]


def same(f: Any) -> tuple[Any, Any]:
    """The same expression on both sides."""
    return f, f


def owner(name: str) -> str:
    """Where a reader finds the operation: a function of the package, or a method."""
    return "lmbook" if name.split(",")[0] in lmbook.__all__ else "Tensor"


def away(*shape: int) -> Any:
    """Numbers of at least 0.5 in size, of both signs."""
    return uniform(*shape, low=0.5, high=2.0)


POSITIVE = [[uniform(3, 4, low=0.3, high=3.0)], [uniform(2, 0, low=1, high=2)], [uniform(low=1)]]
UNARY = {
    "exp": SHAPES, "log": POSITIVE, "log1p": POSITIVE, "sqrt": POSITIVE, "rsqrt": POSITIVE,
    "sin": SHAPES, "cos": SHAPES, "tanh": SHAPES, "sigmoid": SHAPES, "relu": SHAPES, "abs": SHAPES,
    "square": SHAPES, "clone": SHAPES, "contiguous": SHAPES, "neg": SHAPES,
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_variable(name: str) -> None:
    ours = Tensor.__neg__ if name == "neg" else getattr(Tensor, name)
    parity(f"Tensor.{name}", ours, getattr(torch.Tensor, name), *UNARY[name])


BINARY = {
    "add": (*same(lambda a, b: a + b), [*PAIRS, broadcastable]),
    "sub": (*same(lambda a, b: a - b), [*PAIRS, broadcastable]),
    "mul": (*same(lambda a, b: a * b), [*PAIRS, broadcastable]),
    "div": (*same(lambda a, b: a / b), [[(3, 4), away(4)], [(3, 1), away(2, 1, 4)], [(), away(0)]]),
    "pow": (*same(lambda a, b: a**b), [[away(3, 4), (4,)], [away(2, 1), (3,)]]),
    "pow, integer exponent": (*same(lambda a: a**3 + a**2 + a**1 + a**0), [[(3, 4)]]),
    "pow, fraction": (*same(lambda a: a**0.5 + a**-1.5), [[away(3, 4)]]),
    "pow, of a number": (*same(lambda a: 2.0**a + 3**a), [[(3, 4)]]),
    "arithmetic, numbers on either side": (
        *same(lambda a: (1 - a) * 2 + 3 / (a * a + 1) - (a - 1) / 2), [[(3, 4)]]
    ),
    "arithmetic, the same tensor twice": (*same(lambda a: a * a + a / (1 + a * a) - a), [[(3, 4)]]),
    "maximum": (lmbook.maximum, torch.maximum, PAIRS),
    "minimum": (lmbook.minimum, torch.minimum, PAIRS),
    "maximum, ties": (*same(lambda a: (a * 0 + 1).maximum(a * 0 + 1) * a + a.maximum(a)), [[(3,)]]),
    "where": (lmbook.where, torch.where, [[truths(3, 4), (3, 4), (4,)], [truths(4), (3, 1), ()]]),
    "masked_fill": (lambda a, m: a.masked_fill(m, -2.5), lambda a, m: a.masked_fill(m, -2.5),
                    [[(3, 4), truths(3, 4)], [(2, 3, 4), truths(4)]]),
    "clamp": (*same(lambda a: a.clamp(-0.5, 0.7) + a.clamp(min=0) + a.clamp(max=0.1)), [[(3, 4)]]),
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_arithmetic(name: str) -> None:
    ours, theirs, cases = BINARY[name]
    parity(f"{owner(name)}.{name}", ours, theirs, *cases, finite="pow" not in name or "," in name)


DIMS = [None, 0, -1, 1, (0, 1), (-1, 0), (0, 1, 2)]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "amax", "amin"])
def test_reductions(name: str, dim: Any, keepdim: bool) -> None:
    if dim is None and keepdim and name in ("amax", "amin"):
        dim = (0, 1, 2)  # PyTorch has no other way to say it

    def call(x: Any) -> Any:
        if dim is None and not keepdim:
            return getattr(x, name)()
        return getattr(x, name)(dim=dim, keepdim=keepdim)

    ties = name in ("amax", "amin", "std")  # equal rows tie, and have no spread to divide by
    layouts = LAYOUTS[:3] if ties else LAYOUTS
    parity(f"Tensor.{name}", call, call, [(3, 4, 2)], [(2, 2, 300)], layouts=layouts)


REDUCE = {
    "sum, of nothing": same(lambda a: a[:0].sum(0) + a[:0].sum()),
    "var, biased": same(lambda a: a.var(dim=1, unbiased=False)),
    "std, biased": same(lambda a: a.std(dim=0, unbiased=False)),
    "max": same(lambda a: a.max()),
    "min": same(lambda a: a.min()),
    "max, along an axis": same(lambda a: tuple(a.max(dim=1)) + tuple(a.max(dim=0, keepdim=True))),
    "min, along an axis": same(lambda a: tuple(a.min(dim=-1)) + tuple(a.min(dim=0, keepdim=True))),
    "cumsum": same(lambda a: a.cumsum(0) * a.cumsum(dim=-1)),
    "amax, ties": same(lambda a: (a * 0 + 2).amax(dim=1) * a.amax(dim=1) + a[:, :1].expand(-1, 4).amax(-1)),
    "argmax": same(lambda a: (a.argmax(), a.argmax(0), a.argmax(dim=-1, keepdim=True))),
    "argmin": same(lambda a: (a.argmin(), a.argmin(0), a.argmin(dim=-1, keepdim=True))),
    "any": same(lambda a: ((a > 0).any(), (a > 0).any(dim=1), (a > 9).any(0))),
    "all": same(lambda a: ((a < 9).all(), (a > 0).all(dim=1))),
    "comparisons": same(
        lambda a: (a > 0, a >= a, a < 0.5, a <= -0.5, a == a, a != a, (a > 0) & (a < 1), (a > 0) | (a < -1),
                   ~(a > 0))
    ),
}  # fmt: skip
FLAT = {"argmax", "argmin", "any", "all", "comparisons"}


@pytest.mark.parametrize("name", REDUCE)
def test_more_reductions(name: str) -> None:
    # equal rows would make ties: no broadcast layout
    cases = [[(3, 4)], [(1, 4)] if name not in ("std, biased",) else [(2, 4)]]
    parity(f"Tensor.{name}", *REDUCE[name], *cases, gradients=name not in FLAT, layouts=LAYOUTS[:3])


VIEWS = {
    "reshape": same(lambda a: a.reshape(4, 6) @ a.reshape((6, -1))),
    "view": same(lambda a: a.contiguous().view(-1, 3)),
    "flatten": same(lambda a: (a.flatten(), a.flatten(1), a.flatten(0, 1), a.flatten(-2, -1))),
    "permute": same(lambda a: (a.permute(2, 0, 1), a.permute((1, 2, 0)), a.permute(-1, 0, 1))),
    "transpose": same(lambda a: (a.transpose(0, 1), a.transpose(-1, -2), a.mT, a[0].T, a.transpose(1, 1))),
    "squeeze": same(lambda a: (a[:, :1].squeeze(), a[:1].squeeze(0), a[:, :, :1].squeeze(-1), a.squeeze(1))),
    "unsqueeze": same(lambda a: (a.unsqueeze(0), a.unsqueeze(-1), a.unsqueeze(2), a.unsqueeze(-4))),
    "expand": same(lambda a: (a[:, :1].expand(2, 5, 4), a[:, :1].expand(3, -1, 5, -1))),
    "flip": same(lambda a: (a.flip((0,)), a.flip((-1, 0)), a.flip((0, 1, 2)))),
    "split": same(lambda a: (*a.split(2, 1), *a.split([1, 3], -1), *a.split(1))),
    "chunk": same(lambda a: (*a.chunk(2, 2), *a.chunk(3, 1), *a.chunk(2))),
    "tril": same(lambda a: (a.tril(), a.tril(-1))),
    "triu": same(lambda a: (a.triu(1), a.triu())),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views(name: str) -> None:
    parity(f"Tensor.{name}", *VIEWS[name], [(2, 3, 4)])


INDEX: dict[str, Any] = {
    "integer": lambda i: 1,
    "negative integer": lambda i: -1,
    "slice": lambda i: slice(1, None),
    "step": lambda i: slice(None, None, 2),
    "several": lambda i: (slice(None), 1, slice(0, 2)),
    "ellipsis": lambda i: (..., 1),
    "new axis": lambda i: (None, slice(None), None),
    "all integers": lambda i: (1, 2, 3),
    "empty slice": lambda i: (slice(None), slice(2, 2)),
    "array": lambda i: i([0, 2, 2, -1]),
    "array, second axis": lambda i: (slice(None), i([0, 1, 1])),
    "array of two axes": lambda i: i([[0, 1], [2, 0]]),
    "two arrays": lambda i: (i([0, 2, 0]), i([1, 1, 1])),
    "arrays that broadcast": lambda i: (i([[0], [2]]), i([1, 0, 1])),
    "array and integer": lambda i: (i([0, 2]), 1),
    "array and slice": lambda i: (i([0, 2, 2]), slice(1, 3), slice(None)),
    "mask": lambda i: i([True, False, True]),
    "mask of two axes": lambda i: i([[True, False, True, False]] * 3),
    "nothing": lambda i: (),
}


@pytest.mark.parametrize("kind", INDEX)
def test_indexing(kind: str) -> None:
    wraps = (
        {"tensor": as_tensor, "array": np.array, "list": list} if "a" in kind else {"": as_tensor}
    )
    for wrap in wraps.values():
        ours, theirs = INDEX[kind](wrap), INDEX[kind](torch.tensor)
        parity(
            f"Tensor.getitem, {kind}", lambda a, i=ours: a[i], lambda a, i=theirs: a[i], [(3, 4, 5)]
        )


JOIN = {
    "cat": (lambda *t: (lmbook.cat(t), lmbook.cat(t[:2], -1)),
            lambda *t: (torch.cat(t), torch.cat(t[:2], -1)),
            [[(2, 3), (2, 3), (4, 3)], [(1, 0), (1, 0), (3, 0)]]),
    "stack": (lambda *t: (lmbook.stack(t), lmbook.stack(t, 1), lmbook.stack(t, -1)),
              lambda *t: (torch.stack(t), torch.stack(t, 1), torch.stack(t, -1)), [[(2, 3)] * 3]),
    "stack, of numbers": (lambda *t: lmbook.stack(t), lambda *t: torch.stack(t), [[()] * 3]),
    "gather": (lambda a, i: a.gather(1, i), lambda a, i: a.gather(1, i),
               [[(3, 4), integers(3, 6, high=4)], [(2, 3, 5), integers(2, 2, 5, high=3)]]),
    "matmul": (*same(lambda a, b: a @ b),
               [[(3, 4), (4, 2)], [(4,), (4,)], [(4,), (4, 3)], [(3, 4), (4,)], [(2, 3, 4), (4, 5)],
                [(2, 3, 4), (2, 4, 5)], [(5, 1, 3, 4), (2, 4, 3)], [(4,), (2, 4, 3)], [(2, 3, 4), (4,)],
                [(3, 4), (2, 4, 5)], [(0, 4), (4, 2)], [(3, 0), (0, 2)], [(2, 3, 400), (400, 5)],
                [(1, 3, 4), (2, 4, 5)]]),
}  # fmt: skip


@pytest.mark.parametrize("name", JOIN)
def test_joining_and_products(name: str) -> None:
    ours, theirs, cases = JOIN[name]
    parity(f"{owner(name)}.{name}", ours, theirs, *cases)


EINSUM = {
    "ij,jk->ik": [(2, 3), (3, 4)], "bij,bjk->bik": [(2, 3, 4), (2, 4, 2)], "i,j->ij": [(3,), (4,)],
    "ij->ji": [(2, 3)], "ij->": [(2, 3)], "ij->i": [(2, 3)], "i,i->": [(4,), (4,)],
    "bhid,bhjd->bhij": [(2, 2, 3, 4), (2, 2, 5, 4)], "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)],
    "ij,ij,j->i": [(2, 3), (2, 3), (3,)], "ij,k->j": [(2, 3), (4,)],
}  # fmt: skip


@pytest.mark.parametrize("equation", EINSUM)
def test_einsum(equation: str) -> None:
    name = f"lmbook.einsum, {equation.replace(',', ' ')}"
    parity(name, lambda *t: lmbook.einsum(equation, *t), lambda *t: torch.einsum(equation, *t),
           EINSUM[equation])  # fmt: skip


def test_padding() -> None:
    def ours(a: Tensor) -> Tensor:
        return a._op("pad", widths=((1, 2), (0, 3)), value=1.5)

    parity(
        "autograd.pad",
        ours,
        lambda a: torch.nn.functional.pad(a, (0, 3, 1, 2), value=1.5),
        [(2, 3)],
        [(1, 1)],
    )


def test_types() -> None:
    both = same(lambda a: (a.float().double() * a, a.to(a.dtype) * 2))
    parity("Tensor.to", *both, [(3, 4)], dtypes=("float64",), finite=False)
    whole = {"long": same(lambda a: (a.long(), (a > 0).long())), "bool": same(lambda a: a.bool())}
    for name, sides in whole.items():
        parity(f"Tensor.{name}", *sides, [(3, 4)], gradients=False)


CAST = {
    "int + float": lambda i, f, _: i + 1.5,
    "int / int": lambda i, f, _: i / i,
    "int ** int": lambda i, f, _: i**2,
    "int * float32": lambda i, f, _: i * f,
    "float32 * float": lambda i, f, _: f * 1.5,
    "bool + int": lambda i, f, _: (i > 1) + 1,
    "bool sum": lambda i, f, _: (i > 1).sum(),
    "int sum": lambda i, f, _: i.sum(),
    "float32 + float64": lambda i, f, d: f + d,
    "sqrt of int": lambda i, f, _: i.sqrt(),
    "where": lambda i, f, d: (f > 0) * f,
    "float16 sum": lambda i, f, _: f.to(np.float16 if isinstance(f, Tensor) else torch.float16) + 1,
}


@pytest.mark.parametrize("kind", CAST)
def test_mixed_types_are_torch_s(kind: str) -> None:
    values = [np.array([1, 2, 3]), np.array([1.5, -2, 0], np.float32), np.array([0.1, 0.2, 0.3])]
    ours = CAST[kind](*[Tensor(v) for v in values])
    theirs = CAST[kind](*[torch.tensor(v) for v in values])
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


def test_numpy_numbers_do_not_widen() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    for y in (
        x * np.float64(2),
        np.float64(2) * x,
        x + np.sqrt(2.0),
        x / np.float64(3),
        x ** np.float64(2),
    ):
        assert y.dtype == np.float32


def test_saturated_values_stay_finite() -> None:
    x = Tensor(np.array([-1e4, -100.0, 0.0, 100.0, 1e4]), requires_grad=True)
    for y in (x.sigmoid(), x.tanh(), x.relu()):
        (g,) = lmbook.autograd.grad(y, x, gradient=np.ones(5))
        assert np.isfinite(y.detach().numpy()).all() and np.isfinite(g.detach().numpy()).all()


def test_every_primitive_of_this_room_is_met() -> None:
    """The names of the table's rules that belong to autograd all occur in this file's subjects."""
    seen: set[str] = set()
    table = dict(PRIMITIVES)
    own = {
        n for n, f in table.items() if getattr(f, "__module__", "") == "lmbook.autograd.primitives"
    }

    def spy(name: str, rule: Any) -> Any:
        def run(*a: Any, **k: Any) -> Any:
            seen.add(name)
            return rule(*a, **k)

        return run

    PRIMITIVES.update({n: spy(n, f) for n, f in table.items()})
    try:
        a, b = (
            Tensor(np.abs(np.random.default_rng(i).standard_normal((2, 3, 4))) + 0.1)
            for i in (0, 1)
        )
        for name in UNARY:
            (Tensor.__neg__ if name == "neg" else getattr(Tensor, name))(a)
        for f, _, cases in BINARY.values():
            if all(isinstance(s, tuple) for s in cases[0]) and len(cases[0]) == 2:
                f(a, b)
        for f, *_ in [*VIEWS.values(), *REDUCE.values()]:
            f(a if f not in [r[0] for r in REDUCE.values()] else a[0])
        a**b, a.clamp(0, 1), a.masked_fill(a > 0, 1.0), a[0], a.mean(), a.float().double()
        a.gather(1, np.zeros((2, 1, 4), int)), lmbook.cat([a, b]), lmbook.stack([a, b]), a @ b.mT
        lmbook.einsum("ijk->k", a), a._op("pad", widths=((0, 0),) * 3, value=0.0)
    finally:
        PRIMITIVES.update(table)
    assert own <= seen, f"no parity test meets {sorted(own - seen)}"
