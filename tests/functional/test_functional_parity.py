"""Activations, losses, normalisations, attention and the linear map against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from lmbook import functional as F
from lmbook import manual_seed
from lmbook.autograd import Tensor, as_tensor, grad, gradcheck
from tests.parity import LAYOUTS, Draw, integers, normal, parity, uniform

SHAPES = [[(7,)], [(3, 4)], [(2, 3, 50)], [(0, 3)]]
Case = tuple[Any, Any, list[Any], dict[str, Any]]


def case(ours: Any, theirs: Any, *cases: Any, **options: Any) -> Case:
    return ours, theirs, list(cases), options


ACTIVATIONS = {
    "relu": case(F.relu, TF.relu, *SHAPES),
    "leaky_relu": case(F.leaky_relu, TF.leaky_relu, *SHAPES, negative_slope=0.2),
    "sigmoid": case(F.sigmoid, TF.sigmoid, *SHAPES),
    "tanh": case(F.tanh, TF.tanh, *SHAPES),
    "gelu": case(F.gelu, TF.gelu, *SHAPES, [()]),
    "gelu, tanh": case(F.gelu, TF.gelu, *SHAPES, approximate="tanh"),
    "silu": case(F.silu, TF.silu, *SHAPES, [()]),
    "softplus": case(F.softplus, TF.softplus, *SHAPES),
    "glu": case(F.glu, TF.glu, [(6,)], [(3, 4)], [(2, 3, 50)], dim=-1),
    "glu, dim": case(F.glu, TF.glu, [(3, 4, 2)], dim=1),
    **{
        f"{name}, dim {dim}": case(getattr(F, name), getattr(TF, name), *shapes, dim=dim)
        for name in ("softmax", "log_softmax")
        for dim, shapes in [(-1, SHAPES), (0, SHAPES[:3]), (1, [[(3, 4)], [(2, 3, 50)], [(2, 1, 3)]])]
    },
    "normalize": case(F.normalize, TF.normalize, [(3, 4)], [(2, 3, 50)], dim=-1),
    "normalize, p=1": case(F.normalize, TF.normalize, [(3, 4)], [(2, 3, 50)], dim=1, p=1.0),
}  # fmt: skip


def rows(n: int, c: int, *rest: int) -> list[Any]:
    """Logits (n, c, ...) and class numbers."""
    return [(n, c, *rest), integers(n, *rest, high=c)]


def probabilities(*shape: int) -> Draw:
    """Positive rows that sum to one, no gradient."""

    def make(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        e = np.exp(rng.standard_normal(s))
        return e / e.sum(1, keepdims=True)

    return Draw(shape, make, False)


def chance(*shape: int, grad: bool = True) -> Draw:
    return uniform(*shape, low=0.02, high=0.98, grad=grad)


CLASSES = [rows(7, 5), rows(1, 3), rows(3, 4, 2), rows(2, 300), rows(2, 3, 2, 2)]
SOME = [
    [
        (8, 5),
        Draw((8,), lambda rng, s: np.where(np.arange(8) % 3, rng.integers(0, 5, s), -100), False),
    ]
]
PAIR = [[(3, 4), (3, 4)], [(200,), (200,)], [(), ()]]
LOSSES = {
    f"{name}, {reduction}": case(getattr(F, base), getattr(TF, base), *cases, reduction=reduction, **options)
    for reduction in ("mean", "sum", "none")
    for name, base, cases, options in [
        ("mse_loss", "mse_loss", PAIR, {}),
        ("l1_loss", "l1_loss", PAIR, {}),
        ("huber_loss", "huber_loss", PAIR, {}),
        ("huber_loss, delta", "huber_loss", PAIR, {"delta": 0.3}),
        ("cross_entropy", "cross_entropy", [*CLASSES, [(5,), integers(high=5)]], {}),
        ("cross_entropy, smoothed", "cross_entropy", CLASSES, {"label_smoothing": 0.1}),
        ("cross_entropy, ignoring", "cross_entropy", SOME, {"label_smoothing": 0.2}),
        ("cross_entropy, ignore_index", "cross_entropy", CLASSES[:1], {"ignore_index": 2}),
        ("cross_entropy, probabilities", "cross_entropy", [[(7, 5), probabilities(7, 5)]], {}),
        ("cross_entropy, probabilities smoothed", "cross_entropy",
         [[(3, 5, 2), probabilities(3, 5, 2)], [(7, 5), probabilities(7, 5)]],
         {"label_smoothing": 0.3}),
        ("nll_loss", "nll_loss", [rows(7, 5)], {}),
        ("nll_loss, ignoring", "nll_loss", SOME, {}),
        ("binary_cross_entropy", "binary_cross_entropy",
         [[chance(3, 4), chance(3, 4, grad=False)], [chance(200), chance(200, grad=False)]], {}),
        ("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits",
         [[(3, 4), chance(3, 4)], [normal(200, scale=3), chance(200)]], {}),
        ("kl_div", "kl_div", [[(3, 4), probabilities(3, 4)], [(2, 300), probabilities(2, 300)]], {}),
        ("kl_div, log_target", "kl_div", [[(3, 4), (3, 4)]], {"log_target": True}),
    ]
}  # fmt: skip
LOSSES["kl_div, batchmean"] = case(
    F.kl_div, TF.kl_div, [(3, 4), uniform(3, 4, low=0.1)], reduction="batchmean"
)


def normed(function: Any, n: int) -> Any:
    """A normalisation over the last n axes with whatever weights follow."""
    return lambda x, *w, **k: function(x, x.shape[-n:], *w, **k)


def spread(*shape: int) -> Draw:
    return normal(*shape, scale=2.0, shift=3.0)


LAYER = [[spread(3, 8), (8,), (8,)], [spread(2, 3, 300), (300,), (300,)], [spread(3, 8)]]
NORMS = {
    "layer_norm": case(normed(F.layer_norm, 1), normed(TF.layer_norm, 1), *LAYER),
    "layer_norm, weight only": case(normed(F.layer_norm, 1), normed(TF.layer_norm, 1), [(2, 3, 8), (8,)]),
    "layer_norm, two axes": case(normed(F.layer_norm, 2), normed(TF.layer_norm, 2),
                                 [spread(3, 2, 4), (2, 4), (2, 4)], eps=1e-3),
    "rms_norm": case(normed(F.rms_norm, 1), normed(TF.rms_norm, 1), [(3, 8), (8,)], [(2, 3, 300), (300,)],
                     [spread(3, 8)], eps=1e-6),
    "rms_norm, two axes": case(normed(F.rms_norm, 2), normed(TF.rms_norm, 2), [(3, 2, 4), (2, 4)]),
    "group_norm": case(lambda x, *w: F.group_norm(x, 2, *w), lambda x, *w: TF.group_norm(x, 2, *w),
                       [spread(3, 6, 5), (6,), (6,)], [spread(2, 4, 3, 2), (4,), (4,)],
                       [spread(2, 8), (8,), (8,)], [spread(2, 4, 3, 2)]),
    "batch_norm": case(lambda x, *w: F.batch_norm(x, None, None, *w, training=True),
                       lambda x, *w: TF.batch_norm(x, None, None, *w, training=True),
                       [spread(9, 4), (4,), (4,)], [spread(3, 4, 5), (4,), (4,)],
                       [spread(2, 3, 4, 5), (3,), (3,)], [spread(40, 2)]),
}  # fmt: skip


def attend(function: Any, **k: Any) -> Any:
    """Attention with the mask, if any, as a fourth argument."""
    return lambda q, key, v, m=None: function(
        q, key, v, **({} if m is None else {"attn_mask": m}), **k
    )


def bias(*shape: int) -> Draw:
    return normal(*shape, grad=False)


def seen(*shape: int) -> Draw:
    """A boolean mask in which every query sees something."""

    def make(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        m = rng.random(s) < 0.6
        m[..., 0] = True
        return m

    return Draw(shape, make, False)


Q, K, W = (2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 3)
SDPA = (F.scaled_dot_product_attention, TF.scaled_dot_product_attention)
PLAIN = [attend(f) for f in SDPA]
CAUSAL = [attend(f, is_causal=True) for f in SDPA]
GROUPED = [attend(f, enable_gqa=True) for f in SDPA]
ATTEND = "scaled_dot_product_attention"
ATTENTION = {
    ATTEND: case(*PLAIN, [Q, K, W], [(3, 5, 8), (3, 5, 8), (3, 5, 8)], [(2, 1, 1, 70, 8)] * 3),
    f"{ATTEND}, mask": case(*PLAIN, [Q, K, W, seen(2, 1, 5, 6)], [Q, K, W, seen(5, 6)],
                            [Q, K, W, seen(2, 4, 5, 6)]),
    f"{ATTEND}, bias": case(*PLAIN, [Q, K, W, bias(5, 6)], [Q, K, W, bias(1, 4, 5, 6)]),
    f"{ATTEND}, causal": case(*CAUSAL, [Q, Q, Q], [(3, 1, 8), (3, 1, 8), (3, 1, 3)], [(1, 2, 65, 4)] * 3),
    f"{ATTEND}, causal, lengths differ": case(*CAUSAL, [Q, K, W], [K, Q, Q]),
    f"{ATTEND}, scale": case(*[attend(f, scale=0.3) for f in SDPA], [Q, K, W]),
    f"{ATTEND}, grouped": case(*GROUPED, [Q, (2, 2, 6, 8), (2, 2, 6, 3)], [Q, (2, 1, 6, 8), (2, 1, 6, 3)]),
    f"{ATTEND}, grouped mask": case(*GROUPED, [Q, (2, 2, 6, 8), (2, 2, 6, 3), seen(5, 6)],
                                    [Q, (2, 2, 6, 8), (2, 2, 6, 3), seen(2, 4, 5, 6)]),
    f"{ATTEND}, grouped causal": case(*[attend(f, enable_gqa=True, is_causal=True) for f in SDPA],
                                      [Q, (2, 2, 5, 8), (2, 2, 5, 3)]),
}  # fmt: skip


def turn(x: Any, cos: Any, sin: Any) -> Any:
    """Rotary positions written with PyTorch's complex numbers."""
    half = x.shape[-1] // 2
    z = torch.complex(x[..., :half], x[..., half:]) * torch.complex(cos, sin)
    return torch.cat([z.real, z.imag], -1)


