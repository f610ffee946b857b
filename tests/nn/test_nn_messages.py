"""Mistakes with layers, losses and attention: the message names the operation, the shapes, the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmbook import functional as F
from lmbook import nn, optim, tensor, zeros
from lmbook.backend import DTypeError, IndexRangeError, NonFiniteError, ShapeError

X, N = zeros(2, 3), tensor([[1, 2, 0]])
P = nn.Parameter(zeros(2))


sdpa = F.scaled_dot_product_attention


def lr_of(**settings: float) -> Callable[[], Any]:
    return lambda: optim.SGD([P], **settings)


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "linear": (lambda: nn.Linear(4, 5)(X), ShapeError, ("linear", "(2, 3)", "(5, 4)", "4")),
    "linear, number": (lambda: F.linear(tensor(1.0), zeros(2, 2)),
     ShapeError, ("linear", "()", "(2, 2)")),
    "linear, bias": (lambda: F.linear(X, zeros(5, 3), zeros(4)),
     ShapeError, ("linear", "(5, 3)", "(4,)")),
    "embedding, range": (lambda: nn.Embedding(2, 4)(N), IndexRangeError,
                         ("embedding", "0 to 2", "(2, 4)", "rows 0 to 1", "vocabulary")),
    "embedding, negative": (lambda: F.embedding(tensor([-1]), X),
     IndexRangeError, ("-1", "(2, 3)")),
    "embedding, type": (lambda: nn.Embedding(2, 4)(X),
     DTypeError, ("embedding", "float32", ".long()")),
    "dropout": (lambda: F.dropout(X, 1.5), ValueError, ("dropout", "1.5", "[0, 1)")),
    "Dropout": (lambda: nn.Dropout(-0.1), ValueError, ("Dropout", "-0.1")),
    "softmax, integers": (lambda: F.softmax(N), DTypeError, ("softmax", "int64", "x.float()")),
    "softmax, dim": (lambda: F.softmax(X, 2), IndexRangeError, ("dim 2", "(2, 3)")),
    "gelu, integers": (lambda: F.gelu(N), DTypeError, ("gelu", "int64")),
    "gelu, kind": (lambda: F.gelu(X, "erf"), ValueError, ("gelu", "'erf'", "'tanh'")),
    "glu": (lambda: F.glu(X), ShapeError, ("glu", "(2, 3)", "even")),
    "activation": (lambda: nn.TransformerEncoderLayer(4, 2, activation="relo"),
     ValueError, ("'relo'", "relu")),
    # losses
    "cross_entropy, shapes": (lambda: F.cross_entropy(zeros(2, 5, 7), np.zeros((2, 5), int)),
     ShapeError,
                              ("cross_entropy", "(2, 5, 7)", "(2, 7)", "(2, 5)", "reshape(-1, classes)")),
    "cross_entropy, range": (lambda: F.cross_entropy(X, np.array([0, 3])), IndexRangeError,
                             ("cross_entropy", "0 to 3", "(2, 3)", "classes 0 to 2")),
    "cross_entropy, negative": (lambda: F.cross_entropy(X, np.array([0, -1])),
     IndexRangeError, ("-1", "(2, 3)")),
    "cross_entropy, type": (lambda: F.cross_entropy(X, zeros(2)),
     DTypeError, ("cross_entropy", "float32", ".long()")),
    "cross_entropy, reduction": (lambda: F.cross_entropy(X, np.array([0, 1]), reduction="avg"),
     ValueError,
                                 ("'avg'", "'mean'")),
    "cross_entropy, number": (lambda: F.cross_entropy(tensor(1.0), np.array(0)),
     ShapeError, ("cross_entropy", "()")),
    "nll_loss, shapes": (lambda: F.nll_loss(X, np.zeros(3, int)),
     ShapeError, ("nll_loss", "(2, 3)", "(3,)")),
    "nll_loss, range": (lambda: F.nll_loss(X, np.array([0, 4])),
     IndexRangeError, ("nll_loss", "0 to 2")),
    "mse_loss, broadcast": (lambda: F.mse_loss(zeros(4, 1), zeros(4)), ShapeError,
                            ("mse_loss", "(4, 1)", "(4,)", "same shape")),
    "l1_loss": (lambda: F.l1_loss(X, zeros(3)), ShapeError, ("l1_loss", "(2, 3)", "(3,)")),
    "huber_loss": (lambda: F.huber_loss(X, zeros(3)), ShapeError, ("huber_loss", "(3,)")),
    "kl_div": (lambda: F.kl_div(X, zeros(3)), ShapeError, ("kl_div", "(3,)")),
    "bce": (lambda: F.binary_cross_entropy(X + 2, X), ValueError, ("[0, 1]", "with_logits")),
    "bce, shapes": (lambda: F.binary_cross_entropy(X, zeros(2)),
     ShapeError, ("binary_cross_entropy", "(2,)")),
    "bce with logits": (lambda: F.binary_cross_entropy_with_logits(X, zeros(2)),
     ShapeError, ("logits", "(2,)")),
    "reduction": (lambda: F.mse_loss(X, X, "max"), ValueError, ("'max'", "'none'")),
    # normalisation
    "layer_norm": (lambda: nn.LayerNorm(4)(X), ShapeError, ("layer_norm", "(2, 3)", "(4,)")),
    "rms_norm": (lambda: nn.RMSNorm(4)(X), ShapeError, ("rms_norm", "(2, 3)", "(4,)")),
    "group_norm": (lambda: F.group_norm(X, 2),
     ShapeError, ("group_norm", "3 channels", "(2, 3)", "2")),
    "GroupNorm": (lambda: nn.GroupNorm(2, 3), ShapeError, ("GroupNorm", "3 channels", "2 groups")),
    "batch_norm, one row": (lambda: nn.BatchNorm1d(3)(zeros(1, 3)), ShapeError,
                            ("batch_norm", "(1, 3)", "eval()")),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4)(X),
     ShapeError, ("BatchNorm1d", "4 channels", "(2, 3)")),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3)(X), ShapeError, ("BatchNorm2d", "4 axes", "(2, 3)")),
    # attention
    "attention, width": (lambda: sdpa(zeros(1, 2, 3, 4), *[zeros(1, 2, 3, 5)] * 2), ShapeError,
                         ("scaled_dot_product_attention", "(1, 2, 3, 4)", "(1, 2, 3, 5)", "width")),
    "attention, length": (lambda: sdpa(X, X, zeros(4, 3)), ShapeError, ("(4, 3)", "length")),
    "attention, heads": (lambda: sdpa(zeros(1, 4, 3, 2), *[zeros(1, 2, 3, 2)] * 2), ShapeError,
                         ("(1, 4, 3, 2)", "(1, 2, 3, 2)", "enable_gqa=True")),
    "attention, groups": (lambda: sdpa(
        zeros(1, 3, 3, 2), *[zeros(1, 2, 3, 2)] * 2, enable_gqa=True),
        ShapeError, ("3 query heads", "2 key heads")),
    "attention, both masks": (lambda: sdpa(X, X, X, np.ones((2, 2), bool), is_causal=True),
                              ValueError, ("attn_mask or is_causal",)),
    "attention, mask's type": (lambda: sdpa(X, X, X, np.ones((2, 2), int)), DTypeError,
                               ("mask", "int64", "boolean")),
    "attention, mask's shape": (lambda: sdpa(X, X, X, np.ones((5, 7), bool)), ShapeError,
                                ("attention", "(5, 7)")),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(6, 4),
     ShapeError, ("MultiheadAttention", "6", "4 heads")),
    "MultiheadAttention, width": (lambda: nn.MultiheadAttention(4, 2)(X, X, X),
     ShapeError, ("(1, 2, 3)", "width 4")),
    "rotary": (lambda: F.rotary(zeros(5, 3), zeros(5, 1), zeros(5, 1)),
     ShapeError, ("rotary", "(5, 3)", "even")),
    "RotaryEmbedding": (lambda: nn.RotaryEmbedding(3),
     ShapeError, ("RotaryEmbedding", "even", "3")),
    "positions, odd": (lambda: nn.SinusoidalPositionalEncoding(3), ShapeError, ("even", "3")),
    "positions, too long": (lambda: nn.LearnedPositionalEmbedding(4, 3)(zeros(9, 3)),
                            (ShapeError, IndexRangeError), ("0 to 8", "4", "max_length")),
    "mixture": (lambda: nn.MixtureOfExperts(4, 4, 2, top_k=3),
     ValueError, ("MixtureOfExperts", "top_k = 3", "2")),
    # initial values
    "fan": (lambda: nn.init.xavier_uniform_(zeros(3)), ShapeError, ("init", "(3,)", "two axes")),
    "gain": (lambda: nn.init.calculate_gain("relo"),
     ValueError, ("calculate_gain", "'relo'", "relu")),
    # optimisers
    "no parameters": (lambda: optim.SGD([]),
     ValueError, ("SGD", "no parameters", "model.parameters()")),
    "not a parameter": (lambda: optim.Adam([np.zeros(3)]),
     TypeError, ("Adam", "ndarray", "model.parameters()")),
    "not a leaf": (lambda: optim.Adam([P * 2]), TypeError, ("Adam", "leaf")),
    "parameter twice": (lambda: optim.AdamW([P, P]), ValueError, ("AdamW", "twice")),
    "negative rate": (lr_of(lr=-1.0), ValueError, ("SGD", "lr = -1.0", "0 or more")),
    "rate is NaN": (lr_of(lr=float("nan")), (ValueError, NonFiniteError), ("SGD", "lr = nan")),
    "momentum": (lr_of(lr=0.1, momentum=-0.5), ValueError, ("SGD", "momentum = -0.5")),
    "nesterov": (lambda: optim.SGD([P], nesterov=True),
     ValueError, ("SGD", "nesterov", "momentum")),
    "betas": (lambda: optim.Adam([P], betas=(0.9, 1.0)), ValueError, ("Adam", "betas", "[0, 1)")),
    "no update": (lambda: _step(optim.Optimizer([P], {})),
     NotImplementedError, ("Optimizer", "update")),
    "warm-up": (lambda: optim.lr_scheduler.WarmupCosineLR(optim.SGD([P]), total=3, warmup=5),
     ValueError,
                ("WarmupCosineLR", "5", "3")),
    "groups differ": (lambda: optim.SGD([P]).load_state_dict(optim.SGD(
        [{"params": [P]}, {"params": [nn.Parameter(zeros(1))]}]).state_dict()),
        ValueError, ("2 groups", "1")),
    "norm is NaN": (lambda: nn.clip_grad_norm_([_with_grad(np.nan)], 1.0, error_if_nonfinite=True),
     NonFiniteError,
                    ("clip_grad_norm_", "nan", "learning rate", "detect_anomaly")),
}  # fmt: skip


def _step(optimizer: Any) -> None:
    P.grad = zeros(2)
    optimizer.step()


def _with_grad(value: float) -> Any:
    p = nn.Parameter(zeros(2))
    p.grad = zeros(2) + value
    return p


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_message_says_what_and_where_and_how(kind: str) -> None:
    act, error, words = MISTAKES[kind]
    with pytest.raises(error) as caught:
        act()
    message = str(caught.value)
    assert all(word in message for word in words), f"{message!r} lacks one of {words}"
