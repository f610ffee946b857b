"""Compiled recurrent kernels: steps in one pass, and the LSTM's whole sequence without the interpreter."""

import numpy as np

from lmbook.backend.fast.blas import address, gemm
from lmbook.backend.fast.compile import flat, jit, tanh
from lmbook.backend.fast.panels import add_product, fits, pack
from lmbook.backend.kernels import recurrent as reference

__all__ = [
    "gru_step", "gru_step_backward", "input_gates", "input_gradient", "lstm", "lstm_backward", "lstm_step",
    "lstm_step_backward", "turn",
]  # fmt: skip

Array = np.ndarray


@jit
def _turn(x, y):  # type: ignore[no-untyped-def]
    for t in range(x.shape[0]):
        for j in range(x.shape[2]):
            for i in range(x.shape[1]):
                y[t, j, i] = x[t, i, j]


def turn(x: Array) -> Array:
    """A copy with the last two axes exchanged."""
    y = np.empty((x.shape[0], x.shape[2], x.shape[1]), x.dtype)
    _turn(x, y)
    return y


@jit
def _lstm_step(a, c_before, c, tanh_c, h):  # type: ignore[no-untyped-def]
    n, half = h.size, a.dtype.type(0.5)
    for j in range(n):
        i = half + half * tanh(half * a[j])
        f = half + half * tanh(half * a[n + j])
        g = tanh(a[2 * n + j])
        o = half + half * tanh(half * a[3 * n + j])
        cell = i * g + f * c_before[j]
        turned = tanh(cell)
        a[j], a[n + j], a[2 * n + j], a[3 * n + j] = i, f, g, o
        c[j], tanh_c[j], h[j] = cell, turned, o * turned


@jit
def _lstm_step_backward(a, c_before, tanh_c, dh, dc, da):  # type: ignore[no-untyped-def]
    n, one = dh.size, a.dtype.type(1)
    for j in range(n):
        i, f, g, o = a[j], a[n + j], a[2 * n + j], a[3 * n + j]
        turned = tanh_c[j]
        d = dc[j] + dh[j] * o * (one - turned * turned)
        da[j] = d * g * i * (one - i)
        da[n + j] = d * c_before[j] * f * (one - f)
        da[2 * n + j] = d * i * (one - g * g)
        da[3 * n + j] = dh[j] * turned * o * (one - o)
        dc[j] = d * f


def _dense(*arrays: Array) -> bool:
    return all(x.flags.c_contiguous for x in arrays)


