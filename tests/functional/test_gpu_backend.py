"""The engine on CuPy arrays: a stand-in refuses what CuPy refuses, and the ladder's kernels run."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cupy_signatures
import cupy_stand_in
import numpy as np
import pytest

import lmbook
from lmbook import backend, nn, optim
from lmbook import functional as F
from lmbook.backend import config, table
from lmbook.gpu.kernels.ladder import compiled


@pytest.fixture
def cupy() -> Iterator[Any]:
    before = backend.current()
    with cupy_stand_in.installed() as module:
        backend.use("cupy")
        yield module
        backend.use(before)


def small_gpt() -> nn.Module:
    return nn.Sequential(nn.Embedding(20, 16), nn.LayerNorm(16), nn.Linear(16, 20))


def losses(steps: int = 3) -> list[float]:
    """A few steps of AdamW on an embedding, a layer norm and a linear layer."""
    backend.manual_seed(0)
    model, ids = small_gpt(), np.random.default_rng(1).integers(0, 20, (4, 9))
    step = optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    seen = []
    for _ in range(steps):
        loss = F.cross_entropy(model(lmbook.tensor(ids)).reshape(-1, 20), ids.reshape(-1))
        step.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        step.step()
        seen.append(loss.item())
    return seen


def test_a_model_trains_as_on_the_host(cupy: Any) -> None:
    on_gpu = losses()
    backend.use("numpy")
    np.testing.assert_allclose(on_gpu, losses(), rtol=1e-5)
    assert on_gpu[-1] < on_gpu[0]


def test_the_ladder_s_kernels_ran(cupy: Any) -> None:
    compiled.cache_clear()
    losses(1)
    ran = {
        name for name in ("layer_norm3_staged", "embedding3_sorted", "adamw2_fused") if _calls(name)
    }
    F.softmax(lmbook.randn(3, 40))
    assert ran == {"layer_norm3_staged", "embedding3_sorted", "adamw2_fused"}
    assert _calls("softmax4_registers") == 1


def _calls(name: str) -> int:
    from lmbook.gpu import kernels

    rung = {"layer": kernels.layer_norm, "embed": kernels.embedding, "adamw": kernels.adamw,
            "softm": kernels.softmax}[name[:5]]  # fmt: skip
    return rung.kernel(name)._raw.calls


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "scatter_rows", "adam_step"])
def test_the_cupy_variant_is_registered(name: str) -> None:
    assert "cupy" in table.KERNELS[name].variants


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 3, 70), "f4"), ((3, 1500), "f4"), ((4, 5), "f8"), ((0, 4), "f4")]
)
def test_softmax_of_any_size(cupy: Any, shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    y = F.softmax(lmbook.tensor(x)).numpy()
    e = np.exp(x.astype("f8") - x.max(-1, keepdims=True, initial=-1))
    np.testing.assert_allclose(y, e / e.sum(-1, keepdims=True), rtol=1e-5, atol=1e-7)
    assert y.dtype == x.dtype


def test_tensors_live_on_the_gpu_and_say_so(cupy: Any) -> None:
    x = lmbook.tensor([1.0, 2.0])
    assert backend.on_gpu(x.data) and backend.on_gpu((x + np.ones(2, np.float32)).data)
    assert isinstance(x.numpy(), np.ndarray) and repr(x) == "tensor([1., 2.])"
    assert backend.on_gpu(lmbook.zeros(3).data) and backend.on_gpu(lmbook.randn(2, 2).data)


def test_the_stand_in_refuses_what_cupy_refuses(cupy: Any) -> None:
    x = lmbook.tensor([1.0, 2.0]).data
    for wrong, message in [
        (lambda: np.asarray(x), "Implicit conversion"),
        (lambda: x + np.ones(2), "an array of NumPy meets one of CuPy"),
        (lambda: np.where(x > 0, x, np.zeros(2)), "an array of NumPy meets one of CuPy"),
        (lambda: float(x[0]), "say .item()"),
        (lambda: bool(x[0] > 0), "say .item()"),
        (lambda: x.max(initial=0), "unexpected keyword argument 'initial'"),
        (lambda: np.indices((2,))[0] + x, "an array of NumPy meets one of CuPy"),
        (lambda: np.insert(x, 0, 1), "no implementation found"),
        (lambda: np.spacing(x), "returned NotImplemented"),
        (lambda: np.add.at(x.astype(np.int64), np.int64(0), 1), "CuPy has none for int64"),
        (lambda: np.add.at(x, np.array([0]), 1.0), "an array of NumPy as an index"),
        (lambda: x[np.array([0])], "an array of NumPy as an index"),
        (lambda: np.add(x, [1.0, 2.0]), "neither an array of CuPy nor a number"),
        (lambda: np.where(x > 0, x, [1.0, 2.0]), "Unsupported type <class 'list'>"),
        (lambda: np.concatenate([x, np.ones(2)]), "an array of NumPy meets one of CuPy"),
        (lambda: np.log(x, out=np.zeros(2, np.float32)), "an array of CuPy is needed"),
        (lambda: np.log(x, where=x > 0), "Wrong arguments {'where'}"),
        (lambda: np.sum(x, where=x > 0), "unexpected keyword argument 'where'"),
        (lambda: x.mean(dtype=None, where=x > 0), "unexpected keyword argument 'where'"),
        (lambda: np.copyto(x.astype(np.int64), x, casting="same_kind"), "Cannot cast"),
        (lambda: np.random.default_rng(0).permutation(x), "Implicit conversion"),
        (lambda: math.sqrt(x[0]), "say .item()"),
        (lambda: range(x.astype(np.int64)[0]), "say .item()"),
    ]:  # fmt: skip
        with pytest.raises(TypeError, match=re.escape(message)):
            wrong()
    for dtype in (object, "U3", "M8[s]", np.longdouble):
        with pytest.raises(ValueError, match="Unsupported dtype"):
            cupy.asarray(np.zeros(2, dtype))
    with pytest.raises(NotImplementedError, match=r"maximum.reduce"):
        np.maximum.reduce(x)
    with pytest.raises(AttributeError, match="setflags"):
        x.setflags(write=False)


def test_the_stand_in_does_what_cupy_does(cupy: Any) -> None:
    x = cupy.asarray(np.arange(6.0).reshape(2, 3))
    for y in (x.sum(), x[0, 1], np.partition(x, 1)[0], np.allclose(x, x), x @ x.T, 2.0 - x, x**2):
        assert backend.on_gpu(y)
    x[0, 1][...] = 7  # an item is a view
    x[1] += x[0]
    assert x.tolist() == [[0, 7, 2], [3, 11, 7]]
    wide = cupy.asarray([5, -4])
    assert x[0, wide].tolist() == [2, 2]  # places outside wrap around: it does not look
    assert x[[1, 0], -1].tolist() == [7, 2] and x[..., None].shape == (2, 3, 1)
    assert x[x > 5].tolist() == [7, 11, 7] and x[:, [True, False, True]].shape == (2, 2)
    assert x.astype(x.dtype, copy=False) is x and np.ndim(x) == 2
    with pytest.raises(IndexError):
        x[0, 3]
    np.add.at(x, (cupy.asarray([0, 0]), 0), 1.0)
    assert x[0, 0].item() == 2


def test_places_outside_are_found_by_the_engine(cupy: Any) -> None:
    """CuPy would take another entry in silence."""
    x, far = lmbook.randn(3, 4), lmbook.tensor([0, 4])
    for wrong in (
        lambda: x[far], lambda: x[:, far + 1], lambda: x.gather(1, lmbook.tensor([[4]])),
        lambda: x.__setitem__(far, 0.0), lambda: F.embedding(far, x), lambda: x[[0, -4]],
    ):  # fmt: skip
        with pytest.raises(backend.IndexRangeError):
            wrong()
    assert x[:, lmbook.tensor([3, -4])].shape == (3, 2)


def test_without_a_gpu_the_backend_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = backend.use("numpy")
    with cupy_stand_in.installed(has_gpu=False):
        with pytest.raises(
            RuntimeError, match=r'CuPy is installed, but finds no NVIDIA GPU.*"auto"'
        ):
            backend.use("cupy")
        assert backend.current() == before and not table.gpu
        # as at the start of a program with LMBOOK_BACKEND=cupy
        monkeypatch.setenv("LMBOOK_BACKEND", "cupy")
        monkeypatch.setattr(config, "_current", None)
        monkeypatch.setattr(table, "_selected", None)
        monkeypatch.setattr(table, "gpu", True)
        with pytest.raises(RuntimeError, match="finds no NVIDIA GPU"):
            lmbook.tensor([1.0])


def test_the_environment_chooses_it_before_the_first_tensor() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import cupy_stand_in\n"
        "with cupy_stand_in.installed():\n"
        "    import lmbook\n"
        "    x = lmbook.tensor([1.0]) + 1\n"
        "    assert lmbook.backend.on_gpu(x.data) and lmbook.backend.current() == 'cupy'\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "LMBOOK_BACKEND": "cupy"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_stand_in_knows_the_functions_that_the_engine_calls() -> None:
    """Read from CuPy 13.6 and 14.2: none was added by hand."""
    known = cupy_signatures.known()
    assert len(known) > 300 and known["method", "sum"] == ["axis", "dtype", "out", "keepdims"]
    assert known["function", "concatenate"] == ["tup", "axis", "out", "dtype", "casting"]
    assert ("function", "partition") in known and ("function", "insert") not in known


def test_without_cupy_the_backend_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(backend.MissingDependency, match=r'pip install "lmbook\[gpu\]"'):
        backend.use("cupy")
    assert not backend.gpu_found()
