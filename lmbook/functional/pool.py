"""Pooling: the largest entry, or the mean, of windows of signals and images; and upsampling."""

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.backend import DTypeError, ShapeError, asarray, host
from lmbook.backend.kernels import pool as k
from lmbook.backend.kernels.pool import Window
from lmbook.functional.conv import Sizes, sizes


def _image(x):  # type: ignore[no-untyped-def]
    return x[:, :, None] if x.ndim == 3 else x


def _like(y, x):  # type: ignore[no-untyped-def]
    """Drop the single row again where x holds signals."""
    return y.reshape(*y.shape[:2], *y.shape[6 - x.ndim :])


@primitive
def _max_pool(x, window, found):  # type: ignore[no-untyped-def]
    """Largest entry of each window; `found` receives the taps."""
    images = _image(x)
    y, tap = k.max_pool2d(images, window)
    found.append(tap)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        d = k.max_pool2d_backward(_image(g), tap, images.shape[2:], window)
        return d.reshape(x.shape), None, None

    return _like(y, x), pull


@primitive
def _avg_pool(x, window, count):  # type: ignore[no-untyped-def]
    """Sum of each window over `count` (p, q)."""
    images = _image(x)
    weight = asarray(1 / count, x.dtype)
    y = k.sum_pool2d(images, window)
    y *= weight

    def pull(g, needs):  # type: ignore[no-untyped-def]
        d = k.sum_pool2d_backward(_image(g) * weight, images.shape[2:], window)
        return d.reshape(x.shape), None, None

    return _like(y, x), pull


def _axis(
    operation: str, x: Tensor, n: int, tap: int, stride: int, pad: int, dilation: int, ceil: bool
) -> tuple[int, int, int]:
    """Padding before and after one axis, and the number of windows along it."""
    room = n + 2 * pad - dilation * (tap - 1) - 1
    if room < 0:
        raise ShapeError(
            f"{operation}: a window of {tap} with dilation {dilation} does not fit into input "
            f"{x.shape} with padding {pad}; pad more or take a smaller window"
        )
    count = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (count - 1) * stride >= n + pad:  # a window must not start in the padding after
        count -= 1
    return pad, max(pad, (count - 1) * stride + dilation * (tap - 1) + 1 - n - pad), count


def _window(
    operation: str, x: Tensor, dims: int, kernel_size: Sizes, stride: Sizes | None,
    padding: Sizes, dilation: Sizes, ceil_mode: bool,
) -> Window:  # fmt: skip
    if x.ndim != dims + 2:
        axes = "(batch, channels, length)" if dims == 1 else "(batch, channels, height, width)"
        raise ShapeError(
            f"{operation}: needs an input {axes}, with or without batch, got {x.shape}"
        )
    if x.dtype.kind != "f":
        raise DTypeError(f"{operation}: input is {x.dtype}; convert it first, e.g. x.float()")
    taps = sizes(operation, "kernel_size", kernel_size, dims)
    steps = taps if stride is None else sizes(operation, "stride", stride, dims)
    pads = sizes(operation, "padding", padding, dims, 0)
    apart = sizes(operation, "dilation", dilation, dims)
    if any(2 * p > t for p, t in zip(pads, taps, strict=True)):
        raise ValueError(
            f"{operation}: padding {pads} must be at most half of the window {taps}, or windows "
            "would hold padding alone"
        )
    sides: list[int] = [0, 0] * (2 - dims)
    for n, t, s, p, d in zip(x.shape[2:], taps, steps, pads, apart, strict=True):
        sides += _axis(operation, x, n, t, s, p, d, ceil_mode)[:2]
    row = (1,) * (2 - dims)
    return Window((*row, *taps), (*row, *steps), tuple(sides), (*row, *apart))  # type: ignore[arg-type]