def lstm_step(a: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
    """One step, in place."""
    if not _dense(a, c, tanh_c, h):
        return reference.lstm_step.reference(a, c_before, c, tanh_c, h)
    _lstm_step(a.reshape(-1), flat(c_before), c.reshape(-1), tanh_c.reshape(-1), h.reshape(-1))


def lstm_step_backward(
    a: Array, c_before: Array, tanh_c: Array, dh: Array, dc: Array, da: Array
) -> None:
    """One step back, in place."""
    if not _dense(dc, da):
        return reference.lstm_step_backward.reference(a, c_before, tanh_c, dh, dc, da)
    _lstm_step_backward(
        flat(a), flat(c_before), flat(tanh_c), flat(dh), dc.reshape(-1), da.reshape(-1)
    )


@jit
def _add_product(blas, weight, panels, x, c):  # type: ignore[no-untyped-def]
    if panels.size:
        add_product(panels, x, c)
    else:
        gemm(blas, 1, weight, x, 1, c)


def _panels(weight: Array, steps: int, columns: int) -> Array:
    """The weight packed, where that serves enough steps and the sizes are right; else nothing."""
    if steps > 3 and fits(len(weight), columns, weight.dtype):
        return pack(weight)
    return np.empty((0, 0, 0), weight.dtype)


@jit
def _products(panels, x, bias, shifted, y):  # type: ignore[no-untyped-def]
    for t in range(len(x)):
        for i in range(y.shape[1]):
            y[t, i] = bias[i] if shifted else y.dtype.type(0)
        add_product(panels, x[t], y[t])


def input_gates(x: Array, weight: Array, bias: Array | None) -> Array:
    """W x + b at all steps, the batch last."""
    panels = _panels(weight, len(x), x.shape[1])
    if not panels.size or x.dtype != weight.dtype:
        return reference.input_gates.reference(x, weight, bias)
    y = np.empty((len(x), len(weight), x.shape[1]), x.dtype)
    b = np.empty(0, x.dtype) if bias is None else bias.astype(x.dtype, copy=False)
    _products(panels, turn(x), b, bias is not None, y)
    return y


def input_gradient(da: Array, weight: Array | None) -> tuple[Array, Array | None]:
    """da as rows, and W^T da, the batch in the middle."""
    none = np.empty((0, 0, 0), da.dtype)
    panels = none if weight is None else _panels(weight.T, len(da), da.shape[2])
    if weight is None or not panels.size or da.dtype != weight.dtype:
        return reference.input_gradient.reference(da, weight)
    y = np.empty((len(da), weight.shape[1], da.shape[2]), da.dtype)
    _products(panels, np.ascontiguousarray(da), np.empty(0, da.dtype), False, y)
    return turn(da).reshape(-1, da.shape[1]), turn(y)


@jit
def _lstm(blas, a, weight, panels, h, c, tanh_c):  # type: ignore[no-untyped-def]
    for t in range(len(a)):
        _add_product(blas, weight, panels, h[t], a[t])
        _lstm_step(
            a[t].reshape(-1), c[t].reshape(-1), c[t + 1].reshape(-1), tanh_c[t].reshape(-1),
            h[t + 1].reshape(-1),
        )  # fmt: skip


def lstm(a: Array, weight: Array, h: Array, c: Array, tanh_c: Array) -> None:
    """All steps, in place."""
    blas = address(a, weight, h, c, tanh_c)
    if blas is None or not _dense(a, weight, h, c, tanh_c):
        return reference.lstm.reference(a, weight, h, c, tanh_c)
    _lstm(blas, a, weight, _panels(weight, len(a), a.shape[2]), h, c, tanh_c)


@jit
def _lstm_backward(blas, g, dc, back, panels, a, c, tanh_c, da, dh):  # type: ignore[no-untyped-def]
    for t in range(len(g) - 1, -1, -1):
        dh += g[t]
        _lstm_step_backward(
            a[t].reshape(-1), c[t].reshape(-1), tanh_c[t].reshape(-1), dh.reshape(-1),
            dc.reshape(-1), da[t].reshape(-1),
        )  # fmt: skip
        dh[:] = 0
        _add_product(blas, back, panels, da[t], dh)


def lstm_backward(
    g: Array, dc: Array, weight: Array, a: Array, c: Array, tanh_c: Array
) -> tuple[Array, Array, Array]:
    """Gradients of a, h[0] and c[0]."""
    blas = address(g, dc, weight, a, c, tanh_c)
    if blas is None:
        return reference.lstm_backward.reference(g, dc, weight, a, c, tanh_c)
    g, a, c, tanh_c = (np.ascontiguousarray(x) for x in (g, a, c, tanh_c))
    da, dh, dc = np.empty_like(a), np.zeros_like(g[0]), np.array(dc, order="C")
    back = np.ascontiguousarray(weight.T)
    _lstm_backward(blas, g, dc, back, _panels(back, len(g), g.shape[2]), a, c, tanh_c, da, dh)
    return da, dh, dc


@jit
def _gru_step(a, b, before, h):  # type: ignore[no-untyped-def]
    n, half = h.size, a.dtype.type(0.5)
    for j in range(n):
        r = half + half * tanh(half * (a[j] + b[j]))
        z = half + half * tanh(half * (a[n + j] + b[n + j]))
        new = tanh(a[2 * n + j] + r * b[2 * n + j])
        a[j], a[n + j], a[2 * n + j] = r, z, new
        h[j] = (before[j] - new) * z + new


@jit
def _gru_step_backward(a, b, before, dh, da, db):  # type: ignore[no-untyped-def]
    n, one = dh.size, a.dtype.type(1)
    for j in range(n):
        r, z, new = a[j], a[n + j], a[2 * n + j]
        dn = (one - new * new) * dh[j] * (one - z)
        dr = (r - r * r) * dn * b[2 * n + j]
        dz = (z - z * z) * dh[j] * (before[j] - new)
        da[j], da[n + j], da[2 * n + j] = dr, dz, dn
        db[j], db[n + j], db[2 * n + j] = dr, dz, dn * r
        dh[j] *= z


def gru_step(a: Array, b: Array, before: Array, h: Array) -> None:
    """One step, in place."""
    if not _dense(a, h):
        return reference.gru_step.reference(a, b, before, h)
    _gru_step(a.reshape(-1), flat(b), flat(before), h.reshape(-1))


def gru_step_backward(a: Array, b: Array, before: Array, dh: Array, da: Array, db: Array) -> None:
    """One step back, in place."""
    if not _dense(dh, da, db):
        return reference.gru_step_backward.reference(a, b, before, dh, da, db)
    _gru_step_backward(
        flat(a), flat(b), flat(before), dh.reshape(-1), da.reshape(-1), db.reshape(-1)
    )
