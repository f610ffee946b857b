"""The ladder's kernels behind the engine: really launched, as exact as the reference, where they fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cupy_stand_in
import numpy as np
import pytest

import lmbook
from lmbook import backend, nn
from lmbook import functional as F
from lmbook.backend import own_products
from lmbook.backend.kernels.conv import Geometry
from lmbook.backend.table import KERNELS

EPS = float(np.finfo("f4").eps)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The backend on the stand-in; names of the kernels launched, in order."""
    names: list[str] = []
    call = cupy_stand_in.RawKernel.__call__

    def noted(self: Any, *args: Any, **options: Any) -> None:
        names.append(self.kernel.name)
        call(self, *args, **options)

    monkeypatch.setattr(cupy_stand_in.RawKernel, "__call__", noted)
    before = backend.current()
    with cupy_stand_in.installed():
        backend.use("cupy")
        yield names
        backend.use(before)


def normal(*shape: int, seed: int = 0, dtype: str = "f4") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def parts(result: Any) -> list[Any]:
    """Every array in nested tuples."""
    if isinstance(result, tuple):
        return [a for part in result for a in parts(part)]
    return [result]


def moved(arguments: Any) -> list[Any]:
    return [backend.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]


PLAIN = Geometry(padding=(1, 1, 1, 1))
CAUSAL = (None, True, 64**-0.5)
TAKEN: dict[str, tuple[str, list[str], tuple[Any, ...]]] = {
    "softmax": ("softmax", ["softmax4_registers"], (3 * normal(3, 2, 70),)),
    "layer norm": (
        "layer_norm", ["layer_norm3_staged"], (normal(5, 33) + 2, normal(33), normal(33, seed=1), 1e-5)
    ),
    "gelu": ("gelu_tanh", ["bias_gelu2_fused"], (2 * normal(4, 65),)),
    "embedding": (
        "scatter_rows", ["embedding3_sorted"], (normal(40, 9), np.arange(40) ** 2 % 7 - 1, 7)
    ),
    "attention": ("attention", ["attention2_flash"], (*normal(3, 2, 2, 37, 64), *CAUSAL)),
    "one position": ("attention", ["attention2_flash"], (*normal(3, 1, 1, 1, 64), *CAUSAL)),
    "cumsum": ("cumsum", ["scan3_shuffle", "scan4_totals", "scan4_add"], (normal(700), 0)),
    "largest": ("largest", ["topk2_bitonic"], (np.round(normal(6, 50), 1), 4)),
    "product": ("product", ["matmul6_double_buffered"], (normal(33, 17), normal(17, 65))),
    "transposed": ("product", ["matmul6_double_buffered"], (normal(17, 33).T, normal(65, 17).T)),
    "linear": (
        "linear", ["matmul6_double_buffered"], (normal(33, 17), normal(20, 17), normal(20))
    ),
    "convolution": (
        "conv2d", ["conv3_tiled"] * 2, (normal(2, 3, 9, 11), normal(4, 3, 3, 3), normal(4), PLAIN)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAKEN)
def test_the_kernel_runs_and_equals_the_reference(kind: str, launched: list[str]) -> None:
    """Up to a few roundings more than NumPy makes in float32, against NumPy in float64."""
    name, kernels, arguments = TAKEN[kind]
    with own_products():
        mine = KERNELS[name].variants["cupy"](*moved(arguments))
    assert launched == kernels
    wide = [a.astype("f8") if getattr(a, "dtype", None) == "f4" else a for a in arguments]
    exact = KERNELS[name].reference(*wide)
    plain = KERNELS[name].reference(*arguments)
    if name in ("attention", "gelu_tanh", "layer_norm"):  # what is kept for the way back differs
        mine, exact, plain = mine[0], exact[0], plain[0]
    for a, y, p in zip(parts(mine), parts(exact), parts(plain), strict=True):
        a = backend.host(a)
        assert a.shape == y.shape and a.dtype == p.dtype
        scale, own = np.abs(y).max(), np.abs(p - y).max()
        assert np.abs(a - y).max() <= 4 * own + 8 * EPS * (1 + scale)


OTHER: dict[str, tuple[str, tuple[Any, ...]]] = {
    "softmax, long rows": ("softmax", (normal(2, 1025),)),
    "softmax in float64": ("softmax", (normal(2, 3, dtype="f8"),)),
    "layer norm without weights": ("layer_norm", (normal(5, 33), None, None, 1e-5)),
    "layer norm with wide weights": (
        "layer_norm", (normal(5, 33), normal(33, dtype="f8"), normal(33, dtype="f8"), 1e-5)
    ),
    "gelu in float64": ("gelu_tanh", (normal(4, 5, dtype="f8"),)),
    "nothing": ("gelu_tanh", (normal(0, 5),)),
    "attention that looks ahead": ("attention", (*normal(3, 1, 1, 5, 64), None, False, 0.125)),
    "attention with a mask": ("attention", (*normal(3, 1, 1, 5, 64), normal(5, 5), False, 0.125)),
    "narrow heads": ("attention", (*normal(3, 1, 1, 5, 32), *CAUSAL)),
    "another scale": ("attention", (*normal(3, 1, 1, 5, 64), None, True, 0.5)),
    "more keys": ("attention", (normal(1, 1, 3, 64), *normal(2, 1, 1, 5, 64), *CAUSAL)),
    "cumsum of a matrix": ("cumsum", (normal(4, 5), 1)),
    "largest of long rows": ("largest", (normal(2, 1025), 3)),
    "product in float64": ("product", (normal(3, 4, dtype="f8"), normal(4, 2, dtype="f8"))),
    "stride 2": ("conv2d", (normal(1, 2, 7, 7), normal(3, 2, 3, 3), None, PLAIN._replace(stride=(2, 2)))),
    "groups": ("conv2d", (normal(1, 2, 7, 7), normal(2, 1, 3, 3), None, PLAIN._replace(groups=2))),
    "5 x 5": ("conv2d", (normal(1, 2, 7, 7), normal(2, 2, 5, 5), None, PLAIN)),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHER)
def test_what_a_kernel_does_not_take_is_the_reference_s(kind: str, launched: list[str]) -> None:
    name, arguments = OTHER[kind]
    with own_products():
        mine = KERNELS[name].variants["cupy"](*moved(arguments))
    assert launched == []
    plain = KERNELS[name].reference(*arguments)
    if name == "gelu_tanh":
        mine, plain = mine[0], plain[0]
    for a, p in zip(parts(mine), parts(plain), strict=True):
        np.testing.assert_array_equal(backend.host(a), p)


def test_products_are_cublas_s_unless_asked(launched: list[str]) -> None:
    x, layer = lmbook.randn(2, 3, 8, 8), nn.Conv2d(3, 4, 3, padding=1)
    plain = backend.host(layer(x).data)
    assert launched == []
    with own_products():
        mine = backend.host(layer(x).data)
        with own_products(False):
            nn.Linear(4, 4)(lmbook.randn(2, 4))
        assert launched == ["conv3_tiled"] * 2
        nn.Linear(4, 4)(lmbook.randn(2, 4))
    np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-5)
    assert launched[2:] == ["matmul6_double_buffered"]


