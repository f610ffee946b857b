"""Compiled kernels of convolution: no column matrix, each tap is a shift of the packed images.

Images are packed such that tap (i, j) of channel c meets the entries of all outputs, one after the
other, from one offset on. So a convolution is a product of matrices one of which is never made:

    y[o, position] = sum over k = (c, i, j) of weight[o, k] buffer[offset[k] + position].

Between two rows lies one gap of zeros, the right padding of one and the left of the next; outputs
in the gap are dropped. With stride s every s-th row makes a plane of its own, and so with columns.
The gradient of the input is a convolution of g, one for each phase of the stride.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend.fast.compile import jit
from lmbook.backend.fast.threads import share
from lmbook.backend.fast.tile import (
    BYTES,
    COLUMNS,
    DOT_COLUMNS,
    DOT_ROWS,
    ROWS,
    add_inner,
    add_outer,
    add_sums,
    move4,
    move8,
    move16,
    store,
    zeros,
)  # fmt: skip
from lmbook.backend.kernels import conv as reference
from lmbook.backend.kernels.conv import Geometry

__all__ = ["channel_sums", "conv2d", "conv2d_input", "conv2d_weight"]

Array = np.ndarray
Pair = tuple[int, int]

BLOCK = 11 << 14
"""Numbers in one block's packed images and outputs, about: they stay in a cache of 1 MB."""
PARTS = 8
"""Partial sums of a weight's gradient, whatever the number of threads: so the sum is the same."""


class Packing(NamedTuple):
    """How `images` images lie in a buffer: planes of (rows, images, pitch), phases x phases each
    channel; row r of phase a is row r * step + a - before of an image, and so with columns."""

    images: int
    rows: int
    wide: int
    """Entries of a row; the last wide - pitch are zeros and shared with the next row."""
    pitch: int
    plane: int
    before: Pair
    step: Pair
    phases: Pair


