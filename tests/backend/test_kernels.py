"""Every faster variant of every kernel gives what the readable one gives.

The calls are not made up: layers, losses and optimisers run while the table records which kernels
they call with what. Each call is then repeated on every variant, in both types and in layouts that
no caller used, and held against the readable kernel in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lmbook import backend, nn, optim
from lmbook import functional as F
from lmbook.autograd import Tensor, as_tensor
from lmbook.backend import KERNELS, manual_seed
from lmbook.training.ensembles import DecisionTreeClassifier
from tests.parity import EPS32, LAYOUTS, choose, lay

Call = tuple[tuple[Any, ...], dict[str, Any]]


def leaf(*shape: int) -> Tensor:
    rng = np.random.default_rng(sum(shape) + len(shape))
    return Tensor(rng.standard_normal(shape).astype("f4"), requires_grad=True)


def classes(*shape: int, high: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape)


def everything() -> Iterator[Callable[[], Any]]:
    """Uses of the engine that together call every kernel: odd sizes, one row, nothing, long rows."""
    for shape in [(1, 1), (3, 5), (7, 33), (2, 3, 4), (0, 3), (2, 257)]:
        for f in (F.relu, F.gelu, F.silu, F.softplus, F.softmax, F.log_softmax, F.sigmoid, F.tanh):
            yield lambda f=f, s=shape: f(leaf(*s))
        yield lambda s=shape: F.gelu(leaf(*s), "tanh")
        yield lambda s=shape: leaf(*s).cumsum(-1)
        yield lambda s=shape: F.dropout(leaf(*s), 0.3)
        for bias in (leaf(6), None):
            yield lambda s=shape, b=bias: F.linear(leaf(*s), leaf(6, s[-1]), b)
        for affine in (True, False):
            yield lambda s=shape, a=affine: nn.LayerNorm(s[-1], elementwise_affine=a)(leaf(*s))
            yield lambda s=shape, a=affine: nn.RMSNorm(s[-1], elementwise_affine=a)(leaf(*s))
        yield lambda s=shape: F.embedding(as_tensor(classes(*s, high=9)), leaf(9, s[-1]))
        yield lambda s=shape: F.rotary(leaf(*s[:-1], 6), *np.ones((2, s[-2], 3), "f4"))
    yield lambda: nn.MixtureOfExperts(4, 3, 5)(leaf(7, 4))
    for rows, columns in [(1, 2), (7, 5), (0, 3), (33, 100)]:
        target = classes(rows, high=columns)
        for k in ({}, {"label_smoothing": 0.2}, {"ignore_index": 1, "reduction": "sum"}):
            yield lambda r=rows, c=columns, t=target, k=k: F.cross_entropy(
                leaf(r, c), t, **{"reduction": "none", **k}
            )
        yield lambda r=rows, c=columns: F.binary_cross_entropy_with_logits(
            leaf(r, c), as_tensor(np.ones((r, c), "f4")), "none"
        )
    for shape in [(3, 1), (5, 4), (2, 3, 7), (3, 2, 1, 5)]:
        for affine in (True, False):
            kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
            yield lambda s=shape, a=affine, n=kind: n(s[1], affine=a)(leaf(*s))
            yield lambda s=shape, a=affine, n=kind: n(s[1], affine=a).eval()(leaf(*s))
    for n, h, length, s, e in [
        (1, 1, 1, 1, 1),
        (2, 3, 5, 7, 3),
        (1, 2, 17, 17, 8),
        (1, 1, 70, 50, 3),  # several blocks of queries, fewer keys
        (1, 1, 40, 90, 3),
        (0, 2, 3, 3, 4),
    ]:
        q, k, v = leaf(n, h, length, e), leaf(n, h, s, e), leaf(n, h, s, e + 1)
        mask = np.tri(length, s, dtype=bool)
        yield lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v)
        yield lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        yield lambda q=q, k=k, v=v, m=mask: F.scaled_dot_product_attention(q, k, v, m)
        yield lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        for length, batch, width, hidden in [(1, 1, 1, 1), (5, 3, 4, 7)]:
            yield lambda k=kind, s=(length, batch, width), h=hidden: k(s[-1], h)(leaf(*s))[0]
    yield lambda: nn.LSTM(8, 6)(leaf(5, 16, 8))[0]  # whole vectors: the weights are packed
    yield lambda: nn.RNN(3, 4, nonlinearity="relu")(leaf(2, 3, 3))[0]
    for options in ({}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2, "bias": False}):
        yield lambda o=options: nn.Conv2d(4, 6, 3, **o)(leaf(3, 4, 9, 7))
        yield lambda o=options: nn.Conv1d(4, 2, 3, **o)(leaf(1, 4, 11))
        each = {**options, "groups": 4}
        yield lambda o=each: nn.Conv2d(4, 4, 3, **o)(leaf(3, 4, 9, 7))
        yield lambda o=each: nn.Conv2d(4, 8, 3, **o)(leaf(1, 4, 9, 7))
        yield lambda o=options: nn.ConvTranspose2d(4, 2, 3, **o)(leaf(2, 4, 5, 4))
    for size, kernel, step in [(1, 1, 1), (23, 5, 1), (40, 3, 2), (12, 5, 3)]:
        yield lambda n=size, k=kernel, s=step: nn.Conv2dSame(5, 5, k, s, groups=5)(
            leaf(2, 5, n, n + 1)
        )
    for kernel, step in [(1, 1), (3, 2)]:  # a large weight, few positions
        yield lambda k=kernel, s=step: nn.Conv2d(270, 256, k, s, padding=k // 2)(leaf(2, 270, 4, 5))
    for pool in (nn.MaxPool2d(2), nn.AvgPool2d(3, stride=2), nn.MaxPool2d(3, stride=1, padding=1)):
        yield lambda p=pool: p(leaf(2, 3, 7, 9))
    yield lambda: F.fold(F.unfold(leaf(2, 3, 6, 5), 2), (6, 5), 2)
    for build in (
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
        lambda p: optim.Adam(p, weight_decay=0.1),
        lambda p: optim.Adam(p, amsgrad=True),
        lambda p: optim.AdamW(p, weight_decay=0.1),
    ):
        yield lambda b=build: train(b)
    for criterion in ("gini", "entropy"):
        tree = DecisionTreeClassifier(criterion=criterion, max_depth=2, min_samples_leaf=2)
        x, y = leaf(40, 3).data, classes(40, high=3)
        yield lambda t=tree, x=x, y=y: as_tensor(t.fit(x, y).predict_proba(x))


def train(build: Any) -> Tensor:
    parameters = [nn.Parameter(leaf(*s).data.copy()) for s in ((3, 5), (7,), (), (0, 2))]
    optimizer = build(parameters)
    for _ in range(3):
        for p in parameters:
            p.grad = Tensor(np.cos(p.data) if p.ndim else np.array(0.5, "f4"))
        optimizer.step()
    return parameters[0]


@pytest.fixture(scope="module")
def calls() -> dict[str, list[Call]]:
    """What each kernel was called with."""
    seen: dict[str, list[Call]] = {name: [] for name in KERNELS}

    def spy(name: str, entry: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            seen[name].append(copy.deepcopy((args, kwargs)))
            return entry.reference(*args, **kwargs)

        return run

    before = backend.current()
    backend.use("numpy")
    for name, entry in KERNELS.items():
        entry.run = spy(name, entry)
    try:
        for use in everything():
            manual_seed(1)
            y = use()
            if y.requires_grad and not y.is_leaf:
                y.backward(np.cos(np.arange(y.numel())).reshape(y.shape))
    finally:
        backend.use(before)
    return seen


def flat(result: Any) -> list[np.ndarray]:
    parts = result if isinstance(result, tuple) else (result,)
    return [np.asarray(a) for a in parts if a is not None]


def run(
    function: Any, call: Call, dtype: str, layout: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Results and the array arguments afterwards, from arguments converted and laid out anew."""

    def convert(a: Any) -> Any:
        if not isinstance(a, np.ndarray):
            return copy.deepcopy(a)  # a generator draws the same numbers every time
        a = a.astype(dtype) if a.dtype.kind == "f" else a.copy()
        return lay(a, layout)

    with np.errstate(all="ignore"):  # room for results holds whatever was in memory
        args = [convert(a) for a in call[0]]
        kwargs = {k: convert(v) for k, v in call[1].items()}
        arrays = [a for a in [*args, *kwargs.values()] if isinstance(a, np.ndarray)]
        result = flat(function(*args, **kwargs))
    return result, arrays


