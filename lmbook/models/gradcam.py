"""Grad-CAM: where a classifier looks.

Sources: Selvaraju et al. 2017; Zhou et al. 2016 for the map that it generalises.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbook import nn
from lmbook.autograd import Tensor, as_tensor, enable_grad, grad
from lmbook.backend import ShapeError, host


def grad_cam(
    model: nn.Module,
    layer: nn.Module,
    images: Any,
    target: int | Sequence[int] | None = None,
    upsample: bool = True,
) -> np.ndarray:
    """How much each place of the layer's maps A speaks for the class: relu(sum over k of w_k A_k),
    where w_k is the mean over the image of d logit / d A_k.

    Shapes: images (N, C, H, W), the layer's output (N, K, P, Q), result (N, H, W) in [0, 1], each
    image's largest entry 1 unless all are 0; (N, P, Q) if not `upsample`. A layer of tokens (N, 1 + P P, K),
    as in a ViT, is taken as its grid without the class token. `target` is a class for all images or one
    each, by default the one that the model finds. The model runs in evaluation mode and is left as it was.
    """
    x = as_tensor(images)
    if x.ndim != 4:
        raise ShapeError(f"grad_cam: needs images (batch, channels, height, width), got {x.shape}")
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise TypeError(f"grad_cam: the layer returns {type(output).__name__}, not one tensor")
        if not output.requires_grad:  # also a model whose parameters are frozen can be asked
            output = Tensor(output.data, requires_grad=True)
        seen.append(output)
        return output

    modes = [(module, module.training) for module in model.modules()]
    handle = layer.register_forward_hook(keep)
    try:
        with enable_grad():
            logits = model.eval()(x)
    finally:
        handle.remove()
        for module, mode in modes:
            object.__setattr__(module, "training", mode)
    if not seen:
        raise ValueError(
            f"grad_cam: the layer {type(layer).__name__} was not called; it must be part of the model"
        )
    n, classes = logits.shape
    chosen = host(logits.data).argmax(1) if target is None else np.broadcast_to(target, n)
    if chosen.min() < 0 or chosen.max() >= classes:
        raise ValueError(f"grad_cam: target {target} is outside the model's {classes} classes")
    score = logits[np.arange(n), chosen].sum()
    (slope,) = grad(score, [seen[-1]])
    maps, slopes = _grid(host(seen[-1].data)), _grid(host(slope.data))
    weights = slopes.mean(axis=(2, 3), keepdims=True)
    cam = np.maximum((weights * maps).sum(axis=1), 0)
    if upsample:
        cam = resize(cam, x.shape[2], x.shape[3])
    peak = cam.max(axis=(1, 2), keepdims=True)
    return cam / np.where(peak > 0, peak, 1)


def _grid(x: np.ndarray) -> np.ndarray:
    """Maps (N, K, P, Q); tokens (N, T, K) become the square of patches, without a class token."""
    if x.ndim == 4:
        return x
    if x.ndim == 3:
        side = int(np.sqrt(x.shape[1]))
        patches = x[:, x.shape[1] - side * side :]
        if side > 1 and x.shape[1] - side * side <= 1:
            return patches.reshape(len(x), side, side, -1).transpose(0, 3, 1, 2)
    raise ShapeError(
        f"grad_cam: the layer's output {x.shape} is neither maps (batch, channels, height, width) nor "
        "tokens of a square of patches"
    )


def resize(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Maps (N, P, Q) as (N, height, width), bilinear between the centres of entries."""

    def between(n: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        low = at.astype(int)
        return low, np.minimum(low + 1, n - 1), (at - low).astype(maps.dtype)

    top, bottom, down = between(maps.shape[1], height)
    left, right, across = between(maps.shape[2], width)
    rows = maps[:, top] * (1 - down)[:, None] + maps[:, bottom] * down[:, None]
    return rows[:, :, left] * (1 - across) + rows[:, :, right] * across
