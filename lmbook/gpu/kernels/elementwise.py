"""Rungs 1, 6 and 7: copy, bias with GELU, AdamW. One thread an element; bytes are all that counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmbook.backend import namespace
from lmbook.gpu.kernels.ladder import Launch, Plan, Rung, blocks, normal

Array = Any
THREADS = 256

copy = Rung(
    "copy", "Copy: what coalescing is", lambda x, step=0: (np.asarray(x),),
    lambda rng, n: (normal(rng, n),), (1, 31, 1000, 4097),
)  # fmt: skip


@copy.version("copy1_scalar")
def _copy(x: Array) -> Plan:
    y = namespace(x).zeros_like(x)
    return Plan([Launch("copy1_scalar", blocks(x.size, THREADS), THREADS, (x, y, x.size))], (y,))


@copy.version("copy4_float4")
def _copy4(x: Array) -> Plan:
    y = namespace(x).zeros_like(x)
    grid = blocks(blocks(x.size, 4), THREADS)
    return Plan([Launch("copy4_float4", grid, THREADS, (x, y, x.size))], (y,))


def copy_offset(x: Array, offset: int) -> Plan:
    """y[i] = x[i + offset]."""
    y = namespace(x).zeros_like(x)
    return Plan(
        [Launch("copy2_offset", blocks(x.size, THREADS), THREADS, (x, y, x.size, offset))], (y,)
    )


def copy_strided(x: Array, stride: int) -> Plan:
    """y[i] = x[i] for every stride-th i."""
    y = namespace(x).zeros_like(x)
    n = blocks(blocks(x.size, stride), THREADS)
    return Plan([Launch("copy3_strided", n, THREADS, (x, y, x.size, stride))], (y,))


# --- bias and GELU


def gelu(v: np.ndarray) -> np.ndarray:
    """0.5 v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3)))."""
    return 0.5 * v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))


bias_gelu = Rung(
    "bias_gelu", "Bias and GELU: what fusing saves",
    lambda x, bias: (gelu(x.astype(np.float64) + bias),),
    lambda rng, size: (normal(rng, *size), normal(rng, size[1])), ((1, 4), (7, 36), (33, 100)),
)  # fmt: skip


@bias_gelu.version("bias_gelu1_separate")
def _separate(x: Array, bias: Array) -> Plan:
    y, n = namespace(x).zeros_like(x), blocks(x.size, THREADS)
    return Plan(
        [
            Launch("bias_gelu1_bias", n, THREADS, (x, bias, y, x.size, bias.size)),
            Launch("bias_gelu1_gelu", n, THREADS, (y, x.size)),
        ],
        (y,),
    )


@bias_gelu.version("bias_gelu2_fused")
def _fused(x: Array, bias: Array) -> Plan:
    y = namespace(x).zeros_like(x)
    args = (x, bias, y, x.size, bias.size)
    return Plan([Launch("bias_gelu2_fused", blocks(x.size, THREADS), THREADS, args)], (y,))


@bias_gelu.version("bias_gelu3_float4")
def _fused4(x: Array, bias: Array) -> Plan:
    y = namespace(x).zeros_like(x)
    args = (x, bias, y, x.size, bias.size)
    return Plan([Launch("bias_gelu3_float4", blocks(x.size // 4, THREADS), THREADS, args)], (y,))


# --- AdamW


class AdamW(NamedTuple):
    """Settings of a step; `step` counts from 1."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.1
    step: int = 10

    @property
    def corrections(self) -> tuple[float, float]:
        """(1 - beta1^t, 1 - beta2^t) at step t."""
        return 1 - self.beta1**self.step, 1 - self.beta2**self.step


SETTINGS = AdamW()


def adamw_reference(p: Array, g: Array, m: Array, v: Array, o: AdamW = SETTINGS) -> tuple[Any, ...]:
    """Parameter and moments after a step, in float64."""
    p, g, m, v = (a.astype(np.float64) for a in (p, g, m, v))
    m = o.beta1 * m + (1 - o.beta1) * g
    v = o.beta2 * v + (1 - o.beta2) * g * g
    c1, c2 = o.corrections
    return p - o.lr * ((m / c1) / (np.sqrt(v / c2) + o.eps) + o.weight_decay * p), m, v


adamw = Rung(
    "adamw", "AdamW: four arrays, 28 bytes a parameter", adamw_reference,
    lambda rng, n: (normal(rng, n), normal(rng, n), normal(rng, n), np.abs(normal(rng, n))),
    (1, 257, 1024, 4100),
)  # fmt: skip


@adamw.version("adamw1_separate")
def _adamw_separate(p: Array, g: Array, m: Array, v: Array, o: AdamW = SETTINGS) -> Plan:
    p, m, v = p.copy(), m.copy(), v.copy()
    n, grid = p.size, blocks(p.size, THREADS)
    step = (p, m, v, n, o.lr, o.eps, o.weight_decay, *o.corrections)
    return Plan(
        [
            Launch("adamw1_first", grid, THREADS, (m, g, n, o.beta1)),
            Launch("adamw1_second", grid, THREADS, (v, g, n, o.beta2)),
            Launch("adamw1_step", grid, THREADS, step),
        ],
        (p, m, v),
    )


def _adamw(name: str, per: int, p: Array, g: Array, m: Array, v: Array, o: AdamW) -> Plan:
    p, m, v = p.copy(), m.copy(), v.copy()
    n = p.size
    args = (p, g, m, v, n, o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, *o.corrections)
    return Plan([Launch(name, blocks(blocks(n, per), THREADS), THREADS, args)], (p, m, v))


@adamw.version("adamw2_fused")
def _adamw_fused(p: Array, g: Array, m: Array, v: Array, o: AdamW = SETTINGS) -> Plan:
    return _adamw("adamw2_fused", 1, p, g, m, v, o)


@adamw.version("adamw3_float4")
def _adamw_float4(p: Array, g: Array, m: Array, v: Array, o: AdamW = SETTINGS) -> Plan:
    return _adamw("adamw3_float4", 4, p, g, m, v, o)
