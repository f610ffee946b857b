"""Kernels of recurrent layers: one direction of one layer over a whole sequence.

Shapes: T time steps, H hidden, N batch. Features come before the batch, so that a step's product is
weight (G H, H) @ state (H, N): BLAS takes up to twice as long the other way round, and each gate is
one block of memory. `a` holds the input's share of all gates on entry, the activations afterwards.
The work of one step stands in a kernel of its own, where a compiled variant can fuse it.
"""

import numpy as np

from lmbook.backend.memory import contiguous
from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def turn(x: Array) -> Array:
    """A copy with the last two axes exchanged: (T, N, F) and (T, F, N)."""
    return contiguous(x.swapaxes(-1, -2))


@kernel
def input_gates(x: Array, weight: Array, bias: Array | None) -> Array:
    """W x + b at all steps, the batch last: x (T, N, I), weight (R, I), bias (R,) to (T, R, N)."""
    rows = x.reshape(-1, x.shape[-1]) @ weight.T
    if bias is not None:
        rows += bias
    return turn(rows.reshape(*x.shape[:2], -1))


@kernel
def input_gradient(da: Array, weight: Array | None) -> tuple[Array, Array | None]:
    """da (T, R, N) as rows (T N, R), and W^T da with the batch in the middle, if W (R, I) is given."""
    rows = turn(da).reshape(-1, da.shape[1])
    return rows, None if weight is None else (rows @ weight).reshape(len(da), da.shape[2], -1)


# The plain network: h_t = tanh(a_t), or max(0, a_t), with a_t = W x_t + b + U h_(t-1)


@kernel
def rnn_step(a: Array, h: Array, relu: bool) -> None:
    """h <- tanh(a), or max(0, a)."""
    if relu:
        np.maximum(a, 0, out=h)
    else:
        np.tanh(a, out=h)


@kernel
def rnn_step_backward(dh: Array, h: Array, da: Array, relu: bool) -> None:
    """da <- dh (1 - h^2), or dh where h > 0."""
    if relu:
        np.multiply(dh, h > 0, out=da)
    else:
        np.multiply(h, h, out=da)
        np.subtract(1, da, out=da)
        da *= dh


def rnn(a: Array, weight: Array, h: Array, relu: bool) -> None:
    """Fill h[1:] from h[0]: a (T, H, N), weight (H, H), h (T+1, H, N)."""
    product = np.empty_like(a[0])
    for t in range(len(a)):
        np.matmul(weight, h[t], out=product)
        a[t] += product
        rnn_step(a[t], h[t + 1], relu)


def rnn_backward(g: Array, weight: Array, h: Array, relu: bool) -> tuple[Array, Array]:
    """Gradients of a (T, H, N) and of h[0], from g (T, H, N), that of h[1:]."""
    back = contiguous(weight.T)  # multiplied at every step: worth one copy
    da = np.empty_like(g)
    dh = np.zeros_like(g[0])
    for t in reversed(range(len(g))):
        dh += g[t]
        rnn_step_backward(dh, h[t + 1], da[t], relu)
        np.matmul(back, da[t], out=dh)
    return da, dh


# The LSTM: gates one below the other in the order input i, forget f, candidate g, output o


@kernel
def sigmoid_(a: Array) -> None:
    """a <- 1 / (1 + exp(-a)), as (1 + tanh(a / 2)) / 2, which cannot overflow."""
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5


