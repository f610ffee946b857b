"""The engine on CuPy arrays: a stand-in refuses what CuPy refuses, and the ladder's kernels run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cupy_stand_in
import numpy as np
import pytest

import lmbook
from lmbook import backend, nn, optim
from lmbook import functional as F
from lmbook.backend import table
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
        (lambda: np.partition(x, 1), "no implementation found"),
        (lambda: np.add.at(x.astype(np.int64), np.int64(0), 1), "CuPy has none for int64"),
    ]:  # fmt: skip
        with pytest.raises(TypeError, match=message.replace("(", r"\(").replace(")", r"\)")):
            wrong()


def test_without_cupy_the_backend_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(backend.MissingDependency, match=r'pip install "lmbook\[gpu\]"'):
        backend.use("cupy")
    assert not backend.gpu_found()
