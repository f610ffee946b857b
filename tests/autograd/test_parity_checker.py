"""The checker itself: it passes right derivatives and fails each kind of planted mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmbook import backend
from lmbook.autograd import Tensor, gradcheck, primitive
from lmbook.autograd.primitives import PRIMITIVES
from lmbook.backend import DTypeError, GradientError
from tests import parity as checker
from tests.parity import LAYOUTS, ParityError, integers, lay, normal, parity, truths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plant(request: pytest.FixtureRequest) -> Any:
    """Enter a rule into the table of primitives for one test."""

    def enter(rule: Any) -> Any:
        rule.__name__ = "planted"
        request.addfinalizer(lambda: PRIMITIVES.pop("planted", None))
        return primitive(rule)

    return enter


WRONG = {
    "sign": (torch.cos, lambda a: (np.cos(a), (lambda g: g * np.sin(a),)), [(3, 4)]),
    "factor": (torch.square, lambda a: (a * a, (lambda g: g * a,)), [(3, 4)]),
    "small factor": (torch.exp, lambda a: (np.exp(a), (lambda g: 1.000001 * g * np.exp(a),)), [(5,)]),
    "missing sum over the broadcast axis": (
        torch.add, lambda a, b: (a + b, (lambda g: g, lambda g: g[:1])), [(3, 4), (1, 4)]
    ),
    "transposed": (
        torch.matmul, lambda a, b: (a @ b, (lambda g: g @ b.T, lambda g: (a.T @ g).T)), [(3, 3)] * 2
    ),
    "operands exchanged": (
        torch.mul, lambda a, b: (a * b, (lambda g: g * a, lambda g: g * b)), [(3,), (3,)]
    ),
    "ignores the gradient coming in": (
        torch.sin, lambda a: (np.sin(a), (lambda g: np.cos(a),)), [(4,)]
    ),
    "gradient missing": (torch.mul, lambda a, b: (a * b, (lambda g: g * b, lambda g: None)), [(3,)] * 2),
    "assigns where it must add": (
        lambda a: a[torch.tensor([0, 0, 1])],
        lambda a: (
            a[[0, 0, 1]],
            (lambda g: np.stack([g[1], g[2], np.zeros_like(g[0])]),),
        ),
        [(3, 2)],
    ),
    "reads memory as if contiguous": (
        torch.square,
        lambda a: (a * a, (lambda g: 2 * g * a.ravel(order="K").reshape(a.shape),)),
        [(3, 4)],
    ),
    "writes into the gradient coming in": (
        torch.exp, lambda a: (y := np.exp(a), (lambda g: np.multiply(g, y, out=g),)), [(3,)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_derivative_fails(kind: str, plant: Any) -> None:
    theirs, rule, shapes = WRONG[kind]
    with pytest.raises((ParityError, ValueError)):
        parity("planted", plant(rule), theirs, shapes, finite=False)


@pytest.mark.parametrize("kind", ["sign", "factor", "transposed", "operands exchanged"])
def test_finite_differences_alone_find_it(kind: str, plant: Any, rng: np.random.Generator) -> None:
    _, rule, shapes = WRONG[kind]
    inputs = [Tensor(rng.standard_normal(s), requires_grad=True) for s in shapes]
    with pytest.raises(GradientError, match="by differences"):
        gradcheck(plant(rule), inputs)


FORWARD = {
    "value": (torch.sin, lambda a: (np.cos(a), (lambda g: g * np.cos(a),))),
    "1e-6 off": (torch.sin, lambda a: (np.sin(a) + 1e-6, (lambda g: g * np.cos(a),))),
    "a float32 step inside": (
        torch.exp,
        lambda a: (y := np.exp(a.astype("f4")).astype(a.dtype), (lambda g: g * y,)),
    ),
    "float16 inside": (
        torch.sqrt,
        lambda a: (y := np.sqrt(np.abs(a).astype("f2")).astype(a.dtype), (lambda g: g / (2 * y),)),
    ),
    "shape": (torch.sin, lambda a: (np.sin(a)[None], (lambda g: g[0] * np.cos(a),))),
}


@pytest.mark.parametrize("kind", FORWARD)
def test_a_wrong_value_fails(kind: str, plant: Any) -> None:
    theirs, rule = FORWARD[kind]
    with pytest.raises((ParityError, ValueError)):
        parity("planted", plant(rule), theirs, [(3, 4)], finite=False)


def test_a_sum_in_float16_fails_the_float32_rule(plant: Any) -> None:
    """The float32 limit is tight enough to see a lossy sum that float64 does not use."""

    def lossy(a: Any) -> Any:
        kind = np.float16 if a.dtype == np.float32 else a.dtype
        total = a.astype(kind).sum(-1).astype(a.dtype)
        return total, (lambda g: np.broadcast_to(g[..., None], a.shape),)

    with pytest.raises(ParityError, match="float32"):
        parity("planted", plant(lossy), lambda a: a.sum(-1), [(3, 200)], finite=False)


def test_the_float32_rule_knows_cancelling_sums() -> None:
    """A sum that nearly cancels may be off by more than eps times its value, and no more than K."""
    record = parity("sum", Tensor.sum, torch.sum, [normal(1000, shift=1e3)], [normal(1000)])
    assert 0 < record.used32 < 1


def test_an_operation_that_changes_its_input_fails(plant: Any) -> None:
    def careless(a: Any) -> Any:
        y = np.exp(a)
        a *= 1
        a += 1
        return y, (lambda g: g * y,)

    with pytest.raises(ParityError, match="changed in place"):
        parity("planted", plant(careless), torch.exp, [(3,)], layouts=LAYOUTS[:3], finite=False)


def test_the_checker_runs_every_layout_type_and_backend(plant: Any) -> None:
    seen = set()

    def watch(a: Any, m: Any) -> Any:
        strides = tuple(int(np.sign(n)) for n in a.strides)
        seen.add((backend.current(), a.dtype.name, a.flags.c_contiguous, strides))
        assert m.dtype == bool
        return np.where(m, a, 0), (lambda g: np.where(m, g, 0), lambda g: None)

    record = parity(
        "planted", plant(watch), lambda a, m: torch.where(m, a, 0), [(3, 4), truths(3, 4)]
    )
    assert record.draws == 4 and record.shapes == {"(3, 4) (3, 4)"}
    for name in checker.BACKENDS:
        for dtype in ("float32", "float64"):
            for layout in [(True, (1, 1)), (False, (1, 1)), (False, (1, -1)), (False, (0, 1))]:
                assert (name, dtype, *layout) in seen


def test_layouts_keep_the_values(rng: np.random.Generator) -> None:
    for shape in [(), (0,), (5,), (3, 0), (2, 3), (2, 3, 4), (2, 1, 3, 4)]:
        x = rng.standard_normal(shape)
        for layout in LAYOUTS[:3]:
            assert np.array_equal(lay(x, layout), x), (shape, layout)
    x = lay(x, "broadcast")
    assert x.strides[0] == 0 and np.array_equal(x[0], x[1])


def test_a_missing_backend_fails_and_does_not_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "available", lambda: {"numpy": True, "numba": False})
    monkeypatch.setattr(checker, "ONLY", ())
    with pytest.raises(ParityError, match=r'pip install "lmbook\[fast\]"'):
        parity("sin", Tensor.sin, torch.sin, [(3,)], backends=("numpy", "numba"))


def test_a_missing_pytorch_fails_and_does_not_skip() -> None:
    """Whoever imports the checker without PyTorch gets an error with the way out."""
    code = "import sys; sys.modules['torch'] = None; import tests.parity"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert 'the parity tests need PyTorch: pip install "lmbook[torch]"' in done.stderr


def test_no_test_skips_where_the_reference_is_missing() -> None:
    """Nowhere in the tests does `importorskip` stand with a library that something is compared with."""
    skips = re.compile(r"importorskip\(\s*['\"](torch|numba|sklearn|safetensors)")
    files = [*(ROOT / "tests").rglob("*.py")]
    assert len(files) > 50
    assert not [p.name for p in files if skips.search(p.read_text(encoding="utf-8"))]


def test_integers_are_compared_exactly() -> None:
    parity("argmax", Tensor.argmax, torch.argmax, [integers(40, high=1000)], gradients=False)
    with pytest.raises(ParityError):
        parity("argmax", Tensor.argmin, torch.argmax, [integers(40, high=1000)], gradients=False)


def test_gradcheck_says_what_it_needs() -> None:
    with pytest.raises(DTypeError, match="float64"):
        gradcheck(Tensor.exp, Tensor(np.ones(3, np.float32), requires_grad=True))
    with pytest.raises(GradientError, match="requires_grad"):
        gradcheck(Tensor.exp, Tensor(np.ones(3)))
    assert gradcheck(Tensor.exp, Tensor(np.ones((2, 3)), requires_grad=True))
