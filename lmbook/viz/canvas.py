"""What every helper needs: arrays out of tensors, and axes to draw on."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def array(x: Any) -> np.ndarray:
    """The values of a list, an array, or a tensor of lmbook or PyTorch."""
    if hasattr(x, "detach"):
        x = x.detach().numpy()
    return np.asarray(x)


def axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """`ax` itself, or the axes of a new figure of `size` inches."""
    return plt.subplots(figsize=size)[1] if ax is None else ax


def bare(ax: Axes) -> Axes:
    """Without ticks, grid and frame."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax
