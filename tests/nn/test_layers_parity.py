"""Every layer loads PyTorch's `state_dict` of the same layer and gives the same output and gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn as tnn

from lmbook import nn
from lmbook.autograd import as_tensor
from lmbook.backend import host
from tests.parity import (
    LAYOUTS,
    Draw,
    as_function,
    integers,
    module_parity,
    normal,
    parity,
    uniform,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning"),
]


def both(name: str, *args: Any, **kwargs: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The layer of that name on both sides, built with the same arguments."""
    return lambda: getattr(nn, name)(*args, **kwargs), lambda: getattr(tnn, name)(*args, **kwargs)


def padding(*shape: int) -> Draw:
    """True at the end of each row, never at its start."""

    def make(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        return np.arange(s[1]) >= rng.integers(1, s[1] + 1, s[0])[:, None]

    return Draw(shape, make, False)


def hidden(n: int, m: int | None = None) -> np.ndarray:
    """PyTorch's boolean causal mask: true where a query may not look."""
    return np.triu(np.ones((n, m or n), bool), 1)


X = [[(3, 4)], [(2, 3, 4)]]
IMAGE = [[normal(2, 4, 3, 5, scale=2, shift=1)]]
SERIES = [[normal(5, 4, scale=2, shift=1)], [normal(3, 4, 6, scale=2)]]
PAIR = [[(3, 4), (3, 4)]]
CHANCE = [[uniform(3, 4, low=0.05, high=0.95), uniform(3, 4, grad=False)]]
CLASSES = [[(6, 5), integers(6, high=5)]]
TINY: dict[str, Any] = {"dim_feedforward": 10, "dropout": 0.0, "batch_first": True}

# name: both layers, the cases, keywords of the call
LAYERS: dict[str, tuple[Any, Any, list[Any], dict[str, Any]]] = {
    **{n: (*both(n), X, {}) for n in ("Sigmoid", "Tanh", "ReLU", "GELU", "SiLU", "Softplus", "Identity")},
    "GELU, tanh": (*both("GELU", approximate="tanh"), X, {}),
    "LeakyReLU": (*both("LeakyReLU", 0.3), X, {}),
    "Softmax": (*both("Softmax", dim=1), X, {}),
    "LogSoftmax": (*both("LogSoftmax", dim=-1), X, {}),
    "Dropout, evaluated": (lambda: nn.Dropout(0.5).eval(), lambda: tnn.Dropout(0.5).eval(), X, {}),
    "Linear": (*both("Linear", 4, 3), X, {}),
    "Sequential": (*(lambda n=n: n.Sequential(n.Linear(4, 3), n.Tanh(), n.Linear(3, 2)) for n in (nn, tnn)),
                   X, {}),
    "Linear, no bias": (*both("Linear", 4, 3, bias=False), X, {}),
    "Embedding": (*both("Embedding", 7, 3), [[integers(2, 5, high=7)]], {}),
    "LayerNorm": (*both("LayerNorm", 4), X, {}),
    "LayerNorm, two axes": (*both("LayerNorm", (3, 4), eps=1e-3), [[(2, 3, 4)]], {}),
    "LayerNorm, no bias": (*both("LayerNorm", 4, bias=False), X, {}),
    "LayerNorm, plain": (*both("LayerNorm", 4, elementwise_affine=False), X, {}),
    "RMSNorm": (*both("RMSNorm", 4, eps=1e-6), X, {}),
    "RMSNorm, default": (*both("RMSNorm", 4), X, {}),
    "GroupNorm": (*both("GroupNorm", 2, 4), IMAGE, {}),
    "GroupNorm, plain": (*both("GroupNorm", 2, 4, affine=False), IMAGE, {}),
    "BatchNorm1d": (*both("BatchNorm1d", 4), SERIES, {}),
    "BatchNorm2d": (*both("BatchNorm2d", 4), IMAGE, {}),
    "BatchNorm2d, plain": (*both("BatchNorm2d", 4, affine=False), IMAGE, {}),
    "BatchNorm1d, untracked": (*both("BatchNorm1d", 4, track_running_stats=False), SERIES, {}),
    "MSELoss": (*both("MSELoss"), PAIR, {}),
    "L1Loss": (*both("L1Loss", reduction="sum"), PAIR, {}),
    "HuberLoss": (*both("HuberLoss", delta=0.5), PAIR, {}),
    "BCELoss": (*both("BCELoss"), CHANCE, {}),
    "BCEWithLogitsLoss": (*both("BCEWithLogitsLoss"), PAIR, {}),
    "KLDivLoss": (*both("KLDivLoss", reduction="batchmean"), CHANCE, {}),
    "NLLLoss": (*both("NLLLoss"), CLASSES, {}),
    "CrossEntropyLoss": (*both("CrossEntropyLoss", label_smoothing=0.1), CLASSES, {}),
}  # fmt: skip

E, S = (2, 5, 8), (2, 6, 8)
MHA = both("MultiheadAttention", 8, 2, batch_first=True)
ENCODER = both("TransformerEncoderLayer", 8, 2, **TINY)
DECODER = both("TransformerDecoderLayer", 8, 2, **TINY)
LAYERS |= {
    "MultiheadAttention": (*MHA, [[E, S, S]], {}),
    "MultiheadAttention, no weights": (*MHA, [[E, S, S]], {"need_weights": False}),
    "MultiheadAttention, each head": (*MHA, [[E, S, S]], {"average_attn_weights": False}),
    "MultiheadAttention, length first": (
        *both("MultiheadAttention", 8, 4), [[(5, 2, 8), (6, 2, 8), (6, 2, 8)]], {}
    ),
    "MultiheadAttention, no batch": (*MHA, [[(5, 8), (6, 8), (6, 8)]], {}),
    "MultiheadAttention, no bias": (
        *both("MultiheadAttention", 8, 2, bias=False, batch_first=True), [[E, S, S]], {}
    ),
    "MultiheadAttention, causal": (*MHA, [[E, E, E]], {"attn_mask": hidden(5), "need_weights": False}),
    "MultiheadAttention, causal flag": (
        *MHA, [[E, E, E]], {"attn_mask": hidden(5), "is_causal": True, "need_weights": False}
    ),
    "TransformerEncoderLayer": (*ENCODER, [[E]], {}),
    "TransformerEncoderLayer, causal": (*ENCODER, [[E]], {"src_mask": hidden(5)}),
    "TransformerEncoderLayer, norm first": (
        *both("TransformerEncoderLayer", 8, 2, norm_first=True, activation="gelu", **TINY), [[E]], {}
    ),
    "TransformerEncoderLayer, length first": (
        *both("TransformerEncoderLayer", 8, 2, dim_feedforward=10, dropout=0.0), [[(5, 2, 8)]], {}
    ),
    "TransformerEncoderLayer, no bias": (
        *both("TransformerEncoderLayer", 8, 2, bias=False, **TINY), [[E]], {}
    ),
    "TransformerDecoderLayer": (*DECODER, [[E, S]], {"tgt_mask": hidden(5)}),
    "TransformerDecoderLayer, norm first": (
        *both("TransformerDecoderLayer", 8, 2, norm_first=True, **TINY), [[E, S]],
        {"tgt_mask": hidden(5), "memory_mask": hidden(5, 6)},
    ),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(ENCODER[0](), 2, nn.LayerNorm(8)),
        lambda: tnn.TransformerEncoder(ENCODER[1](), 2, tnn.LayerNorm(8)), [[E]], {},
    ),
    "TransformerDecoder": (
        lambda: nn.TransformerDecoder(DECODER[0](), 2), lambda: tnn.TransformerDecoder(DECODER[1](), 2),
        [[E, S]], {"tgt_mask": hidden(5)},
    ),
}  # fmt: skip