@kernel
def lstm_step(a: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
    """a (4H, N) <- (s(i), s(f), tanh(g), s(o)); c <- f c_before + i g; h <- o tanh(c)."""
    n = len(h)
    i, f, g, o = a[:n], a[n : 2 * n], a[2 * n : 3 * n], a[3 * n :]
    sigmoid_(a[: 2 * n])
    np.tanh(g, out=g)
    sigmoid_(o)
    np.multiply(i, g, out=c)
    c += np.multiply(f, c_before, out=h)
    np.tanh(c, out=tanh_c)
    np.multiply(o, tanh_c, out=h)


@kernel
def lstm_step_backward(
    a: Array, c_before: Array, tanh_c: Array, dh: Array, dc: Array, da: Array
) -> None:
    """From dh and dc (H, N), the gradients of h and c: fill da (4H, N), turn dc into c_before's.

    dc += dh o (1 - tanh(c)^2);  di = dc g s'(i);  df = dc c_before s'(f);  dg = dc i (1 - g^2);
    do = dh tanh(c) s'(o), with s' = s (1 - s).
    """
    n = len(dh)
    i, f, g, o = a[:n], a[n : 2 * n], a[2 * n : 3 * n], a[3 * n :]
    di, df, dg, do = da[:n], da[n : 2 * n], da[2 * n : 3 * n], da[3 * n :]
    local = tanh_c * tanh_c
    np.subtract(1, local, out=local)
    local *= o
    local *= dh
    dc += local
    np.multiply(a, a, out=da)
    np.subtract(1, dg, out=dg)
    dg *= i
    dg *= dc
    for s, ds, factor in ((i, di, g), (f, df, c_before), (o, do, tanh_c)):
        np.subtract(s, ds, out=ds)
        ds *= factor
        ds *= dh if ds is do else dc
    dc *= f


@kernel
def lstm(a: Array, weight: Array, h: Array, c: Array, tanh_c: Array) -> None:
    """Fill h[1:], c[1:], tanh_c: a (T, 4H, N), weight (4H, H), h and c (T+1, H, N)."""
    product = np.empty_like(a[0])
    for t in range(len(a)):
        np.matmul(weight, h[t], out=product)
        a[t] += product
        lstm_step(a[t], c[t], c[t + 1], tanh_c[t], h[t + 1])


@kernel
def lstm_backward(
    g: Array, dc: Array, weight: Array, a: Array, c: Array, tanh_c: Array
) -> tuple[Array, Array, Array]:
    """Gradients of a, h[0] and c[0], from g (T, H, N), that of h[1:], and dc (H, N), that of c[T]."""
    back = contiguous(weight.T)
    da = np.empty_like(a)
    dh, dc = np.zeros_like(g[0]), dc.copy()
    for t in reversed(range(len(a))):
        dh += g[t]
        lstm_step_backward(a[t], c[t], tanh_c[t], dh, dc, da[t])
        np.matmul(back, da[t], out=dh)
    return da, dh, dc


# The GRU: gates one below the other in the order reset r, update z, candidate n. `b` is the state's
# share U h + b_hh, which the reset gate multiplies inside the candidate.


@kernel
def gru_step(a: Array, b: Array, before: Array, h: Array) -> None:
    """a (3H, N) <- (s(a_r + b_r), s(a_z + b_z), tanh(a_n + r b_n));  h <- (1 - z) n + z before."""
    m = len(h)
    gates, z, n = a[: 2 * m], a[m : 2 * m], a[2 * m :]
    gates += b[: 2 * m]
    sigmoid_(gates)
    n += np.multiply(gates[:m], b[2 * m :], out=h)
    np.tanh(n, out=n)
    np.subtract(before, n, out=h)
    h *= z
    h += n


@kernel
def gru_step_backward(a: Array, b: Array, before: Array, dh: Array, da: Array, db: Array) -> None:
    """From dh (H, N): fill da and db (3H, N), turn dh into the part that passes straight to before.

    dn = dh (1 - z) (1 - n^2);  dr = dn b_n r (1 - r);  dz = dh (before - n) z (1 - z).
    """
    m = len(dh)
    r, z, n = a[:m], a[m : 2 * m], a[2 * m :]
    dr, dz, dn = da[:m], da[m : 2 * m], da[2 * m :]
    np.multiply(a, a, out=da)
    np.subtract(1, dn, out=dn)
    dn *= dh
    dn *= 1 - z
    np.subtract(r, dr, out=dr)
    dr *= dn
    dr *= b[2 * m :]
    np.subtract(z, dz, out=dz)
    dz *= dh
    dz *= before - n
    db[: 2 * m] = da[: 2 * m]
    np.multiply(dn, r, out=db[2 * m :])
    dh *= z


def gru(a: Array, weight: Array, bias: Array | None, h: Array, b: Array) -> None:
    """Fill h[1:] and b: a and b (T, 3H, N), weight (3H, H), bias (3H,), h (T+1, H, N)."""
    for t in range(len(a)):
        np.matmul(weight, h[t], out=b[t])
        if bias is not None:
            b[t] += bias[:, None]
        gru_step(a[t], b[t], h[t], h[t + 1])


def gru_backward(
    g: Array, weight: Array, a: Array, b: Array, h: Array
) -> tuple[Array, Array, Array]:
    """Gradients of a, b (T, 3H, N) and of h[0], from g (T, H, N), that of h[1:]."""
    back = contiguous(weight.T)
    da, db = np.empty_like(a), np.empty_like(a)
    dh = np.zeros_like(h[0])
    product = np.empty_like(dh)
    for t in reversed(range(len(a))):
        dh += g[t]
        gru_step_backward(a[t], b[t], h[t], dh, da[t], db[t])
        dh += np.matmul(back, db[t], out=product)
    return da, db, dh
