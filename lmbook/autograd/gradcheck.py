"""Check derivatives against finite differences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lmbook.autograd.gradients import grad
from lmbook.autograd.graph import no_grad
from lmbook.autograd.tensor import Tensor
from lmbook.backend import DTypeError, GradientError, asarray, host


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    directions: int = 3,
    seed: int = 0,
) -> bool:
    """Compare the gradient of `function` with central differences: True, or an error.

    With a random weight w for each output and a random direction v for each input x, both sides of

        d/dt sum(w * function(x + t v)) at t = 0  =  sum(grad_x * v)

    are computed, `directions` times for each input. Inputs that require a gradient must be float64.
    Raises `GradientError` naming the input, both values and their difference.
    """
    tensors = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    # a stream of its own: inputs drawn from default_rng(0) must not meet the same numbers here
    generator = np.random.default_rng([seed, 271828])
    checked = [i for i, x in enumerate(tensors) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise GradientError("gradcheck: no input has requires_grad=True")
    for i in checked:
        if tensors[i].dtype != np.float64:
            raise DTypeError(
                f"gradcheck: input {i} is {tensors[i].dtype}; differences need float64"
            )
    output = function(*tensors)
    weight = generator.standard_normal(output.shape)
    gradients = grad(output, [tensors[i] for i in checked], gradient=weight)

    def value(i: int, step: np.ndarray) -> float:
        moved = [Tensor(x.data + asarray(step)) if j == i else x for j, x in enumerate(tensors)]
        with no_grad():
            return float(np.sum(host(function(*moved).data) * weight))

    for i, g in zip(checked, gradients, strict=True):
        for _ in range(directions):
            v = generator.standard_normal(tensors[i].shape)
            numeric = (value(i, eps * v) - value(i, -eps * v)) / (2 * eps)
            analytic = float(np.sum(host(g.data) * v))
            scale = float(np.sum(np.abs(host(g.data) * v)))
            if not abs(numeric - analytic) <= atol + rtol * max(abs(numeric), scale):
                raise GradientError(
                    f"gradcheck: input {i} of shape {tensors[i].shape}: derivative along a random "
                    f"direction is {numeric:.9g} by differences, {analytic:.9g} by backward "
                    f"(difference {abs(numeric - analytic):.3g})"
                )
    return True
