"""Compiled kernels of depthwise convolution, where every channel has one filter of its own.

There is no product of matrices in it: each number that is read is used once a tap. So each channel
of each image is packed by itself (as `conv` packs), in a buffer that stays in the first cache, and
a strip of the output stays in registers while all taps are added to it:

    y[position] = bias + sum over taps k of weight[k] buffer[offset[k] + position].

`convolution` sends the calls here.
"""

from typing import Any

import numpy as np

from lmbook.backend.fast.compile import flat, jit
from lmbook.backend.fast.conv import Packing, _copy, _pack, _phases, _windows
from lmbook.backend.fast.strip import (
    TAPS,
    VECTORS,
    add_dot_sums,
    add_dots,
    add_scaled,
    empty_strip,
    put_strip,
)
from lmbook.backend.fast.threads import share
from lmbook.backend.fast.tile import BYTES
from lmbook.backend.kernels.conv import Geometry

Array = np.ndarray
Pair = tuple[int, int]


@jit
def _correlate(x, xs, how, offsets, weight, bias, y, size, at, step, ys, first, last):  # type: ignore[no-untyped-def]
    """Planes first to last: an output of `size`, which y has at `at + step * position`.

    x (planes, 1, *) and y (*, of height and width ys) are given flat, weight is (channels, taps).
    """
    span = VECTORS * BYTES // x.itemsize
    run = (size[0] - 1) * how.pitch + size[1]
    buffer = np.zeros(how.phases[0] * how.phases[1] * how.plane + 2 * span, x.dtype)
    line = np.empty(run + span, x.dtype)
    channels, taps = weight.shape
    for plane in range(first, last):
        channel = plane % channels
        _pack(x, xs, plane, how, buffer)
        for p in range(0, run, span):
            strip: Any = empty_strip(x)  # type: ignore[call-arg]
            for k in range(taps):
                strip = add_scaled(strip, weight[channel, k], buffer, offsets[k] + p)
            put_strip(strip, line, p)
        for r in range(size[0]):
            target = plane * ys[0] * ys[1] + (at[0] + r * step[0]) * ys[1] + at[1]
            source = r * how.pitch
            if step[1] == 1:
                _copy(y, target, line, source, size[1], bias[channel])
            else:
                for q in range(size[1]):
                    y[target + q * step[1]] = line[source + q] + bias[channel]


@jit
def _weights(x, xs, how, offsets, g, gs, beside, channels, d, first, last):  # type: ignore[no-untyped-def]
    """Gradients of the filters of channels first to last: d[c, k] += sum of g times tap k."""
    span, lanes = VECTORS * BYTES // x.itemsize, BYTES // x.itemsize
    run = (gs[2] - 1) * how.pitch + gs[3]
    buffer = np.zeros(how.phases[0] * how.phases[1] * how.plane + 2 * span, x.dtype)
    slope = np.zeros(beside.plane + 2 * span, x.dtype)
    sums, taps = d.reshape(-1), d.shape[1]
    for c in range(first, last):
        for plane in range(c, xs[0], channels):
            _pack(x, xs, plane, how, buffer)
            _pack(g, gs, plane, beside, slope)
            for k in range(0, taps, TAPS):
                strip: Any = empty_strip(x)  # type: ignore[call-arg]
                for p in range(0, run, lanes):
                    strip = add_dots(strip, slope, p, buffer, p, offsets, k)
                add_dot_sums(strip, sums, c * taps + k)


def _planes(x: Array) -> tuple[int, int, int, int]:
    return x.shape[0] * x.shape[1], 1, x.shape[2], x.shape[3]


def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Geometry) -> Array:
    """Convolution plus bias."""
    taps: Any = weight.shape[2:]
    how, offsets, out = _windows(1, 1, 1, x.shape[2:], taps, geometry._replace(groups=1))  # type: ignore[arg-type]
    y = np.empty((*x.shape[:2], *out), x.dtype)
    shift = np.zeros(len(weight), x.dtype) if bias is None else flat(bias)
    _run(x, how, offsets, weight.reshape(len(weight), -1), shift, y, out, (0, 0), (1, 1))
    return y


def _run(
    x: Array, how: Packing, offsets: Array, weight: Array, bias: Array, y: Array, size: Pair, at: Pair,
    step: Pair,
) -> None:  # fmt: skip
    """Convolve all planes, in several threads where it pays."""
    source, target, shape = flat(x), y.reshape(-1), _planes(x)
    filters = np.ascontiguousarray(weight)

    def part(first: int, last: int) -> None:
        _correlate(
            source, shape, how, offsets, filters, bias, target, size, at, step, y.shape[2:], first, last
        )  # fmt: skip

    share(part, shape[0], shape[0] * size[0] * how.pitch * (2 + offsets.size // 4))


def conv2d_input(g: Array, weight: Array, size: Pair, geometry: Geometry) -> Array:
    """Gradient of the input: for each phase of the stride, again a convolution, of g."""
    taps, out = weight.shape[2:], g.shape[2:]
    phases = _phases(1, 1, 1, out, tuple(size), taps, geometry._replace(groups=1))  # type: ignore[arg-type]
    d = np.empty((*g.shape[:2], *size), g.dtype)
    none = np.zeros(len(weight), g.dtype)
    for phase in phases:
        filters = weight[:, 0, phase.taps[0]][..., phase.taps[1]].reshape(len(weight), -1)
        _run(g, phase.how, phase.offsets, filters, none, d, phase.size, phase.at, geometry.stride)
    return d


def conv2d_weight(g: Array, x: Array, taps: Pair, geometry: Geometry) -> Array:
    """Gradient of the weight."""
    shape = (g.shape[1], x.shape[1] // geometry.groups, *taps)
    how, offsets, out = _windows(1, 1, 1, x.shape[2:], tuple(taps), geometry._replace(groups=1))  # type: ignore[arg-type]
    beside = how._replace(  # g, where the outputs of x in this packing would be
        rows=out[0], wide=how.pitch, plane=how.plane, before=(0, 0), step=(1, 1), phases=(1, 1)
    )
    padded = np.append(offsets, np.zeros(-offsets.size % TAPS, np.int64))
    d = np.zeros((shape[0], padded.size), x.dtype)
    source, slope, xs, gs = flat(x), flat(g), _planes(x), _planes(g)

    def part(first: int, last: int) -> None:
        _weights(source, xs, how, padded, slope, gs, beside, shape[0], d, first, last)

    share(part, shape[0], xs[0] * gs[2] * how.pitch * (2 + padded.size // 4))
    return d[:, : offsets.size].reshape(shape)
