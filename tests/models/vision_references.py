"""Vision models of torchvision and transformers with random weights, and what ours are compared on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from proofs import Pair, close
from torch import nn as tnn
from torchvision.models import efficientnet, resnet

import lmbook
from lmbook import nn

MBCONV = ((1, 3, 1, 16, 8, 1), (6, 5, 2, 8, 16, 2), (4, 3, 2, 16, 24, 1))
CLASSES = 7


def their_efficientnet() -> tnn.Module:
    stages = [efficientnet.MBConvConfig(e, k, s, i, o, n) for e, k, s, i, o, n in MBCONV]
    return efficientnet.EfficientNet(
        stages, 0.0, stochastic_depth_prob=0.0, num_classes=CLASSES, last_channel=96
    )


def their_resnet(block: Any) -> tnn.Module:
    return resnet.ResNet(block, [1, 2, 1, 1], num_classes=CLASSES)


def stir(model: tnn.Module) -> tnn.Module:
    """Random values for everything, also for what begins as zeros or ones."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(1 + noise.abs())
            elif value.ndim > 1:
                value.copy_(noise * (2 / max(value[0].numel(), 1)) ** 0.5)
            else:
                value.copy_(("weight" in name) + 0.2 * noise)
    return model


def images(size: int, batch: int = 3) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((batch, 3, size, size)).astype(np.float32)


def same_logits(name: str, ours: nn.Module, theirs: tnn.Module, size: int) -> None:
    x = images(size)
    with torch.no_grad():
        want = theirs(torch.tensor(x)).logits.numpy()
    assert np.abs(want).max() > 0.05
    config: Any = theirs.config
    reference = f"transformers {type(theirs).__name__}"
    pair = Pair(name, type(ours), reference, f"{config.model_type} on the Hub")
    close(pair, "logits", ours.eval()(lmbook.tensor(x)).data, want, 1e-4, "1 + |y|")