def writes(function: Any, call: Call) -> bool:
    """Whether the kernel changes one of its arguments: then a repeated row would be no layout."""
    _, after = run(function, call, "float64", "contiguous")
    before = [a for a in [*call[0], *call[1].values()] if isinstance(a, np.ndarray)]
    return not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))


NAMES = sorted(KERNELS)
HANDS_ON = {"attention", "gelu_tanh", "layer_norm", "attention_backward", "gelu_tanh_backward",
            "layer_norm_backward", "column_sums"}  # fmt: skip
"""Kernels between which the variants on a GPU pass something of their own: see test_gpu_rungs.py."""


@pytest.mark.parametrize("name", NAMES)
def test_variants_agree(name: str, calls: dict[str, list[Call]]) -> None:
    choose("numba")  # registers the compiled variants; their absence is a failure
    entry = KERNELS[name]
    assert calls[name], f"no use above calls the kernel {name!r}: add one"
    in_place = any(writes(entry.reference, call) for call in calls[name])
    for variant, function in entry.variants.items():
        if variant == "cupy" and name in HANDS_ON:
            continue
        for call in calls[name]:
            for layout in LAYOUTS[:1] if in_place else LAYOUTS:
                exact = [
                    np.array(a)
                    for part in run(entry.reference, call, "float64", layout)
                    for a in part
                ]
                for dtype in ("float64", "float32"):
                    plain, mine = (
                        [a for part in run(f, call, dtype, layout) for a in part]
                        for f in (entry.reference, function)
                    )
                    compare(
                        f"{name} [{variant}, {dtype}, {layout}]", call, dtype, exact, plain, mine
                    )