LINEAR = {
    "linear": case(F.linear, TF.linear, [(3, 4), (5, 4), (5,)], [(3, 4), (5, 4)], [(4,), (5, 4), (5,)],
                   [(2, 3, 300), (7, 300), (7,)], [(0, 4), (5, 4), (5,)], [(2, 1, 3, 4), (1, 4), (1,)]),
    "embedding": case(lambda w, i: F.embedding(i, w), lambda w, i: TF.embedding(i, w),
                      [(7, 4), integers(5, high=7)], [(3, 4), integers(2, 40, high=3)],
                      [(7, 4), integers(high=7)], [(7, 1), integers(0, high=7)]),
    "rotary": case(F.rotary, turn, [(5, 8), bias(5, 4), bias(5, 4)], [(2, 3, 5, 8), bias(5, 4), bias(5, 4)]),
}  # fmt: skip

ALL = {**ACTIVATIONS, **LOSSES, **NORMS, **ATTENTION, **LINEAR}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # PyTorch on kl_div
@pytest.mark.parametrize("name", ALL)
def test_functional(name: str) -> None:
    ours, theirs, cases, options = ALL[name]
    if name in NORMS or "ignor" in name or "huber" in name:
        # equal rows have no spread, may all be ignored, or meet the kink
        options = {**options, "layouts": LAYOUTS[:3]}
    parity(f"functional.{name}", ours, theirs, *cases, **options)