def test_flash_attention_backwards_equals_the_unfused_one(launched: list[str]) -> None:
    """Through the engine, with heads that lie apart in memory, as a model's do."""
    drawn, g = normal(2, 37, 3, 2, 64, seed=3), normal(2, 2, 37, 64, seed=4)

    def gradient() -> tuple[np.ndarray, np.ndarray]:
        x = lmbook.tensor(drawn, requires_grad=True)
        q, k, v = (x[:, :, i].transpose(1, 2) for i in range(3))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.backward(g)
        return backend.host(y.data), x.grad.numpy()  # type: ignore[union-attr]

    mine = gradient()
    wanted = ["attention2_flash", "attention3_delta", "attention3_dq", "attention3_dkv"]
    assert launched == wanted
    backend.use("numpy")
    for a, b in zip(mine, gradient(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gelu_backwards_computes_the_slope_from_its_input(launched: list[str]) -> None:
    drawn = 3 * normal(5, 40)

    def gradient() -> np.ndarray:
        x = lmbook.tensor(drawn, requires_grad=True)
        F.gelu(x, "tanh").square().sum().backward()
        return x.grad.numpy()  # type: ignore[union-attr]

    mine = gradient()
    assert launched == ["bias_gelu2_fused"]
    backend.use("numpy")
    np.testing.assert_allclose(mine, gradient(), rtol=1e-5, atol=1e-6)


def test_layer_norm_backwards_normalises_again(launched: list[str]) -> None:
    drawn, g = normal(6, 20) + 2, normal(6, 20, seed=1)

    def gradients() -> list[np.ndarray]:
        layer, x = nn.LayerNorm(20), lmbook.tensor(drawn, requires_grad=True)
        layer(x).backward(g)
        return [t.grad.numpy() for t in (x, layer.weight, layer.bias)]  # type: ignore[union-attr]

    mine = gradients()
    assert launched == ["layer_norm3_staged"]
    backend.use("numpy")
    for a, b in zip(mine, gradients(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_experts_are_chosen_and_sums_run_by_kernels(launched: list[str]) -> None:
    layer = nn.MixtureOfExperts(8, 4, 6, top_k=2)
    x = normal(10, 8)
    layer(lmbook.tensor(x))
    assert "topk2_bitonic" in launched
    v = lmbook.tensor(normal(300), requires_grad=True)
    launched.clear()
    v.cumsum(0).sum().backward()
    assert launched == ["scan3_shuffle", "scan4_totals", "scan4_add"] * 2
    np.testing.assert_allclose(v.grad.numpy(), np.arange(300, 0, -1), rtol=1e-6)  # type: ignore[union-attr]


def test_a_gpt_with_heads_of_64_runs_flash_attention(launched: list[str]) -> None:
    from lmbook.models import GPT, GPTConfig

    model = GPT(GPTConfig(11, 8, n_layer=1, n_head=1, n_embd=64, dropout=0.0))
    ids = lmbook.tensor(np.arange(6).reshape(1, 6))
    F.cross_entropy(model(ids).reshape(-1, 11), ids.reshape(-1)).backward()
    assert launched.count("attention2_flash") == launched.count("attention3_dkv") == 1