def compare(where: str, call: Call, dtype: str, exact: Any, plain: Any, mine: Any) -> None:
    """float64: 1e-11 of the scale. float32: a few roundings more than the readable kernel makes."""
    assert len(exact) == len(mine), where
    shapes = [a.shape for a in call[0] if isinstance(a, np.ndarray)]
    for i, (y, p, a) in enumerate(zip(exact, plain, mine, strict=True)):
        where_ = f"{where}, array {i} of {len(exact)}, arguments {shapes}"
        assert a.shape == y.shape and a.dtype == p.dtype, f"{where_}: {a.dtype} {a.shape}"
        if a.dtype.kind != "f":
            assert np.array_equal(a, p), where_
            continue
        same = (a == y) | (np.isnan(a) & np.isnan(y))
        error = np.where(same, 0, np.abs(a.astype("f8") - np.where(same, 0, y)))
        scale = float(np.abs(y[np.isfinite(y)]).max(initial=0))
        with np.errstate(invalid="ignore"):  # infinity less infinity is left out below
            own = np.abs(p.astype("f8") - y)
        slack = 4 * float(own[np.isfinite(own)].max(initial=0))
        limit = 1e-11 * (1 + scale) if dtype == "float64" else slack + 8 * EPS32 * (1 + scale)
        assert error.max(initial=0) <= limit, (
            f"{where_}: error {error.max():.3g}, limit {limit:.3g}"
        )


def test_the_comparison_sees_a_wrong_variant(calls: dict[str, list[Call]]) -> None:
    entry = KERNELS["softmax"]
    entry.variant("planted", lambda x: entry.reference(x) * np.asarray(1 + 1e-4, x.dtype))
    try:
        with pytest.raises(AssertionError, match=r"softmax \[planted"):
            test_variants_agree("softmax", calls)
    finally:
        del entry.variants["planted"]


def test_most_heavy_kernels_have_a_compiled_variant() -> None:
    choose("numba")
    compiled = {name for name, entry in KERNELS.items() if "fast" in entry.variants}
    heavy = {"gelu", "softmax", "layer_norm", "cross_entropy", "adam_step", "batch_norm", "dropout"}
    assert heavy <= compiled


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [F.relu, F.gelu, F.silu, F.softplus, F.sigmoid, F.tanh, F.softmax])
def test_not_a_number_stays_so(f: Callable[..., Any], dtype: type, name: str) -> None:
    """A loss that went wrong must be seen, and infinity is a number that activations meet."""
    before = backend.current()
    backend.use(name)
    try:
        y = f(Tensor(np.array([np.nan] * 17, dtype))).data
        assert np.isnan(y).all()
        if f is not F.softmax:
            with np.errstate(invalid="ignore"):  # of derivatives, which are NaN in PyTorch too
                limit = f(Tensor(np.array([np.inf] * 17, dtype))).data
            assert not np.isnan(limit).any()
    finally:
        backend.use(before)