def test_every_function_is_compared() -> None:
    """A new name in `functional` needs a line above, or in the files of convolution and recurrence."""
    source = "".join(p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("test_*.py"))
    missing = [n for n in F.__all__ if f"F.{n}" not in source and f'"{n}"' not in source]
    assert not missing, f"no parity test: {missing}"


# Where the values are extreme, and what PyTorch has no word for

EXTREME = np.array([-1e4, -200.0, -90.0, -1.0, 0.0, 1.0, 90.0, 200.0, 1e4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name", ["sigmoid", "tanh", "gelu", "silu", "softplus", "softmax", "log_softmax"]
)
def test_extreme_values(name: str, dtype: Any) -> None:
    """No overflow, no NaN: PyTorch's values and derivatives where |x| is huge."""
    extra = {"dim": 0} if "softmax" in name else {}
    x = Tensor(EXTREME.astype(dtype), requires_grad=True)
    t = torch.tensor(EXTREME.astype(dtype), requires_grad=True)
    y, z = getattr(F, name)(x, **extra), getattr(TF, name)(t, **extra)
    g = np.arange(1, 10).astype(dtype)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(
        grad(y, x, gradient=g)[0].detach().numpy(), t.grad.numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("logit", [-1e4, -100.0, 100.0, 1e4])
def test_extreme_logits_have_finite_losses(logit: float) -> None:
    x = Tensor(np.array([[logit, 0.0, -logit]], np.float32), requires_grad=True)
    for loss in (
        F.cross_entropy(x, np.array([0])),
        F.binary_cross_entropy_with_logits(x, as_tensor(np.array([[1, 0, 1]], np.float32))),
    ):
        (g,) = grad(loss, x)
        assert np.isfinite(loss.item()) and np.isfinite(g.detach().numpy()).all()


def test_certain_probabilities_have_finite_losses() -> None:
    p, t = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])
    ours = F.binary_cross_entropy(as_tensor(p), as_tensor(t), reduction="none")
    theirs = TF.binary_cross_entropy(torch.tensor(p), torch.tensor(t), reduction="none")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.numpy())


def test_a_query_that_may_look_nowhere_gives_zero() -> None:
    q = Tensor(np.random.default_rng(0).standard_normal((1, 2, 3, 4)), requires_grad=True)
    mask = np.ones((3, 3), bool)
    mask[1] = False
    y = F.scaled_dot_product_attention(q, q, q, attn_mask=mask)
    assert np.array_equal(y.detach().numpy()[:, :, 1], np.zeros((1, 2, 4)))
    (g,) = grad(y.sum(), q)
    assert np.isfinite(g.detach().numpy()).all()


