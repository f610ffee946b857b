"""Convolution in one and two dimensions, its transpose, and the columns behind both."""

from collections.abc import Sequence

from lmbook.autograd import Tensor, primitive
from lmbook.backend import DTypeError, ShapeError
from lmbook.backend.kernels import conv as k
from lmbook.backend.kernels.conv import Geometry

Sizes = int | Sequence[int]


def sizes(operation: str, name: str, value: Sizes, dims: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each dimension, from one for all or one for each."""
    many = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(many) != dims or any(not isinstance(v, int) or v < least for v in many):
        raise ValueError(
            f"{operation}: {name} = {value!r} must be a whole number of at least {least}, or "
            f"{dims} of them"
        )
    return many


def _image(x):  # type: ignore[no-untyped-def]
    """A batch of signals as a batch of images one row high."""
    return x[:, :, None] if x.ndim == 3 else x


@primitive
def _conv(x, weight, bias, geometry):  # type: ignore[no-untyped-def]
    """Cross-correlation of images or signals with a bank of filters."""
    images, filters = _image(x), _image(weight)
    y = k.conv2d(images, filters, bias, geometry)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        g = _image(g)
        dx = dw = None
        if needs[0]:
            dx = k.conv2d_input(g, filters, images.shape[2:], geometry).reshape(x.shape)
        if needs[1]:
            dw = k.conv2d_weight(g, images, filters.shape[2:], geometry).reshape(weight.shape)
        return dx, dw, k.channel_sums(g) if needs[2] else None, None

    return y.reshape(*y.shape[:2], *y.shape[6 - x.ndim :]), pull


@primitive
def _conv_transpose(x, weight, bias, size, geometry):  # type: ignore[no-untyped-def]
    """The transpose of a convolution: every entry of x paints a weighted kernel into the output."""
    images, filters = _image(x), _image(weight)
    y = k.conv2d_input(images, filters, size, geometry)
    if bias is not None:
        y += bias[:, None, None]

    def pull(g, needs):  # type: ignore[no-untyped-def]
        g = _image(g)
        dx = dw = None
        if needs[0]:
            # output_padding adds rows that no tap reached: leave them out
            dx = k.conv2d(g, filters, None, geometry)[..., : images.shape[2], : images.shape[3]]
            dx = dx.reshape(x.shape)
        if needs[1]:
            dw = k.conv2d_weight(images, g, filters.shape[2:], geometry).reshape(weight.shape)
        return dx, dw, k.channel_sums(g) if needs[2] else None, None, None

    return y.reshape(*y.shape[:2], *y.shape[6 - x.ndim :]), pull


def _checked(
    operation: str, x: Tensor, weight: Tensor, bias: Tensor | None, dims: int, groups: int,
    transposed: bool,
) -> None:  # fmt: skip
    """Refuse shapes and types that do not fit, saying how they would."""
    if weight.ndim != dims + 2 or x.ndim != dims + 2:
        axes = "(batch, channels, length)" if dims == 1 else "(batch, channels, height, width)"
        raise ShapeError(
            f"{operation}: needs an input {axes} and a weight with {dims + 2} axes, got input "
            f"{x.shape} and weight {weight.shape}"
        )
    if x.dtype != weight.dtype or x.dtype.kind != "f":
        raise DTypeError(
            f"{operation}: input is {x.dtype} and weight {weight.dtype}; both must be the same "
            "floating-point type, e.g. x.float()"
        )
    sizes(operation, "groups", groups, 1)
    expected = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.shape[1] != expected or weight.shape[0] % groups:
        layout = "(in, out / groups, ...)" if transposed else "(out, in / groups, ...)"
        raise ShapeError(
            f"{operation}: input {x.shape} has {x.shape[1]} channels, weight {weight.shape} = "
            f"{layout} with groups={groups} takes {expected}; both channel counts must divide by "
            "groups"
        )
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"{operation}: bias {bias.shape} must have shape ({outputs},)")


def _padding(
    operation: str, padding: Sizes | str, kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:  # fmt: skip
    """(before, after) for every dimension, one after the other."""
    dims = len(kernel)
    if padding == "valid":
        return (0, 0) * dims
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f"{operation}: padding='same' needs stride 1, got {stride}")
        reach = [d * (n - 1) for d, n in zip(dilation, kernel, strict=True)]
        return tuple(side for r in reach for side in (r // 2, r - r // 2))
    if isinstance(padding, str):
        raise ValueError(f"{operation}: padding {padding!r} is neither 'same', 'valid' nor numbers")
    return tuple(p for n in sizes(operation, "padding", padding, dims, 0) for p in (n, n))


def _geometry(
    stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...], groups: int
) -> Geometry:
    if len(stride) == 1:
        stride, padding, dilation = (1, *stride), (0, 0, *padding), (1, *dilation)
    return Geometry(stride, padding, dilation, groups)  # type: ignore[arg-type]


def _fits(operation: str, x: Tensor, kernel: Sequence[int], geometry: Geometry) -> None:
    """Refuse a kernel that reaches beyond the padded input."""
    kernel = tuple(kernel)
    row = (1,) * (2 - len(kernel))  # a signal is an image one row high
    size, taps = (*row, *x.shape[-len(kernel) :]), (*row, *kernel)
    if min(geometry.output(size, taps)) < 1:  # type: ignore[arg-type]
        raise ShapeError(
            f"{operation}: kernel {kernel} with dilation {geometry.dilation[-len(kernel) :]} does "
            f"not fit into input {x.shape} with padding {geometry.padding[-2 * len(kernel) :]}; "
            "pad more or take a smaller kernel"
        )


def _forward(
    operation: str, dims: int, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes,
    padding: Sizes | str, dilation: Sizes, groups: int,
) -> Tensor:  # fmt: skip
    if x.ndim == dims + 1:  # one example without a batch axis
        x = x.reshape(1, *x.shape)
        return _forward(
            operation, dims, x, weight, bias, stride, padding, dilation, groups
        )[0]  # fmt: skip
    _checked(operation, x, weight, bias, dims, groups, transposed=False)
    s, d = sizes(operation, "stride", stride, dims), sizes(operation, "dilation", dilation, dims)
    taps = weight.shape[2:]
    geometry = _geometry(s, _padding(operation, padding, taps, s, d), d, groups)
    _fits(operation, x, taps, geometry)
    return _conv(x, weight, bias, geometry)


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """y[n, o, q] = bias[o] + sum over c, j of x[n, c, q stride + j dilation - padding] weight[o, c, j].

    Shapes: input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,), result (N, O, L') with
    L' = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1. padding="same" keeps L.
    """
    return _forward("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Cross-correlation of images with filters, which is what networks call a convolution:

    y[n, o, p, q] = bias[o] + sum over c, i, j of
    x[n, c, p stride + i dilation - padding, q stride + j dilation - padding] weight[o, c, i, j].

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C / groups, K, L), bias (O,), result
    (N, O, H', W') with H' = floor((H + 2 padding - dilation (K - 1) - 1) / stride) + 1.
    Source: Dumoulin and Visin 2016, a guide to convolution arithmetic.
    """
    return _forward("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv2d_same(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """conv2d padded as TensorFlow's "SAME" does at any stride: H' = ceil(H / stride).

    What is missing, max((H' - 1) stride + dilation (K - 1) + 1 - H, 0) rows, is shared between top and
    bottom; an odd one goes to the bottom, so that with stride 2 the grid depends on the size's parity.
    Shapes: input (N, C, H, W), otherwise as `conv2d`.
    """
    if input.ndim != 4:
        raise ShapeError(
            f"conv2d_same: needs an input (batch, channels, height, width), got {input.shape}"
        )
    _checked("conv2d_same", input, weight, bias, 2, groups, transposed=False)
    s = sizes("conv2d_same", "stride", stride, 2)
    d = sizes("conv2d_same", "dilation", dilation, 2)
    sides: list[int] = []
    for n, t, step, apart in zip(input.shape[2:], weight.shape[2:], s, d, strict=True):
        missing = max((-(-n // step) - 1) * step + apart * (t - 1) + 1 - n, 0)
        sides += [missing // 2, missing - missing // 2]
    return _conv(input, weight, bias, _geometry(s, tuple(sides), d, groups))


def _backward(
    operation: str, dims: int, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes,
    padding: Sizes, output_padding: Sizes, groups: int, dilation: Sizes,
) -> Tensor:  # fmt: skip
    if x.ndim == dims + 1:
        x = x.reshape(1, *x.shape)
        return _backward(
            operation, dims, x, weight, bias, stride, padding, output_padding, groups, dilation
        )[0]
    _checked(operation, x, weight, bias, dims, groups, transposed=True)
    s, d = sizes(operation, "stride", stride, dims), sizes(operation, "dilation", dilation, dims)
    pad = sizes(operation, "padding", padding, dims, 0)
    extra = sizes(operation, "output_padding", output_padding, dims, 0)
    if any(e >= max(a, b) for e, a, b in zip(extra, s, d, strict=True)):
        raise ValueError(
            f"{operation}: output_padding {extra} must be smaller than stride {s} or dilation {d}"
        )
    taps = weight.shape[2:]
    size = [
        (n - 1) * a - 2 * p + b * (t - 1) + e + 1
        for n, a, p, b, t, e in zip(x.shape[2:], s, pad, d, taps, extra, strict=True)
    ]
    if min(size) < 1:
        raise ShapeError(
            f"{operation}: input {x.shape} with padding {pad} gives an output of size {size}; "
            "pad less"
        )
    both = tuple(p for n in pad for p in (n, n))
    out = (1, *size) if dims == 1 else tuple(size)
    return _conv_transpose(x, weight, bias, out, _geometry(s, both, d, groups))


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of conv1d as a linear map: it widens where conv1d narrows.

    Shapes: input (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,), result (N, O, L') with
    L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    """
    return _backward(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of conv2d as a linear map: what carries a gradient back through conv2d.

    Shapes: input (N, C, H, W) or (C, H, W), weight (C, O / groups, K, L), bias (O,), result
    (N, O, H', W') with H' = (H - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    Source: Zeiler et al. 2010; Dumoulin and Visin 2016.
    """
    return _backward(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


@primitive
def _unfold(x, taps, geometry):  # type: ignore[no-untyped-def]
    """Windows of images as columns."""
    return k.unfold(x, taps, geometry), lambda g, needs: (
        k.fold(g, x.shape[2:], taps, geometry), None, None
    )  # fmt: skip


@primitive
def _fold(columns, size, taps, geometry):  # type: ignore[no-untyped-def]
    """Columns added into images."""
    return k.fold(columns, size, taps, geometry), lambda g, needs: (
        k.unfold(g, taps, geometry), None, None, None
    )  # fmt: skip


def _window(
    operation: str, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes
) -> tuple[tuple[int, ...], Geometry]:
    taps = sizes(operation, "kernel_size", kernel_size, 2)
    s, d = sizes(operation, "stride", stride, 2), sizes(operation, "dilation", dilation, 2)
    return taps, _geometry(s, _padding(operation, padding, taps, s, d), d, 1)


def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """im2col: every window of the image as a column, so that a convolution is a matrix product.

    Shapes: input (N, C, H, W), result (N, C K L, windows), windows counted row by row.
    """
    taps, geometry = _window("unfold", kernel_size, dilation, padding, stride)
    if input.ndim != 4:
        raise ShapeError(f"unfold: needs (batch, channels, height, width), got {input.shape}")
    _fits("unfold", input, taps, geometry)
    return _unfold(input, taps, geometry)


def fold(
    input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1,
    padding: Sizes = 0, stride: Sizes = 1,
) -> Tensor:  # fmt: skip
    """col2im: add columns into an image where their windows lay; the transpose of `unfold`.

    Shapes: input (N, C K L, windows), result (N, C, *output_size).
    """
    taps, geometry = _window("fold", kernel_size, dilation, padding, stride)
    size = sizes("fold", "output_size", output_size, 2)
    p, q = geometry.output(size, taps)  # type: ignore[arg-type]
    entries = taps[0] * taps[1]
    if input.ndim != 3 or input.shape[1] % entries or min(p, q) < 1 or input.shape[2] != p * q:
        raise ShapeError(
            f"fold: input {input.shape} must be (batch, channels * {entries}, windows), and kernel "
            f"{taps} has {max(p, 0) * max(q, 0)} windows in an output of {size}"
        )
    return _fold(input, size, taps, geometry)
