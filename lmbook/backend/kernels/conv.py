"""Kernels of convolution: matrix products on slices of the batch small enough for the cache.

Letters: n images of c channels, h x w; o output channels; output of p x q; kernel of k x l taps;
g groups. A slice of the batch is laid out as (c, h, n, w), so that shifting it by a tap of the
kernel is a shift of a flat array: copying a tap is one long copy, adding one a long addition.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend.table import kernel

Array = np.ndarray

SLICE = 1 << 20
"""Numbers in one slice's column matrix."""


class Geometry(NamedTuple):
    """How the kernel moves: along rows and columns; padding is (top, bottom, left, right)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def output(self, size: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the output: floor((size + padding - reach) / stride) + 1."""
        top, bottom, left, right = self.padding
        (h, w), (k, l), (s, t), (d, e) = size, kernel, self.stride, self.dilation
        return (
            (h + top + bottom - d * (k - 1) - 1) // s + 1,
            (w + left + right - e * (l - 1) - 1) // t + 1,
        )


class _Grid:
    """One slice of a batch: its padded images, and where each tap of the kernel meets them."""

    def __init__(
        self, like: Array, n: int, channels: int, size: tuple[int, int], out: tuple[int, int],
        taps: tuple[int, int], geometry: Geometry,
    ) -> None:  # fmt: skip
        top, bottom, left, right = geometry.padding
        h, w = size[0] + top + bottom, size[1] + left + right
        self.n, self.taps, self.geometry, (self.p, self.q) = n, taps, geometry, out
        reach = geometry.dilation[1] * (taps[1] - 1)
        # With stride 1 the product is taken w wide, q of which count: long runs for little waste.
        self.flat = geometry.stride == (1, 1) and 2 * w <= 3 * self.q
        self.width = w if self.flat else self.q
        self.padded = np.zeros_like(like, shape=(channels, h * n * w + reach))
        self.rows = self.padded[:, : h * n * w].reshape(channels, h, n, w)
        self.inside = self.rows[:, top : top + size[0], :, left : left + size[1]]
        self.columns = out[0] * n * self.width

    def windows(self) -> Iterator[tuple[int, int, Array]]:
        """For each tap (i, j), the entries that it meets in the padded images: (c, p, n, q)."""
        (s, t), (d, e) = self.geometry.stride, self.geometry.dilation
        for i in range(self.taps[0]):
            for j in range(self.taps[1]):
                y = slice(i * d, i * d + s * (self.p - 1) + 1, s)
                x = slice(j * e, j * e + t * (self.q - 1) + 1, t)
                yield i, j, self.rows[:, y, :, x]

    def shifts(self) -> Iterator[tuple[int, int, Array]]:
        """The same as long runs (c, columns) of the flat images, where the stride is 1."""
        if not self.flat:
            yield from self.windows()
            return
        d, e = self.geometry.dilation
        for i in range(self.taps[0]):
            for j in range(self.taps[1]):
                start = i * d * self.n * self.width + j * e
                yield i, j, self.padded[:, start : start + self.columns]

    def matrix(self, like: Array) -> Array:
        """Memory for the column matrix (g, c/g k l, columns)."""
        channels, groups = self.padded.shape[0], self.geometry.groups
        return np.empty_like(
            like, shape=(groups, channels // groups * self.taps[0] * self.taps[1], self.columns)
        )

    def by_tap(self, matrix: Array) -> Array:
        """The column matrix seen as (c, k, l, columns) or (c, k, l, p, n, q)."""
        last = (self.columns,) if self.flat else (self.p, self.n, self.q)
        return matrix.reshape(-1, *self.taps, *last)

    def gather(self, matrix: Array) -> Array:
        """Fill the column matrix: row (c, i, j) holds channel c as tap (i, j) meets it."""
        if self.flat and self.taps == (1, 1) and self.columns == self.padded.shape[1]:
            return self.padded.reshape(matrix.shape)
        view = self.by_tap(matrix)
        for i, j, part in self.shifts():
            view[:, i, j] = part
        return matrix

    def scatter(self, matrix: Array) -> Array:
        """Add every row of the column matrix where its tap met the images: gather's transpose."""
        self.padded[...] = 0
        view = self.by_tap(matrix)
        for i, j, part in self.shifts():
            part += view[:, i, j]
        return self.inside.transpose(2, 0, 1, 3)

    def product(self, like: Array, channels: int) -> tuple[Array, Array]:
        """Memory for an output slice: as (g, o/g, columns), and its valid part as (n, o, p, q)."""
        groups = self.geometry.groups
        flat = np.zeros_like(like, shape=(groups, channels // groups, self.columns))
        image = flat.reshape(channels, self.p, self.n, self.width)
        return flat, image[..., : self.q].transpose(2, 0, 1, 3)


def _slices(
    like: Array, batch: int, channels: int, size: tuple[int, int], out: tuple[int, int],
    taps: tuple[int, int], geometry: Geometry,
) -> Iterator[tuple[slice, _Grid]]:  # fmt: skip
    """Cut the batch so that the column matrix of each slice holds about SLICE numbers."""
    one = max(1, channels * taps[0] * taps[1] * out[0] * out[1])
    n = max(1, min(batch, SLICE // one))
    grid: Any = None
    for start in range(0, batch, n):
        m = min(n, batch - start)
        if grid is None or grid.n != m:
            grid = _Grid(like, m, channels, size, out, taps, geometry)
        yield slice(start, start + m), grid


@kernel
def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Geometry) -> Array:
    """y[n, o, p, q] = bias[o] + sum over c, i, j of x[n, c, p s + i d, q s + j d] weight[o, c, i, j].

    x (n, c, h, w) is padded with zeros, weight is (o, c/g, k, l), the result (n, o, p, q).
    """
    batch, channels, *size = x.shape
    outputs, taps = weight.shape[0], weight.shape[2:]
    out = geometry.output((size[0], size[1]), taps)
    w = weight.reshape(geometry.groups, outputs // geometry.groups, -1)
    y = np.empty_like(x, shape=(batch, outputs, *out))
    n = 0
    for part, grid in _slices(x, batch, channels, tuple(size), out, taps, geometry):
        if grid.n != n:
            n, matrix, (flat, image) = grid.n, grid.matrix(x), grid.product(x, outputs)
        grid.inside[...] = x[part].transpose(1, 2, 0, 3)
        np.matmul(w, grid.gather(matrix), out=flat)
        if bias is None:
            y[part] = image
        else:
            np.add(image, bias[:, None, None], out=y[part])
    return y


@kernel
def conv2d_input(g: Array, weight: Array, size: tuple[int, int], geometry: Geometry) -> Array:
    """Gradient of conv2d's input, of height and width `size`: the transposed convolution of g.

    g is (n, o, p, q), weight (o, c/g, k, l), the result (n, c, h, w).
    """
    batch, outputs, *out = g.shape
    channels, taps = weight.shape[1] * geometry.groups, weight.shape[2:]
    w = weight.reshape(geometry.groups, outputs // geometry.groups, -1).transpose(0, 2, 1)
    d = np.empty_like(g, shape=(batch, channels, *size))
    n = 0
    for part, grid in _slices(g, batch, channels, size, (out[0], out[1]), taps, geometry):
        if grid.n != n:
            n, matrix, (flat, image) = grid.n, grid.matrix(g), grid.product(g, outputs)
        image[...] = g[part]
        d[part] = grid.scatter(np.matmul(w, flat, out=matrix))
    return d


@kernel
def conv2d_weight(g: Array, x: Array, taps: tuple[int, int], geometry: Geometry) -> Array:
    """Gradient of conv2d's weight (o, c/g, k, l), of k x l `taps`: g against the columns of x."""
    batch, channels, *size = x.shape
    outputs, out = g.shape[1], g.shape[2:]
    groups = geometry.groups
    d = np.zeros_like(x, shape=(groups, outputs // groups, channels // groups * taps[0] * taps[1]))
    n = 0
    for part, grid in _slices(x, batch, channels, tuple(size), out, taps, geometry):
        if grid.n != n:
            n, matrix, (flat, image) = grid.n, grid.matrix(x), grid.product(x, outputs)
        grid.inside[...] = x[part].transpose(1, 2, 0, 3)
        image[...] = g[part]
        d += flat @ grid.gather(matrix).transpose(0, 2, 1)
    return d.reshape(outputs, channels // groups, *taps)


@kernel
def channel_sums(g: Array) -> Array:
    """Sum of each channel of g (n, o, p, q): the gradient of conv2d's bias."""
    return g.reshape(*g.shape[:2], -1).sum(axis=2).sum(axis=0)


@kernel
def unfold(x: Array, taps: tuple[int, int], geometry: Geometry) -> Array:
    """Columns (n, c k l, p q) of x (n, c, h, w): the windows of the image, side by side."""
    batch, channels, *size = x.shape
    p, q = geometry.output((size[0], size[1]), taps)
    columns = np.empty_like(x, shape=(batch, channels, *taps, p, q))
    for part, grid in _slices(x, batch, channels, tuple(size), (p, q), taps, geometry):
        grid.inside[...] = x[part].transpose(1, 2, 0, 3)
        for i, j, window in grid.windows():
            columns[part, :, i, j] = window.transpose(2, 0, 1, 3)
    return columns.reshape(batch, channels * taps[0] * taps[1], p * q)


@kernel
def fold(columns: Array, size: tuple[int, int], taps: tuple[int, int], geometry: Geometry) -> Array:
    """Images (n, c, h, w) that sum the columns (n, c k l, p q) where their windows overlap."""
    batch = columns.shape[0]
    channels = columns.shape[1] // (taps[0] * taps[1])
    out = geometry.output(size, taps)
    view = columns.reshape(batch, channels, *taps, *out)
    x = np.empty_like(columns, shape=(batch, channels, *size))
    for part, grid in _slices(columns, batch, channels, size, out, taps, geometry):
        grid.padded[...] = 0
        for i, j, window in grid.windows():
            window += view[part, :, i, j].transpose(1, 2, 0, 3)
        x[part] = grid.inside.transpose(2, 0, 1, 3)
    return x
