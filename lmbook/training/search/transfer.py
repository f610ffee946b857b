"""Hyper-parameters that a wide network takes over from a narrow one: maximal update parametrisation.

Under the standard rules one rate for all weights makes the changes of a layer's output grow with
its width, so the best rate falls as networks grow. With m = fan_in / (fan_in of the narrow base
network), muP asks for

    weights                       first deviation     Adam's rate    SGD's rate
    into a width (inputs, biases)     as usual           lr          lr * fan_out / base fan_out
    width to width (hidden)           as usual           lr / m          lr
    out of a width (outputs)       usual / sqrt(m)       lr / m          lr / m

where the usual deviation is c / sqrt(fan_in). Source: Yang et al. (2022), table 3.
"""

import math
from typing import Any

from lmbook.nn.module import Module


def mup_groups(
    model: Module, base: Module, lr: float, *, optimizer: str = "adam", rescale: bool = True
) -> list[dict[str, Any]]:
    """Parameter groups for `optim.Adam(mup_groups(model, base, lr), lr=lr)`, one a parameter.

    `base` is the same architecture at its base width; the axes whose sizes differ are widths. With
    `rescale` the output weights of `model`, freshly initialised, are divided by sqrt(m) in place.
    A matrix has shape (fan_out, fan_in), as in `nn.Linear`.
    """
    if optimizer not in ("adam", "sgd"):
        raise ValueError(f"mup_groups: optimizer must be 'adam' or 'sgd', not {optimizer!r}")
    ours, theirs = dict(model.named_parameters()), dict(base.named_parameters())
    if list(ours) != list(theirs):
        different = sorted(set(ours) ^ set(theirs)) or list(ours)
        raise ValueError(f"mup_groups: the two models differ in more than width: {different[:4]}")
    groups = []
    for name, parameter in ours.items():
        shape, narrow = parameter.shape, theirs[name].shape
        if len(shape) != len(narrow) or len(shape) not in (1, 2):
            raise ValueError(
                f"mup_groups: {name} has shape {shape} against {narrow}; want vectors and matrices"
            )
        out_ratio = shape[0] / narrow[0]
        in_ratio = shape[1] / narrow[1] if len(shape) == 2 else 1.0
        if rescale and in_ratio != 1 and out_ratio == 1:
            parameter.data /= math.sqrt(in_ratio)
        groups.append({"params": [parameter], "lr": lr * _factor(optimizer, in_ratio, out_ratio)})
    return groups


def _factor(optimizer: str, in_ratio: float, out_ratio: float) -> float:
    """What the rate of one parameter is multiplied with."""
    if optimizer == "adam":
        return 1 / in_ratio
    if in_ratio == 1:  # into a width, or no width at all (out_ratio 1)
        return out_ratio
    return 1 / in_ratio if out_ratio == 1 else 1.0
