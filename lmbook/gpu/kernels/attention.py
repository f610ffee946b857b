"""Rung 11: causal attention, unfused and as flash attention, forwards and backwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.backend import ShapeError, namespace
from lmbook.gpu.kernels.ladder import Launch, Plan, Rung, blocks, normal

Array = Any
D = 64
ROWS = 32
THREADS = 128


def weights(q: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """softmax(q k^T / sqrt(D)) over earlier positions, and the log of its denominator."""
    s = q.astype(np.float64) @ k.swapaxes(1, 2) / np.sqrt(D)
    s = np.where(np.tril(np.ones(s.shape[1:], bool)), s, -np.inf)
    top = s.max(axis=2, keepdims=True)
    e = np.exp(s - top)
    total = e.sum(axis=2, keepdims=True)
    return e / total, (top + np.log(total))[:, :, 0]


def attention_reference(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray]:
    """Causal attention of (heads, S, 64)."""
    return (weights(q, k)[0] @ v,)


def _attention_sample(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Normal numbers; every second query has scores about -128, where exp gives 0 in float32."""
    q, k, v = (normal(rng, *size, D) for _ in range(3))
    q[:, 1::2] -= 4
    return q, k + 4, v


attention = Rung(
    "attention", "Attention: scores that never reach memory", attention_reference,
    _attention_sample, ((1, 1), (2, 40), (2, 70)), 1e-4,
)  # fmt: skip


def _sizes(q: Array) -> tuple[int, int, float]:
    if q.ndim != 3 or q.shape[2] != D:
        raise ShapeError(f"attention: expected (heads, S, {D}), got {q.shape}")
    return q.shape[0], q.shape[1], D**-0.5


@attention.version("attention1_unfused")
def _unfused(q: Array, k: Array, v: Array) -> Plan:
    heads, s, scale = _sizes(q)
    xp = namespace(q)
    p, o = xp.zeros((heads, s, s), q.dtype), xp.zeros_like(q)
    return Plan(
        [
            Launch("attention1_scores", (blocks(s, 128), s, heads), 128, (q, k, p, s, scale)),
            Launch("attention1_softmax", heads * s, 32, (p, s)),
            Launch("attention1_values", (s, heads), D, (p, v, o, s)),
        ],
        (o,),
    )


def flash_forward(q: Array, k: Array, v: Array) -> Plan:
    """Outputs o and the log of the denominators, which the backward pass needs."""
    heads, s, scale = _sizes(q)
    o, log_sum = namespace(q).zeros_like(q), namespace(q).zeros((heads, s), q.dtype)
    args = (q, k, v, o, log_sum, s, scale)
    return Plan([Launch("attention2_flash", (blocks(s, ROWS), heads), THREADS, args)], (o, log_sum))


@attention.version("attention2_flash")
def _flash(q: Array, k: Array, v: Array) -> Plan:
    plan = flash_forward(q, k, v)
    return Plan(plan.launches, plan.outputs[:1])


def backward_reference(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, do: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Gradients of q, k and v, given that of the output."""
    p, _ = weights(q, k)
    do = do.astype(np.float64)
    dp = do @ v.swapaxes(1, 2)
    ds = p * (dp - (dp * p).sum(axis=2, keepdims=True)) / np.sqrt(D)
    return ds @ k, ds.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ do


attention_backward = Rung(
    "attention", "Attention backwards: the scores once more", backward_reference,
    lambda rng, size: tuple(normal(rng, *size, D) for _ in range(4)), ((1, 1), (2, 40), (2, 70)), 1e-4,
)  # fmt: skip


@attention_backward.version("attention3_flash")
def _backward(q: Array, k: Array, v: Array, do: Array) -> Plan:
    """Runs the forward pass first, whose output and denominators it needs."""
    forward = flash_forward(q, k, v)
    plan = flash_backward(q, k, v, do, *forward.outputs)
    return Plan([*forward.launches, *plan.launches], plan.outputs)


def flash_backward(q: Array, k: Array, v: Array, do: Array, o: Array, log_sum: Array) -> Plan:
    """Gradients of q, k and v from that of the output, given what `flash_forward` gave."""
    heads, s, scale = _sizes(q)
    xp = namespace(q)
    delta = xp.zeros((heads, s), q.dtype)
    dq, dk, dv = xp.zeros_like(q), xp.zeros_like(k), xp.zeros_like(v)
    grid = (blocks(s, ROWS), heads)
    kept = (q, k, v, do, log_sum, delta)
    return Plan(
        [
            Launch("attention3_delta", heads * s, 32, (o, do, delta)),
            Launch("attention3_dq", grid, THREADS, (*kept, dq, s, scale)),
            Launch("attention3_dkv", grid, THREADS, (*kept, dk, dv, s, scale)),
        ],
        (dq, dk, dv),
    )