LAYERS |= {
    "MultiheadAttention, padding": (*MHA, [[E, S, S, padding(2, 6)], [E, S, S, padding(2, 6), False]], {}),
    "MultiheadAttention, mask for each head": (
        *MHA, [[E, E, E]], {"attn_mask": np.repeat(hidden(5)[None], 4, 0)}
    ),
    "MultiheadAttention, bias": (
        *MHA, [[E, S, S, None, False]], {"attn_mask": np.linspace(-1, 1, 30).reshape(5, 6)}
    ),
    "TransformerEncoderLayer, padding": (*ENCODER, [[E, None, padding(2, 5)]], {}),
    "TransformerDecoderLayer, padding": (*DECODER, [[E, S, None, None, padding(2, 5), padding(2, 6)]], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    ours, theirs, cases, call = LAYERS[name]
    torch.manual_seed(1)
    module = theirs()
    with torch.no_grad():  # biases start at zero, norms at one: move them, so that they matter
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))
    ties = any(part in name for part in ("Norm", "Transformer", "Huber", "L1"))
    module_parity(
        f"nn.{name}", ours(), module, *cases, call=call, layouts=LAYOUTS[:3] if ties else LAYOUTS
    )


def test_every_layer_is_compared() -> None:
    """A new class in `nn` needs a line above, or in the files of convolution and recurrence."""
    here = Path(__file__).parent
    source = "".join(p.read_text(encoding="utf-8") for p in here.parent.glob("*/test_*.py"))
    own = {"Module", "Parameter", "ModuleList", "ModuleDict"}
    classes = [n for n in nn.__all__ if isinstance(getattr(nn, n), type) and n not in own]
    assert not [n for n in classes if f'"{n}' not in source and f"nn.{n}" not in source]


