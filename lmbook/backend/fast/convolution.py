"""Which of three compiled ways a convolution goes.

Where each channel has a filter of its own, `depthwise`. Where a large weight meets few positions, as
in the last layers of a network that looks at one picture, the readable kernels, which give a column
matrix to BLAS: packing the weight would take as long as using it. Everything else, `conv`.
"""

import numpy as np

from lmbook.backend.fast import conv, depthwise
from lmbook.backend.fast.conv import channel_sums
from lmbook.backend.kernels import conv as readable
from lmbook.backend.kernels.conv import Geometry

__all__ = ["channel_sums", "conv2d", "conv2d_input", "conv2d_weight"]

Array = np.ndarray
Pair = tuple[int, int]

HEAVY, FEW = 1 << 16, 512
"""Numbers in a large weight; positions (of all images) that are few."""


def _each(x: Array, weight: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether every channel is a group of its own, with one filter, and there is something to do."""
    return (
        weight[0] == geometry.groups > 1
        and weight[1] == 1
        and x.size > 0
        and min(weight) > 0
        and x.dtype in (np.float32, np.float64)
    )


def _few(images: int, out: tuple[int, ...], weight: tuple[int, ...], geometry: Geometry) -> bool:
    numbers = weight[0] * weight[1] * weight[2] * weight[3]
    return geometry.groups == 1 and numbers >= HEAVY and 0 < images * out[0] * out[1] < FEW


def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Geometry) -> Array:
    """Convolution plus bias."""
    if _each(x, weight.shape, geometry):
        return depthwise.conv2d(x, weight, bias, geometry)
    out = geometry.output(x.shape[2:], weight.shape[2:])  # type: ignore[arg-type]
    if _few(len(x), out, weight.shape, geometry):
        return readable.conv2d.reference(x, weight, bias, geometry)
    return conv.conv2d(x, weight, bias, geometry)


def conv2d_input(g: Array, weight: Array, size: Pair, geometry: Geometry) -> Array:
    """Gradient of the input."""
    if _each(g, weight.shape, geometry):
        return depthwise.conv2d_input(g, weight, size, geometry)
    if _few(len(g), g.shape[2:], weight.shape, geometry):
        return readable.conv2d_input.reference(g, weight, size, geometry)
    return conv.conv2d_input(g, weight, size, geometry)


def conv2d_weight(g: Array, x: Array, taps: Pair, geometry: Geometry) -> Array:
    """Gradient of the weight."""
    shape = (g.shape[1], x.shape[1] // geometry.groups, *taps)
    if _each(x, shape, geometry) and g.size:
        return depthwise.conv2d_weight(g, x, taps, geometry)
    if _few(len(x), g.shape[2:], shape, geometry):
        return readable.conv2d_weight.reference(g, x, taps, geometry)
    return conv.conv2d_weight(g, x, taps, geometry)
