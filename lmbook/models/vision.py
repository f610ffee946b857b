"""What the vision models share: first weights, and names of other libraries' checkpoints."""

import math
import re
from collections.abc import Sequence
from typing import Any

from lmbook import nn


def initialise_convolutions(model: nn.Module) -> None:
    """Normal weights of variance 2 / fan_out, zero biases: activations keep their size through ReLUs.

    Source: He et al. 2015, the variant that keeps the gradient's size.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def rename(
    state: dict[str, Any], rules: Sequence[tuple[str, str]], source: str = "checkpoint"
) -> dict[str, Any]:
    """The same arrays under other names: each of the rules (pattern, replacement) in turn, on whole
    names, as regular expressions. Raises `KeyError` where two names become one."""
    renamed: dict[str, Any] = {}
    for name, value in state.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(f"^{pattern}$", replacement, new)
        if new in renamed:
            raise KeyError(f"{source}: two entries become {new!r}, {name!r} is the second of them")
        renamed[new] = value
    return renamed
