"""Mixed precision, emulated: products of numbers rounded to 16 bits, everything else in float32.

float16 has 10 bits after the leading one and ends at 65,504; below 6.1e-5 it loses bits, and below
3e-8 all is zero. bfloat16 has 7 bits and the range of float32. Rounding here equals the hardware's
bit for bit, and products accumulate in float32, as matrix units do; only the speed is not theirs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.backend import Array, DTypeError, contiguous, is_array
from lmbook.nn import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Linear, Module
from lmbook.optim import Optimizer


class Format(NamedTuple):
    """A floating-point format: bits in all and of the exponent, largest, least normal, spacing at 1."""

    name: str
    bits: int
    exponent: int
    max: float
    smallest_normal: float
    eps: float


FORMATS = {
    "float32": Format("float32", 32, 8, float(np.finfo("f4").max), 2.0**-126, 2.0**-23),
    "float16": Format("float16", 16, 5, 65504.0, 2.0**-14, 2.0**-10),
    "bfloat16": Format("bfloat16", 16, 8, (2 - 2.0**-7) * 2.0**127, 2.0**-126, 2.0**-7),
}


def format_of(name: str) -> Format:
    """The format of that name."""
    if name not in FORMATS:
        raise ValueError(f"precision: {name!r} is none of {list(FORMATS)}")
    return FORMATS[name]


def round_to(x: Any, name: str) -> Array:
    """float32 numbers rounded to the nearest of a format (ties to even), as float32.

    What is too large becomes infinite; NaN stays NaN. For bfloat16 the upper half of the bits is kept,
    after adding half of the last place (Kalamkar et al. 2019).
    """
    format_of(name)
    values = x.data if isinstance(x, Tensor) else x if is_array(x) else np.asarray(x)
    if values.dtype != np.float32:
        raise DTypeError(f"round_to: values must be float32, got {values.dtype}; use .astype('f4')")
    if name == "float32":
        return values.copy()
    if name == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    bits = contiguous(values).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), np.float32(np.nan), rounded.view(np.float32))


@primitive
def _round_cast(x, name):  # type: ignore[no-untyped-def]
    """Round to a format on the way forward, and the gradient on the way back."""

    def pull(g, needs):  # type: ignore[no-untyped-def]
        return round_to(g, name), None

    return round_to(x, name), pull


def cast(x: Tensor, name: str) -> Tensor:
    """`x` rounded to a format; its gradient is rounded, too, as a tensor of that format would have it."""
    return _round_cast(x, name)


PRODUCTS = (Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d)
"""Layers whose products run in 16 bits, with those of other rooms that say `product = True`; norms,
softmax and losses stay in float32."""


class MixedPrecision:
    """While it is on, `model`'s linear and convolution layers work on rounded numbers.

    Each rounds its input, its weights and its result, and the gradients of the three; the weights
    themselves stay in float32 and collect updates too small for 16 bits (Micikevicius et al. 2018).
    `remove()`, or the end of a `with` block, turns it off. PyTorch: `torch.autocast`.
    """

    def __init__(self, model: Module, name: str) -> None:
        if format_of(name).bits != 16:
            raise ValueError(f"MixedPrecision: {name!r} rounds nothing; choose float16 or bfloat16")
        self.name = name
        self.layers = [
            m for m in model.modules() if isinstance(m, PRODUCTS) or hasattr(m, "product")
        ]
        if not self.layers:
            raise ValueError(
                f"MixedPrecision: {type(model).__name__} has no linear or convolution layer to round"
            )
        self.handles = []
        for layer in self.layers:
            self.handles.append(layer.register_forward_pre_hook(_before(name)))
            self.handles.append(layer.register_forward_hook(_after(name)))

    def remove(self) -> None:
        """Compute in float32 again."""
        for handle in self.handles:
            handle.remove()
        for layer in self.layers:
            _restore(layer)

    def __enter__(self) -> "MixedPrecision":
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def _before(name: str) -> Any:
    def hook(layer: Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        for key, p in layer._parameters.items():
            if p is not None:  # what forward finds under the name is the rounded weight
                layer.__dict__[key] = cast(p, name)
        return tuple(cast(x, name) if isinstance(x, Tensor) else x for x in inputs)

    return hook


def _after(name: str) -> Any:
    def hook(layer: Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        _restore(layer)
        return cast(output, name)

    return hook


def _restore(layer: Module) -> None:
    layer.__dict__.update(layer._parameters)


class GradScaler:
    """Multiplies the loss, so that small gradients survive float16, and adapts the factor.

    A step whose gradients are not finite is left out and halves the scale; `growth_interval` steps
    without one double it. Names and rules are those of `torch.amp.GradScaler`. Where each process sees a
    part of the gradients, `agree` turns what this one found into what any has found.
    """

    def __init__(
        self, init_scale: float = 65536.0, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, agree: Callable[[bool], bool] | None = None,
    ) -> None:  # fmt: skip
        if not init_scale > 0 or not np.isfinite(init_scale):
            raise ValueError(f"GradScaler: init_scale = {init_scale} must be finite and above 0")
        if not growth_factor > 1 or not 0 < backoff_factor < 1 or growth_interval < 1:
            raise ValueError(
                f"GradScaler: growth_factor {growth_factor} must be above 1, backoff_factor "
                f"{backoff_factor} in (0, 1), growth_interval {growth_interval} 1 or more"
            )
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval, self.agree = growth_interval, agree
        self._scale, self._good, self._found = float(init_scale), 0, False
        self._unscaled = False

    def get_scale(self) -> float:
        """The factor in force."""
        return self._scale

    def scale(self, loss: Tensor) -> Tensor:
        """The loss times the scale; call `backward` on it."""
        return loss * self._scale

    def unscale_(self, optimizer: Optimizer) -> bool:
        """Divide the gradients by the scale; return whether all are finite. Once for each step."""
        if self._unscaled:
            raise RuntimeError("GradScaler.unscale_: called twice; call update() after each step")
        seen = False
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    seen = True
                    p.grad.data *= p.grad.data.dtype.type(1 / self._scale)
                    self._found |= not np.isfinite(p.grad.data).all().item()
        if self.agree is not None:
            if not seen:
                raise RuntimeError(
                    "GradScaler.unscale_: no parameter has a gradient; with ZeRO-1 call optimizer.reduce()"
                )
            self._found = self.agree(self._found)
        self._unscaled = True
        return not self._found

    def step(self, optimizer: Optimizer) -> bool:
        """`optimizer.step()`, unless a gradient is not finite; return whether it was taken."""
        if not self._unscaled:
            self.unscale_(optimizer)
        if not self._found:
            optimizer.step()
        return not self._found

    def update(self) -> None:
        """Adapt the scale after a step."""
        if self._found:
            self._scale, self._good = self._scale * self.backoff_factor, 0
        else:
            self._good += 1
            if self._good == self.growth_interval:
                self._scale, self._good = self._scale * self.growth_factor, 0
        self._found = self._unscaled = False

    def state_dict(self) -> dict[str, Any]:
        """Scale, and steps since it last changed."""
        return {"scale": self._scale, "good": self._good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another one stood."""
        self._scale, self._good = float(state["scale"]), int(state["good"])
        self._found = self._unscaled = False