def _max(
    operation: str, dims: int, x: Tensor, kernel_size: Sizes, stride: Sizes | None,
    padding: Sizes, dilation: Sizes, ceil_mode: bool, return_indices: bool,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    if x.ndim == dims + 1:
        y = _max(
            operation, dims, x.reshape(1, *x.shape), kernel_size, stride, padding, dilation,
            ceil_mode, return_indices,
        )  # fmt: skip
        return (y[0][0], y[1][0]) if isinstance(y, tuple) else y[0]
    window = _window(operation, x, dims, kernel_size, stride, padding, dilation, ceil_mode)
    found: list[np.ndarray] = []
    y = _max_pool(x, window, found)
    return (y, Tensor(_like(_positions(found[0], x.shape[-1], window), x))) if return_indices else y


def _positions(tap: np.ndarray, width: int, window: Window) -> np.ndarray:
    """Where the winners stand in the flattened image."""
    tap = host(tap).astype(np.int64)
    i, j = np.divmod(tap, window.taps[1])
    top, _, left, _ = window.padding
    rows = np.arange(tap.shape[2])[:, None] * window.stride[0] - top + i * window.dilation[0]
    return rows * width + np.arange(tap.shape[3]) * window.stride[1] - left + j * window.dilation[1]


def max_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """Largest entry of each window of a signal; also its position, with `return_indices`.

    Shapes: input (N, C, L) or (C, L), result (N, C, L') with
    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, rounded up instead
    with `ceil_mode`; the stride is the window unless given.
    """
    return _max(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


def max_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """Largest entry of each window of an image; the first of equals takes the gradient.

    Shapes: input (N, C, H, W) or (C, H, W), result (N, C, H', W') with H' as in `max_pool1d`;
    positions, with `return_indices`, count row by row in the image.
    """
    return _max(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


def _counted(
    n: int, tap: int, stride: int, before: int, after: int, pad: int, all: bool
) -> np.ndarray:
    """How many entries each window along an axis counts: with `all`, the padding's too."""
    start = np.arange((n + before + after - tap) // stride + 1) * stride - before
    low, high = (start, n + pad) if all else (np.maximum(start, 0), n)
    return np.minimum(start + tap, high) - low


def _mean(
    operation: str, dims: int, x: Tensor, kernel_size: Sizes, stride: Sizes | None,
    padding: Sizes, ceil_mode: bool, count_include_pad: bool, divisor: int | None,
) -> Tensor:  # fmt: skip
    if x.ndim == dims + 1:
        return _mean(
            operation, dims, x.reshape(1, *x.shape), kernel_size, stride, padding, ceil_mode,
            count_include_pad, divisor,
        )[0]  # fmt: skip
    window = _window(operation, x, dims, kernel_size, stride, padding, 1, ceil_mode)
    size = (1,) * (2 - dims) + x.shape[2:]
    p, s, t = window.padding, window.stride, window.taps
    rows, columns = (
        _counted(size[a], t[a], s[a], p[2 * a], p[2 * a + 1], p[2 * a], count_include_pad)
        for a in (0, 1)
    )
    count = np.outer(rows, columns)
    return _avg_pool(x, window, count if divisor is None else np.full_like(count, divisor))


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Mean of each window of a signal. Shapes as in `max_pool1d`."""
    return _mean(
        "avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )  # fmt: skip


def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Mean of each window of an image. Shapes as in `max_pool2d`.

    Zeros of the padding count as entries unless `count_include_pad` is False; `divisor_override`
    divides by another number.
    """
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    return _mean(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


def _averaging(out: int, n: int, dtype: np.dtype) -> np.ndarray:
    """Matrix (out, n) whose row i is the mean over floor(i n / out) to ceil((i + 1) n / out)."""
    i, position = np.arange(out)[:, None], np.arange(n)
    inside = (position >= i * n // out) & (position < -(-(i + 1) * n // out))
    return (inside / inside.sum(axis=1, keepdims=True)).astype(dtype)


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean over windows chosen so that the output is `output_size`: R x C^T, with averaging
    matrices R and C for rows and columns.

    Shapes: input (N, C, H, W) or (C, H, W), result (N, C, *output_size). `output_size=1` is global
    average pooling (Lin et al. 2013).
    """
    if input.ndim not in (3, 4):
        raise ShapeError(
            f"adaptive_avg_pool2d: needs (batch, channels, height, width), got {input.shape}"
        )
    p, q = sizes("adaptive_avg_pool2d", "output_size", output_size, 2)
    if (p, q) == (1, 1):
        return input.mean((-2, -1), keepdim=True)
    rows, columns = (
        Tensor(_averaging(out, n, input.dtype))
        for out, n in zip((p, q), input.shape[-2:], strict=True)
    )
    return rows @ (input @ columns.transpose(0, 1))


@primitive
def _upsample(x, scale):  # type: ignore[no-untyped-def]
    """Repeat every entry along the last axes."""
    y, dims = x, len(scale)
    for axis, times in enumerate(scale, x.ndim - dims):
        y = np.repeat(y, times, axis)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        split = [n for pair in zip(x.shape[-dims:], scale, strict=True) for n in pair]
        blocks = g.reshape(*x.shape[: x.ndim - dims], *split)
        return blocks.sum(axis=tuple(range(x.ndim - dims + 1, blocks.ndim, 2))), None

    return y, pull


def upsample_nearest(input: Tensor, scale_factor: Sizes) -> Tensor:
    """Repeat every entry `scale_factor` times along each axis of a signal or image.

    Shapes: (N, C, L) to (N, C, L scale); (N, C, H, W) to (N, C, H scale, W scale).
    """
    if input.ndim not in (3, 4):
        raise ShapeError(f"upsample_nearest: needs (batch, channels, ...), got {input.shape}")
    return _upsample(input, sizes("upsample_nearest", "scale_factor", scale_factor, input.ndim - 2))
