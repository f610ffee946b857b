"""Kernels of pooling over windows of images (n, c, h, w).

A window is pooled along its rows and then down its columns: k + l passes in place of k l.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend.memory import contiguous
from lmbook.backend.table import kernel

Array = np.ndarray


class Window(NamedTuple):
    """The window's taps (k, l), how far it steps, how far taps lie apart; padding (top, bottom,
    left, right), where bottom and right include what rounding the output's size up adds."""

    taps: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def output(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the output."""
        top, bottom, left, right = self.padding
        (h, w), (k, l), (s, t), (d, e) = size, self.taps, self.stride, self.dilation
        return (h + top + bottom - d * (k - 1) - 1) // s + 1, (
            w + left + right - e * (l - 1) - 1
        ) // t + 1


def _padded(x: Array, window: Window, value: float) -> Array:
    top, bottom, left, right = window.padding
    if not any(window.padding):
        return x
    n, c, h, w = x.shape
    wide = np.full_like(x, value, shape=(n, c, h + top + bottom, w + left + right))
    wide[:, :, top : top + h, left : left + w] = x
    return wide


def _inside(d: Array, window: Window, size: tuple[int, int]) -> Array:
    top, _, left, _ = window.padding
    return d[:, :, top : top + size[0], left : left + size[1]]


def _along(axis: int, window: Window, length: int) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """For each tap along an axis (2: rows, 3: columns), the entries that `length` windows meet."""
    s, d = window.stride[axis - 2], window.dilation[axis - 2]
    for i in range(window.taps[axis - 2]):
        met = slice(i * d, i * d + s * (length - 1) + 1, s)
        yield i, (slice(None),) * axis + (met,)


@kernel
def max_pool2d(x: Array, window: Window) -> tuple[Array, Array]:
    """The largest entry of each window (n, c, p, q), and the tap i l + j that it stands under.

    Of equal entries the first counts, row by row.
    """
    p, q = window.output(x.shape[2:])
    x = _padded(x, window, -np.inf)
    kind: Any = np.uint8 if window.taps[0] * window.taps[1] <= 256 else np.int64
    wide = x[next(_along(3, window, q))[1]].copy()
    across = np.zeros_like(wide, dtype=kind)
    for j, met in _along(3, window, q):
        if j:
            entry = x[met]
            np.copyto(across, j, where=entry > wide)
            np.maximum(wide, entry, out=wide)
    first = next(_along(2, window, p))[1]
    y, tap = wide[first].copy(), across[first].copy()
    for i, met in _along(2, window, p):
        if i:
            entry = wide[met]
            np.copyto(tap, across[met] + kind(i * window.taps[1]), where=entry > y)
            np.maximum(y, entry, out=y)
    return y, tap


@kernel
def max_pool2d_backward(g: Array, tap: Array, size: tuple[int, int], window: Window) -> Array:
    """Each output's gradient goes to the entry that won its window."""
    n, c, p, q = g.shape
    (h, w), (top, bottom, left, right) = size, window.padding
    d = np.zeros_like(g, shape=(n, c, h + top + bottom, w + left + right))
    for i, rows in _along(2, window, p):
        for j, columns in _along(3, window, q):
            d[rows][columns] += g * (tap == i * window.taps[1] + j)
    return contiguous(_inside(d, window, size))


@kernel
def sum_pool2d(x: Array, window: Window) -> Array:
    """Sum of each window (n, c, p, q)."""
    p, q = window.output(x.shape[2:])
    x = _padded(x, window, 0.0)
    for axis, length in ((3, q), (2, p)):
        taps = _along(axis, window, length)
        total = x[next(taps)[1]].copy()
        for _, met in taps:
            total += x[met]
        x = total
    return x


@kernel
def sum_pool2d_backward(g: Array, size: tuple[int, int], window: Window) -> Array:
    """Each output's gradient goes to every entry of its window."""
    n, c, p, q = g.shape
    (h, w), (top, bottom, left, right) = size, window.padding
    rows = np.zeros_like(g, shape=(n, c, h + top + bottom, q))
    for _, met in _along(2, window, p):
        rows[met] += g
    d = np.zeros_like(g, shape=(n, c, h + top + bottom, w + left + right))
    for _, met in _along(3, window, q):
        d[met] += rows
    return contiguous(_inside(d, window, size))