def test_all_targets_ignored() -> None:
    """As in PyTorch, the mean over nothing is NaN, the sum 0."""
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    ignored = np.array([-100, -100])
    assert F.cross_entropy(x, ignored, reduction="sum").item() == 0
    with np.errstate(invalid="ignore"):
        assert np.isnan(F.cross_entropy(x, ignored).item())


def test_batch_norm_moves_the_running_moments_as_pytorch_does() -> None:
    rng = np.random.default_rng(0)
    mean, var = Tensor(np.zeros(3)), Tensor(np.ones(3))
    tm, tv = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for _ in range(3):
        x = rng.standard_normal((4, 3, 5)) + 2
        F.batch_norm(as_tensor(x), mean, var, training=True, momentum=0.3)
        TF.batch_norm(torch.tensor(x), tm, tv, training=True, momentum=0.3)
    np.testing.assert_allclose(mean.detach().numpy(), tm.numpy())
    np.testing.assert_allclose(var.detach().numpy(), tv.numpy())


def test_rotary_keeps_lengths_and_sees_only_distances() -> None:
    rng = np.random.default_rng(0)
    angle = np.arange(6)[:, None] * np.array([1.0, 0.1])
    q, k = (np.tile(rng.standard_normal(4), (6, 1)) for _ in range(2))
    a, b = (F.rotary(as_tensor(v), np.cos(angle), np.sin(angle)).detach().numpy() for v in (q, k))
    np.testing.assert_allclose((a * a).sum(-1), (q * q).sum(-1))
    scores = a @ b.T
    for d in range(-5, 6):
        np.testing.assert_allclose(np.diag(scores, d), np.diag(scores, d)[0])


# Dropout draws its own numbers: PyTorch is given the places that ours drops


def dropping(p: float) -> tuple[Any, Any]:
    """Ours from one seed, and PyTorch's product with the same places kept."""

    def ours(x: Any) -> Any:
        return F.dropout(x, p, generator=np.random.default_rng(5))

    def theirs(x: Any) -> Any:
        kept = (
            F.dropout(as_tensor(np.ones(x.shape)), p, generator=np.random.default_rng(5))
            .detach()
            .numpy()
        )
        return x * torch.tensor(kept != 0) / (1 - p)

    return ours, theirs


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_s_values_and_gradient(p: float) -> None:
    parity(f"functional.dropout, p = {p}", *dropping(p), [(30,)], [(3, 4, 5)])
    off = {"p": p, "training": False}
    parity("functional.dropout, evaluated", F.dropout, TF.dropout, [(3, 4)], **off)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout(p: float) -> None:
    x = Tensor(np.full((200, 300), 2.0, np.float32), requires_grad=True)
    y = F.dropout(x, p, generator=np.random.default_rng(0))
    kept = y.detach().numpy() != 0
    n, expected = x.numel(), 1 - p
    assert abs(kept.mean() - expected) < 5 * np.sqrt(p * (1 - p) / n)
    np.testing.assert_allclose(y.detach().numpy()[kept], 2 / (1 - p), rtol=1e-6)
    (g,) = grad(y, x, gradient=np.ones_like(x.detach().numpy()))
    np.testing.assert_allclose(g.detach().numpy(), kept / np.float32(1 - p), rtol=1e-6)
    assert y.dtype == np.float32
    again = F.dropout(x, p, generator=np.random.default_rng(0))
    assert np.array_equal(again.detach().numpy(), y.detach().numpy())


def test_dropout_off_is_the_identity() -> None:
    x = as_tensor(np.ones(3))
    assert F.dropout(x, 0.5, training=False) is x and F.dropout(x, 0.0) is x


def test_attention_dropout_is_unbiased_and_differentiable() -> None:
    """With the values one-hot the output is the dropped softmax itself."""
    q = Tensor(np.zeros((1, 1, 400, 2)), requires_grad=True)
    v = as_tensor(np.eye(20)[None, None])
    y = (
        F.scaled_dot_product_attention(q, as_tensor(np.zeros((1, 1, 20, 2))), v, dropout_p=0.25)
        .detach()
        .numpy()
    )
    assert abs((y != 0).mean() - 0.75) < 0.03
    np.testing.assert_allclose(y[y != 0], 1 / 20 / 0.75)


def test_attention_dropout_s_gradient() -> None:
    """The same draw each time: differences see the function that backward differentiates."""

    def f(*t: Tensor) -> Tensor:
        manual_seed(3)
        return F.scaled_dot_product_attention(*t, dropout_p=0.4, is_causal=True)

    rng = np.random.default_rng(1)
    gradcheck(f, [Tensor(rng.standard_normal((1, 2, 5, 3)), requires_grad=True) for _ in range(3)])
