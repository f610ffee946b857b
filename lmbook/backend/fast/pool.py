"""Compiled kernels of max pooling: each entry is read where it lies, nothing is padded."""

import numpy as np

from lmbook.backend.fast.compile import jit
from lmbook.backend.fast.threads import share
from lmbook.backend.kernels.pool import Window

__all__ = ["max_pool2d", "max_pool2d_backward"]

Array = np.ndarray

HALVES = Window((2, 2), (2, 2))
"""The window that most networks use."""


@jit
def _max_pool(x, window, y, tap, first, last):  # type: ignore[no-untyped-def]
    """Images `first` to `last`; x (images, h, w), y and tap (images, p, q)."""
    h, w = x.shape[1:]
    (s, t), (d, e) = window.stride, window.dilation
    for m in range(first, last):
        for r in range(y.shape[1]):
            for c in range(y.shape[2]):
                most, name = x.dtype.type(-np.inf), 0
                for i in range(window.taps[0]):
                    row = r * s + i * d - window.padding[0]
                    if 0 <= row < h:
                        for j in range(window.taps[1]):
                            column = c * t + j * e - window.padding[2]
                            if 0 <= column < w:
                                entry = x[m, row, column]
                                k = i * window.taps[1] + j
                                name += (k - name) * np.int64(entry > most)  # no branch
                                most = np.maximum(entry, most)
                y[m, r, c], tap[m, r, c] = most, name


@jit
def _max_pool_halves(x, y, tap, first, last):  # type: ignore[no-untyped-def]
    """The same for windows of 2 x 2 side by side, without inner loops."""
    for m in range(first, last):
        for r in range(y.shape[1]):
            for c in range(y.shape[2]):
                a, b = x[m, 2 * r, 2 * c], x[m, 2 * r, 2 * c + 1]
                u, v = x[m, 2 * r + 1, 2 * c], x[m, 2 * r + 1, 2 * c + 1]
                name = 1 if b > a else 0
                a = b if (b > a) | (b != b) else a  # NaN wins
                name = 2 if u > a else name
                a = u if (u > a) | (u != u) else a
                name = 3 if v > a else name
                y[m, r, c], tap[m, r, c] = v if (v > a) | (v != v) else a, name


def max_pool2d(x: Array, window: Window) -> tuple[Array, Array]:
    """The largest entry of each window, and its tap."""
    n, c, h, w = x.shape
    shape = (n * c, *window.output((h, w)))
    y = np.empty(shape, x.dtype)
    tap = np.empty(shape, np.uint8 if window.taps[0] * window.taps[1] <= 256 else np.int64)
    images = np.ascontiguousarray(x).reshape(n * c, h, w)

    def part(first: int, last: int) -> None:
        if window == HALVES:
            _max_pool_halves(images, y, tap, first, last)
        else:
            _max_pool(images, window, y, tap, first, last)

    share(part, n * c, y.size * window.taps[0] * window.taps[1])
    return y.reshape(n, c, *shape[1:]), tap.reshape(n, c, *shape[1:])


@jit
def _max_pool_backward(g, tap, window, d, first, last):  # type: ignore[no-untyped-def]
    p, q = g.shape[1:]
    h, w = d.shape[1:]
    for m in range(first, last):
        d[m] = 0
        for r in range(p):
            for c in range(q):
                i, j = divmod(np.int64(tap[m, r, c]), window.taps[1])
                row = r * window.stride[0] + i * window.dilation[0] - window.padding[0]
                column = c * window.stride[1] + j * window.dilation[1] - window.padding[2]
                if 0 <= row < h and 0 <= column < w:
                    d[m, row, column] += g[m, r, c]


@jit
def _max_pool_halves_backward(g, tap, d, first, last):  # type: ignore[no-untyped-def]
    zero = g.dtype.type(0)
    for m in range(first, last):
        d[m, 2 * g.shape[1] :] = zero
        d[m, :, 2 * g.shape[2] :] = zero
        for r in range(g.shape[1]):
            for c in range(g.shape[2]):
                slope, name = g[m, r, c], tap[m, r, c]
                d[m, 2 * r, 2 * c] = slope if name == 0 else zero
                d[m, 2 * r, 2 * c + 1] = slope if name == 1 else zero
                d[m, 2 * r + 1, 2 * c] = slope if name == 2 else zero
                d[m, 2 * r + 1, 2 * c + 1] = slope if name == 3 else zero


def max_pool2d_backward(g: Array, tap: Array, size: tuple[int, int], window: Window) -> Array:
    """Each output's gradient goes to the entry that won its window."""
    n, c, p, q = g.shape
    d = np.empty((n * c, *size), g.dtype)
    slopes = np.ascontiguousarray(g).reshape(n * c, p, q)
    taps = np.ascontiguousarray(tap).reshape(n * c, p, q)

    def part(first: int, last: int) -> None:
        if window == HALVES:
            _max_pool_halves_backward(slopes, taps, d, first, last)
        else:
            _max_pool_backward(slopes, taps, window, d, first, last)

    share(part, n * c, d.size)
    return d.reshape(n, c, *size)