# Layers that PyTorch has not, against a few lines of PyTorch


def test_swiglu() -> None:
    ours, names = as_function(nn.SwiGLU(4, 6))
    assert names == ["w1.weight", "w2.weight", "w3.weight"]

    def theirs(x: Any, w1: Any, w2: Any, w3: Any) -> Any:
        return (tnn.functional.silu(x @ w1.T) * (x @ w3.T)) @ w2.T

    parity("nn.SwiGLU", ours, theirs, [(2, 3, 4), (6, 4), (4, 6), (6, 4)])


def test_mixture_of_experts() -> None:
    """Against all experts run on all tokens, weighed by the k largest gates' softmax."""
    layer = nn.MixtureOfExperts(4, 6, num_experts=3, top_k=2)
    ours, names = as_function(layer)
    silu = tnn.functional.silu

    def theirs(x: Any, *values: Any) -> Any:
        p = dict(zip(names, values, strict=True))
        best, chosen = (x @ p["gate.weight"].T).topk(2)
        weights = torch.zeros(*x.shape[:-1], 3, dtype=x.dtype).scatter(-1, chosen, best.softmax(-1))
        w1, w2, w3 = ([p[f"experts.{i}.w{j}.weight"] for i in range(3)] for j in (1, 2, 3))
        outputs = [(silu(x @ a.T) * (x @ c.T)) @ b.T for a, b, c in zip(w1, w2, w3, strict=True)]
        return sum(y * weights[..., i : i + 1] for i, y in enumerate(outputs))

    shapes = [p.shape for p in layer.parameters()]
    parity(
        "nn.MixtureOfExperts",
        ours,
        theirs,
        [(2, 5, 4), *shapes],
        [(3, 4), *shapes],
        layouts=LAYOUTS[:3],
    )
    layer(as_tensor(np.ones((2, 4), np.float32)))
    assert abs(layer.load.sum() - 1) < 1e-12 and layer.balance_loss.item() > 0


def test_sinusoidal_positions() -> None:
    layer = nn.SinusoidalPositionalEncoding(6, 20)
    t, i = np.arange(20)[:, None], np.arange(3)
    angle = t / 10000 ** (2 * i / 6)
    table = np.zeros((20, 6))
    table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)
    name, codes = "nn.SinusoidalPositionalEncoding", torch.tensor(table)
    parity(name, layer, lambda x: x + codes[: x.shape[-2]], [(2, 5, 6)], [(4, 6)])
    parity(f"{name}, offset", lambda x: layer(x, offset=7), lambda x: x + codes[7:12], [(2, 5, 6)])
    x = as_tensor(np.zeros((2, 5, 6)))
    np.testing.assert_allclose(layer(x).detach().numpy()[1], table[:5], atol=1e-6)
    np.testing.assert_allclose(layer(x, offset=7).detach().numpy()[0], table[7:12], atol=1e-6)
    assert not list(layer.parameters())