def _packing(
    images: int, rows: int, wide: int, before: Pair, width: int, step: Pair = (1, 1),
    phases: Pair = (1, 1), reach: int = 0,
) -> Packing:  # fmt: skip
    """`reach` is how far a tap may look to the right: a shared gap must not be wider."""
    t, b = step[1], phases[1]
    left = max(0, -(-(before[1] - (b - 1)) // t))
    right = max(0, wide - max(0, -(-(width + before[1]) // t)))
    pitch = wide - min(left, right, reach)
    plane = (rows * images - 1) * pitch + wide + COLUMNS * BYTES // 4
    return Packing(images, rows, wide, pitch, plane, before, step, phases)


@jit
def _copy(y, i, x, j, count, shift):  # type: ignore[no-untyped-def]
    """y[i:] = x[j:] + shift, `count` numbers; the last vector overlaps the one before."""
    if count >= 16:
        for k in range(0, count - 16, 16):
            move16(y, i + k, x, j + k, shift)
        move16(y, i + count - 16, x, j + count - 16, shift)
    elif count >= 8:
        move8(y, i, x, j, shift)
        move8(y, i + count - 8, x, j + count - 8, shift)
    elif count >= 4:
        move4(y, i, x, j, shift)
        move4(y, i + count - 4, x, j + count - 4, shift)
    else:
        for k in range(count):
            y[i + k] = x[j + k] + shift


@jit
def _pack(x, shape, first, how, buffer):  # type: ignore[no-untyped-def]
    """Lay images first, first + 1, ... of x (n, c, h, w), given flat, into the buffer."""
    n, channels, h, w = shape
    zero = x.dtype.type(0)
    (s, t), (top, left) = how.step, how.before
    plane = 0
    for c in range(channels):
        for a in range(how.phases[0]):
            for b in range(how.phases[1]):
                low = min(how.wide, max(0, -((b - left) // t)))
                high = max(low, min(how.wide, -((b - left - w) // t)))
                at = plane
                for r in range(how.rows):
                    row = r * s + a - top
                    for m in range(first, first + how.images):
                        if m >= n or row < 0 or row >= h:
                            buffer[at : at + how.wide] = zero
                        else:
                            start = ((m * channels + c) * h + row) * w + b - left
                            for i in range(low):
                                buffer[at + i] = zero
                            if t == 1:
                                _copy(buffer, at + low, x, start + low, high - low, zero)
                            elif t == 2:
                                for i in range(low, high):
                                    buffer[at + i] = x[start + 2 * i]
                            else:
                                for i in range(low, high):
                                    buffer[at + i] = x[start + i * t]
                            for i in range(high, how.wide):
                                buffer[at + i] = zero
                        at += how.pitch
                plane += how.plane


@jit
def _correlate(x, xs, how, offsets, weight, bias, y, ys, size, at, step, first, last):  # type: ignore[no-untyped-def]
    """Blocks first to last of y[o, at + step * position] = bias[o] + sum_k weight[o, k] x[k].

    weight is (groups, rows of tiles, k, ROWS), and y (n, o, h, w), given flat like x, holds an
    output of `size`.
    """
    groups, tiles, taps = weight.shape[:3]
    channels, outputs = xs[1] // groups, ys[1] // groups
    span = COLUMNS * BYTES // x.itemsize
    run = (size[0] * how.images - 1) * how.pitch + size[1]
    room = -(-run // span) * span
    buffer = np.zeros(xs[1] * how.phases[0] * how.phases[1] * how.plane, x.dtype)
    out, filters = np.empty(ROWS * room, x.dtype), weight.reshape(-1)
    for block in range(first, last):
        image = block * how.images
        count = min(how.images, xs[0] - image)
        _pack(x, xs, image, how, buffer)
        for tile in range(groups * tiles):
            group = tile // tiles
            base = group * channels * how.phases[0] * how.phases[1] * how.plane
            for p in range(0, run, span):
                total: Any = zeros(x)  # type: ignore[call-arg]
                for k in range(taps):
                    a = (tile * taps + k) * ROWS
                    total = add_outer(total, filters, a, buffer, base + offsets[k] + p)
                store(total, out, p, room)
            o = tile % tiles * ROWS
            for i in range(min(ROWS, outputs - o)):
                channel = group * outputs + o + i
                for r in range(size[0]):
                    for m in range(count):
                        source = i * room + (r * how.images + m) * how.pitch
                        target = ((image + m) * ys[1] + channel) * ys[2] + r * step[0] + at[0]
                        target = target * ys[3] + at[1]
                        if step[1] == 1:
                            _copy(y, target, out, source, size[1], bias[channel])
                        elif step[1] == 2:
                            for q in range(size[1]):
                                y[target + 2 * q] = out[source + q] + bias[channel]
                        else:
                            for q in range(size[1]):
                                y[target + q * step[1]] = out[source + q] + bias[channel]


@jit
def _weights(x, xs, how, offsets, g, gs, gow, blocks, d, first, last):  # type: ignore[no-untyped-def]
    """Partial sums first to last of d[part, group, o, k] = sum of g[o, position] x[k, position]."""
    parts, groups, rows, columns = d.shape
    channels, outputs = xs[1] // groups, gs[1] // groups
    lanes = BYTES // x.itemsize
    run = (gs[2] * gow.images - 1) * gow.pitch + gs[3]
    buffer = np.zeros(xs[1] * how.phases[0] * how.phases[1] * how.plane, x.dtype)
    slope = np.zeros((gs[1] + DOT_ROWS) * gow.plane, x.dtype)
    sums = d.reshape(-1)
    for part in range(first, last):
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            _pack(x, xs, block * how.images, how, buffer)
            _pack(g, gs, block * how.images, gow, slope)
            for group in range(groups):
                base = group * channels * how.phases[0] * how.phases[1] * how.plane
                for o in range(0, rows, DOT_ROWS):
                    i = (group * outputs + o) * gow.plane
                    for k in range(0, columns, DOT_COLUMNS):
                        total: Any = zeros(x)  # type: ignore[call-arg]
                        for p in range(0, run, lanes):
                            total = add_inner(
                                total, slope, i + p, gow.plane, buffer, base + p, offsets, k
                            )
                        add_sums(
                            total, sums, ((part * groups + group) * rows + o) * columns + k, columns
                        )


def _along(taps: int, stride: int, dilation: int) -> tuple[list[int], list[int], int]:
    """Phase and shift of each tap along one axis, and the number of phases that taps meet."""
    starts = [i * dilation for i in range(taps)]
    phases = [i % stride for i in starts]
    return phases, [i // stride for i in starts], max(phases) + 1


def _images(one: int, batch: int) -> int:
    """How many images make a block, `one` number of entries each; threads share blocks by fours."""
    most = max(1, min(batch, BLOCK // max(1, one)))
    blocks = -(-batch // most)
    return -(-batch // (blocks if blocks == 1 else -(-blocks // 4) * 4))


@lru_cache(maxsize=256)
def _windows(
    batch: int, channels: int, outputs: int, size: Pair, taps: Pair, geometry: Geometry
) -> tuple[Packing, Array, Pair]:
    """Packing of a convolution's input, the offset of each tap (c, i, j) of a group, output size."""
    out = geometry.output(size, taps)
    (s, t), (d, e) = geometry.stride, geometry.dilation
    a, down, rows = _along(taps[0], s, d)
    b, right, columns = _along(taps[1], t, e)
    high, wide = out[0] + max(down), out[1] + max(right)
    how = _packing(
        _images((channels * rows * columns + outputs) * high * wide, batch), high, wide,
        (geometry.padding[0], geometry.padding[2]), size[1], (s, t), (rows, columns), max(right),
    )  # fmt: skip
    offsets = [
        ((c * rows + a[i]) * columns + b[j]) * how.plane
        + down[i] * how.images * how.pitch
        + right[j]
        for c in range(channels // geometry.groups)
        for i in range(taps[0])
        for j in range(taps[1])
    ]
    return how, np.array(offsets, np.int64), out


class _Phase(NamedTuple):
    """One phase of the gradient of a convolution's input: itself a convolution of g."""

    how: Packing
    offsets: Array
    taps: tuple[Array, Array]
    size: Pair
    at: Pair


@lru_cache(maxsize=256)
def _phases(
    batch: int, outputs: int, channels: int, out: Pair, size: Pair, taps: Pair, geometry: Geometry
) -> list[_Phase]:
    """Rows a, a + s, a + 2 s, ... of the padded input, for each phase a, and so with columns."""
    axes = []
    for x, strides in enumerate(geometry.stride):
        phase, shift, _ = _along(taps[x], strides, geometry.dilation[x])
        before, axis = geometry.padding[2 * x], []
        for a in range(min(strides, before + size[x])):
            first = -((a - before) // strides)  # of this phase, past the padding
            count = -((a - before - size[x]) // strides) - first
            mine = [i for i in range(taps[x]) if phase[i] == a]
            reach = max((shift[i] for i in mine), default=0)
            back = [reach - shift[i] for i in mine]
            axis.append((first, count, mine, back, reach, first * strides + a - before))
        axes.append([part for part in axis if part[1] > 0])
    found = []
    for u, p, rows, down, over, y in axes[0]:
        for v, q, columns, right, beyond, x in axes[1]:
            high, wide = p + over, q + beyond
            images = _images((outputs + channels) * high * wide, batch)
            how = _packing(images, high, wide, (over - u, beyond - v), out[1], reach=beyond)
            offsets = [
                o * how.plane + i * how.images * how.pitch + j
                for o in range(outputs // geometry.groups) for i in down for j in right
            ]  # fmt: skip
            where = np.array(rows, np.int64), np.array(columns, np.int64)
            found.append(_Phase(how, np.array(offsets, np.int64), where, (p, q), (y, x)))
    return found


def _tiled(weight: Array, groups: int) -> Array:
    """Filters (groups * o, c, k, l) as (groups, tiles, c k l, ROWS), the last tile padded with zeros."""
    o = weight.shape[0] // groups
    tiles = -(-o // ROWS)
    w = np.zeros((groups, tiles * ROWS, weight.size // max(1, weight.shape[0])), weight.dtype)
    w[:, :o] = weight.reshape(groups, o, -1)
    return np.ascontiguousarray(w.reshape(groups, tiles, ROWS, -1).swapaxes(2, 3))


def _suits(x: Array, how: Packing, columns: int) -> bool:
    """Whether the packed product pays: most of what it computes is wanted."""
    return x.dtype in (np.float32, np.float64) and 2 * columns > how.pitch


def _flat(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1)


def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Geometry) -> Array:
    """Convolution plus bias."""
    taps: Any = weight.shape[2:]
    if not x.size or not weight.size:
        return reference.conv2d.reference(x, weight, bias, geometry)
    how, offsets, out = _windows(*x.shape[:2], len(weight), x.shape[2:], taps, geometry)  # type: ignore[arg-type]
    if not _suits(x, how, out[1]):
        return reference.conv2d.reference(x, weight, bias, geometry)
    y = np.empty((len(x), len(weight), *out), x.dtype)
    shift = np.zeros(len(weight), x.dtype) if bias is None else _flat(bias)
    run(x, how, offsets, _tiled(weight, geometry.groups), shift, y, out, (0, 0), (1, 1))
    return y


def run(
    x: Array, how: Packing, offsets: Array, weight: Array, bias: Array, y: Array, size: Pair,
    at: Pair, step: Pair,
) -> None:  # fmt: skip
    """Convolve all blocks, in several threads where it pays."""
    flat = _flat(x)

    def part(first: int, last: int) -> None:
        _correlate(
            flat, x.shape, how, offsets, weight, bias, y.reshape(-1), y.shape, size, at, step, first, last
        )  # fmt: skip

    share(part, -(-len(x) // how.images), weight.size * len(x) * size[0] * size[1] // 64)


def conv2d_input(g: Array, weight: Array, size: Pair, geometry: Geometry) -> Array:
    """Gradient of the input."""
    groups, taps = geometry.groups, weight.shape[2:]
    if not g.size or not weight.size:
        return reference.conv2d_input.reference(g, weight, size, geometry)
    batch, outputs, *out = g.shape
    phases = _phases(
        batch, outputs, weight.shape[1] * groups, tuple(out), tuple(size), taps, geometry
    )  # type: ignore[arg-type]
    if not all(_suits(g, phase.how, phase.size[1]) for phase in phases):
        return reference.conv2d_input.reference(g, weight, size, geometry)
    channels = weight.shape[1]
    d = np.empty((batch, channels * groups, *size), g.dtype)
    # (groups * c, o, k, l)
    turned = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    turned = turned.reshape(groups * channels, -1, *taps)
    none = np.zeros(len(turned), g.dtype)
    for phase in phases:
        filters = _tiled(turned[:, :, phase.taps[0]][..., phase.taps[1]], groups)
        run(g, phase.how, phase.offsets, filters, none, d, phase.size, phase.at, geometry.stride)
    return d


def conv2d_weight(g: Array, x: Array, taps: Pair, geometry: Geometry) -> Array:
    """Gradient of the weight."""
    batch, channels, *size = x.shape
    outputs, groups = g.shape[1], geometry.groups
    how, offsets, out = _windows(batch, channels, outputs, tuple(size), tuple(taps), geometry)  # type: ignore[arg-type]
    if not g.size or not x.size or not _suits(x, how, out[1]):
        return reference.conv2d_weight.reference(g, x, taps, geometry)
    beside = how._replace(  # g, where the outputs of x in this packing would be
        rows=out[0], wide=how.pitch, plane=how.plane, before=(0, 0), step=(1, 1), phases=(1, 1)
    )
    blocks = -(-batch // how.images)
    parts = min(PARTS, blocks)
    rows, columns = outputs // groups, offsets.size
    padded = np.append(offsets, np.zeros(-columns % DOT_COLUMNS, np.int64))
    d = np.zeros((parts, groups, -(-rows // DOT_ROWS) * DOT_ROWS, padded.size), x.dtype)

    fx, fg = _flat(x), _flat(g)

    def part(first: int, last: int) -> None:
        _weights(fx, x.shape, how, padded, fg, g.shape, beside, blocks, d, first, last)

    share(part, parts, d[0].size * g[:, 0].size // 64)
    return d.sum(axis=0)[:, :rows, :columns].reshape(outputs, channels // groups, *taps)


@jit
def _channel_sums(g, total, first, last):  # type: ignore[no-untyped-def]
    for c in range(first, last):
        for n in range(g.shape[0]):
            row = g.dtype.type(0)
            for i in range(g.shape[2]):
                row += g[n, c, i]
            total[c] += row


def channel_sums(g: Array) -> Array:
    """Sum of each channel."""
    total, rows = np.zeros(g.shape[1], g.dtype), np.ascontiguousarray(g).reshape(*g.shape[:2], -1)

    def part(first: int, last: int) -> None:
        _channel_sums(rows, total, first, last)

    share(part, len(total), g.size // 8)
    return total
