"""Rungs 2, 8, 9 and 12: transpose, matrix product, convolution, quantised matrix times vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.backend import namespace
from lmbook.gpu.kernels.ladder import Launch, Plan, Rung, blocks, normal

Array = Any
TILE = 32

# --- transpose

transpose = Rung(
    "transpose", "Transpose: shared memory and its banks", lambda a: (a.T,),
    lambda rng, size: (normal(rng, *size),), ((1, 1), (33, 31), (64, 100), (5, 130)),
)  # fmt: skip


def _transpose(name: str, a: Array) -> Plan:
    rows, cols = a.shape
    b = namespace(a).zeros((cols, rows), a.dtype)
    grid = (blocks(cols, TILE), blocks(rows, TILE))
    return Plan([Launch(name, grid, (TILE, TILE), (a, b, rows, cols))], (b,))


for _name in ("transpose1_naive", "transpose2_tiled", "transpose3_padded", "transpose4_swizzled"):
    transpose.version(_name)(lambda a, name=_name: _transpose(name, a))

# --- matrix product

matmul = Rung(
    "matmul", "Matrix product: reuse in shared memory and registers", lambda a, b: (a @ b,),
    lambda rng, size: (normal(rng, size[0], size[2]), normal(rng, size[2], size[1])),
    ((1, 1, 1), (33, 65, 17), (64, 64, 64), (70, 100, 45)), 1e-4,
)  # fmt: skip


def _matmul(name: str, a: Array, b: Array) -> Plan:
    (m, k), n = a.shape, b.shape[1]
    c = namespace(a).zeros((m, n), a.dtype)
    if name == "matmul1_naive":
        grid, block = (blocks(m, TILE), blocks(n, TILE)), (TILE, TILE)
    elif name in ("matmul2_coalesced", "matmul3_tiled"):
        grid, block = (blocks(n, TILE), blocks(m, TILE)), (TILE, TILE)
    else:
        grid, block = (blocks(n, 64), blocks(m, 64)), (256, 1)
    return Plan([Launch(name, grid, block, (a, b, c, m, n, k))], (c,))


for _name in ("matmul1_naive", "matmul2_coalesced", "matmul3_tiled", "matmul4_registers",
              "matmul5_vectorised", "matmul6_double_buffered"):  # fmt: skip
    matmul.version(_name)(lambda a, b, name=_name: _matmul(name, a, b))

# --- convolution, 3 x 3, padding 1


def convolution_reference(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray]:
    """y[o] = sum over c, i, j of weight[o, c, i, j] times x[c] shifted by (i - 1, j - 1)."""
    _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    taps = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return (np.einsum("ock,kchw->ohw", weight.reshape(*weight.shape[:2], 9), np.stack(taps)),)


convolution = Rung(
    "convolution", "Convolution: a buffer nine times the input, or none", convolution_reference,
    lambda rng, size: (normal(rng, size[0], *size[2:]), normal(rng, size[1], size[0], 3, 3)),
    ((1, 1, 1, 1), (3, 4, 9, 33), (2, 3, 17, 40)), 1e-4,
)  # fmt: skip


@convolution.version("conv1_im2col")
def _im2col(x: Array, weight: Array) -> Plan:
    (c, h, w), o = x.shape, weight.shape[0]
    xp = namespace(x)
    col, y = xp.zeros((9 * c, h * w), x.dtype), xp.zeros((o, h, w), x.dtype)
    product = (weight, col, y, o, 9 * c, h * w)
    return Plan(
        [
            Launch("conv1_im2col", blocks(col.size, 256), 256, (x, col, c, h, w)),
            Launch("conv1_product", (blocks(h * w, 128), o), 128, product),
        ],
        (y,),
    )


def _convolution(name: str, x: Array, weight: Array) -> Plan:
    (c, h, w), o = x.shape, weight.shape[0]
    y = namespace(x).zeros((o, h, w), x.dtype)
    grid = (blocks(w, 32), blocks(h, 8), o)
    return Plan([Launch(name, grid, (32, 8), (x, weight, y, c, h, w))], (y,))


for _name in ("conv2_direct", "conv3_tiled"):
    convolution.version(_name)(lambda x, weight, name=_name: _convolution(name, x, weight))

# --- matrix times vector, in float32, int8 and int4


def quantise8(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights and a scale for each row: w is about q times scale."""
    scale = np.maximum(np.abs(w).max(axis=1), 1e-12) / 127
    return np.rint(w / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def quantise4(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of four bits, eight to a word, and a scale for each 32: w is about (q - 8) times scale."""
    rows, n = w.shape
    groups = w.reshape(rows, n // 32, 32)
    scale = np.maximum(np.abs(groups).max(axis=2), 1e-12) / 7
    q = (np.rint(groups / scale[:, :, None]) + 8).astype(np.uint32).reshape(rows, n // 8, 8)
    words = (q << (4 * np.arange(8, dtype=np.uint32))).sum(axis=2, dtype=np.uint32)
    return words, scale.astype(np.float32)


def repack4(words: Array) -> Array:
    """The same weights in another order, made once when a model is loaded.

    Of each 256 columns, word l has the columns l, l + 32, ..., l + 224, where `quantise4` put 8 l to 8 l + 7;
    with m < 32 words at a row's end the distance is m.
    """
    xp = namespace(words)
    shifts, parts = (4 * xp.arange(8)).astype(np.uint32), []
    for first in range(0, words.shape[1], 32):
        q = (words[:, first : first + 32, None] >> shifts) & np.uint32(15)
        q = q.reshape(len(words), 8, -1).transpose(0, 2, 1)
        parts.append((q << shifts).sum(axis=2, dtype=np.uint32))
    return np.concatenate(parts, axis=1)


def dequantise4(words: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The weights that words and scales stand for."""
    q = (words[:, :, None] >> (4 * np.arange(8, dtype=np.uint32))) & 15
    w = q.reshape(*scale.shape, 32).astype(np.float32) - 8
    return (w * scale[:, :, None]).reshape(len(words), -1)


def _weights(w: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    if scale is None:
        return w
    return dequantise4(w, scale) if w.dtype == np.uint32 else w * scale[:, None]


matvec = Rung(
    "matvec", "Matrix times vector: weights of fewer bits",
    lambda w, x, scale=None: (_weights(w, scale) @ x,),
    lambda rng, size: (normal(rng, *size), normal(rng, size[1])),
    ((1, 32), (9, 512), (30, 160)), 1e-4,
)  # fmt: skip


def _matvec(name: str, w: Array, x: Array, scale: Array | None = None) -> Plan:
    rows, n = w.shape[0], x.size
    y = namespace(x).zeros(rows, x.dtype)
    args = (w, x, y, rows, n) if scale is None else (w, scale, x, y, rows, n)
    return Plan([Launch(name, blocks(rows, 8), 256, args)], (y,))


@matvec.version("matvec1_float32")
def _matvec_float32(w: Array, x: Array, scale: Array | None = None) -> Plan:
    return _matvec("matvec1_float32", w, x)


@matvec.version("matvec2_int8")
def _matvec_int8(w: Array, x: Array, scale: Array) -> Plan:
    return _matvec("matvec2_int8", w, x, scale)


@matvec.version("matvec3_int4")
def _matvec_int4(w: Array, x: Array, scale: Array) -> Plan:
    return _matvec("matvec3_int4", w, x, scale)


@matvec.version("matvec4_repacked")
def _matvec_repacked(w: Array, x: Array, scale: Array) -> Plan:
    return _matvec("matvec4_repacked", repack4(w), x, scale)