def test_learned_positions() -> None:
    ours, _ = as_function(nn.LearnedPositionalEmbedding(9, 4))
    parity(
        "nn.LearnedPositionalEmbedding",
        ours,
        lambda x, w: x + w[: x.shape[-2]],
        [(2, 5, 4), (9, 4)],
    )
    shifted, _ = as_function(nn.LearnedPositionalEmbedding(9, 4), offset=3)
    parity(
        "nn.LearnedPositionalEmbedding, offset",
        shifted,
        lambda x, w: x + w[3:8],
        [(2, 5, 4), (9, 4)],
    )


@pytest.mark.parametrize("offset", [0, 4])
def test_rotary_positions(offset: int) -> None:
    layer = nn.RotaryEmbedding(6, 20)
    double = {"dtype": torch.float64}
    angle = (torch.arange(5, **double)[:, None] + offset) / 10000 ** (
        torch.arange(0, 6, 2, **double) / 6
    )
    turn = torch.polar(torch.ones_like(angle), angle)

    def theirs(x: Any) -> Any:
        z = torch.complex(x[..., :3], x[..., 3:]) * turn
        return torch.cat([z.real, z.imag], -1)

    def ours(x: Any) -> Any:
        return layer(x, offset=offset)

    parity(f"nn.RotaryEmbedding, offset {offset}", ours, theirs, [(2, 3, 5, 6)], [(5, 6)])


# Training and evaluation


@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_norm_trains_and_evaluates_as_pytorch_s(kind: str, dtype: str) -> None:
    ours, theirs = (getattr(m, kind)(3, momentum=0.2) for m in (nn, tnn))
    theirs.to(getattr(torch, dtype))
    ours.to(dtype)
    rng = np.random.default_rng(0)
    shape = (4, 3, 5) if kind == "BatchNorm1d" else (4, 3, 2, 5)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        x = (rng.standard_normal(shape) * 3 + 1).astype(dtype)
        a, b = as_tensor(x.copy()), torch.tensor(x, requires_grad=True)
        a.requires_grad = True
        y, z = ours(a), theirs(b)
        y.square().sum().backward()
        z.square().sum().backward()
        tolerance = {"float32": 2e-4, "float64": 1e-9}[dtype]
        np.testing.assert_allclose(
            y.detach().numpy(), z.detach().numpy(), rtol=tolerance, atol=tolerance
        )
        np.testing.assert_allclose(
            a.grad.detach().numpy(), b.grad.numpy(), rtol=tolerance, atol=tolerance
        )
        assert y.dtype == dtype
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(host(ours.state_dict()[name]), value.numpy(), rtol=1e-5)
    assert ours.num_batches_tracked.item() == 2


@pytest.mark.parametrize("name", [n for n in LAYERS if "Loss" not in n])
def test_float32_state_loads_and_gives_the_same_output(name: str) -> None:
    """The way a reader does it: build both, load, call, with no change of type."""
    ours, theirs, cases, call = LAYERS[name]
    torch.manual_seed(2)
    a, b = ours().eval(), theirs().eval()
    a.load_state_dict(b.state_dict())
    assert set(a.state_dict()) == set(b.state_dict())
    rng = np.random.default_rng(3)
    drawn = [normal(*d) if isinstance(d, tuple) else d for d in cases[0]]
    inputs = [d.make(rng, d.shape) if isinstance(d, Draw) else d for d in drawn]
    inputs = [
        x.astype("f4") if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs
    ]
    call32 = {
        k: v.astype("f4") if getattr(v, "dtype", None) == np.float64 else v for k, v in call.items()
    }
    y = a(*[x if x is None or isinstance(x, bool) else as_tensor(x) for x in inputs], **call32)
    as_torch = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in call32.items()}
    z = b(*[torch.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs], **as_torch)
    for p, q in zip(
        y if isinstance(y, tuple) else [y], z if isinstance(z, tuple) else [z], strict=True
    ):
        if q is not None:
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-5)
            assert p.dtype == np.float32
