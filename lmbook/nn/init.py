"""Initial values of parameters.

`fan_in` and `fan_out` are how many inputs reach one output and how many outputs one input reaches:
for a weight of shape (out, in, *kernel), in and out times the kernel's size.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import ShapeError, ShapeOnly, asarray, default_dtype, default_generator

_shapes_only: ContextVar[bool] = ContextVar("shapes_only", default=False)
_number = count()  # of a filling that is put off


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build modules of any size inside the block without memory for their parameters.

    Count them, ask for shapes, types and bytes; whatever needs a value raises `ShapeOnlyError`. Give them
    values with `load_state_dict(state, assign=True)`, or `materialize`. PyTorch: `torch.device("meta")`.
    """
    before = _shapes_only.get()
    _shapes_only.set(True)
    try:
        yield
    finally:
        _shapes_only.set(before)


def materialize(module: Any) -> Any:
    """Allocate whatever of a module is a shape only, and fill it as its building would have.

    After the same seed all values are those of a module that was built outside `shapes_only`. Returns the
    module. PyTorch: `module.to_empty(device="cpu")` and `reset_parameters()`.
    """
    waiting: dict[int, tuple[Any, list[Tensor]]] = {}
    for tensor in _tensors(module):
        if type(tensor.data) is ShapeOnly:
            empty, tensor.data = tensor.data, asarray(np.zeros(tensor.shape, tensor.dtype))
            for number, draw in empty.fills:
                waiting.setdefault(number, (draw, []))[1].append(tensor)
    for _, (draw, tensors) in sorted(waiting.items(), key=lambda item: item[0]):
        value = draw(default_generator())  # copies of a layer start alike
        for tensor in tensors:
            _write(tensor, value)
    return module


def _tensors(module: Any) -> Iterable[Tensor]:
    """Parameters and buffers, each once."""
    yield from module.parameters()
    yield from (b for _, b in module.named_buffers())


def new(*shape: int, dtype: Any = default_dtype) -> Tensor:
    """Memory for a parameter, to be filled; inside `shapes_only`, its shape and type alone."""
    return Tensor(ShapeOnly(shape, dtype) if _shapes_only.get() else np.zeros(shape, dtype))


def _fill(x: Tensor, draw: Any) -> Tensor:
    if type(x.data) is ShapeOnly:
        x.data.fills.append((next(_number), draw))
    else:
        _write(x, draw(default_generator()))
    return x


def _write(x: Tensor, value: Any) -> None:
    x.data[...] = asarray(value, x.dtype) if isinstance(value, np.ndarray) else value
    x._version[0] += 1


def _fans(x: Tensor) -> tuple[int, int]:
    if x.ndim < 2:
        raise ShapeError(f"init: fan-in needs a weight with two axes or more, got shape {x.shape}")
    kernel = math.prod(x.shape[2:])
    return x.shape[1] * kernel, x.shape[0] * kernel


def calculate_gain(nonlinearity: str, slope: float = 0.0) -> float:
    """How much to widen a layer's weights so that the non-linearity after it keeps the variance."""
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: {nonlinearity!r} is none of {[*gains, 'leaky_relu']}")
    return gains[nonlinearity]


def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Fill with numbers uniform on [low, high)."""
    return _fill(x, lambda g: g.uniform(low, high, x.shape))


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill with normal numbers."""
    return _fill(x, lambda g: g.normal(mean, std, x.shape))


def constant_(x: Tensor, value: float) -> Tensor:
    """Fill with one value."""
    return _fill(x, lambda g: value)


def zeros_(x: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(x, 0.0)


def ones_(x: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(x, 1.0)


def xavier_uniform_(x: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform with variance gain^2 * 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(_fans(x)))
    return uniform_(x, -bound, bound)


def xavier_normal_(x: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with variance gain^2 * 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return normal_(x, 0.0, gain * math.sqrt(2 / sum(_fans(x))))


def kaiming_uniform_(x: Tensor, slope: float = 0.0, nonlinearity: str = "leaky_relu") -> Tensor:
    """Uniform with variance gain^2 / fan_in (He et al. 2015)."""
    bound = calculate_gain(nonlinearity, slope) * math.sqrt(3 / _fans(x)[0])
    return uniform_(x, -bound, bound)


def kaiming_normal_(x: Tensor, slope: float = 0.0, nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with variance gain^2 / fan_in (He et al. 2015)."""
    return normal_(x, 0.0, calculate_gain(nonlinearity, slope) / math.sqrt(_fans(x)[0]))


def orthogonal_(x: Tensor, gain: float = 1.0) -> Tensor:
    """Rows (or columns, if fewer) orthonormal, times gain (Saxe et al. 2013)."""
    rows, columns = x.shape[0], x.numel() // x.shape[0]

    def draw(g: np.random.Generator) -> np.ndarray:
        q, r = np.linalg.qr(g.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return gain * (q.T if rows < columns else q).reshape(x.shape)

    return _fill(x, draw)
