"""EfficientNet's multiply-adds: counted while it runs, and as published."""

from dataclasses import replace

import numpy as np
import pytest

from lmbook import models, nn
from lmbook.autograd import Tensor, no_grad


def counted(config):
    """Of every convolution and linear layer that a forward pass calls, by the shapes it sees."""
    model, total = models.EfficientNet(config).eval(), 0

    def count(module, inputs, output):
        nonlocal total
        n = int(np.prod(output.shape[2:], dtype=int))  # places: 1 for a linear layer
        total += n * int(np.prod(module.weight.shape))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with no_grad():
        model(Tensor(np.zeros((1, 3, config.image_size, config.image_size), np.float32)))
    return total


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_b2", "efficientnet_lite0"])
@pytest.mark.parametrize("size", [32, 37])
def test_formula_counts_what_is_called(name, size):
    config = replace(models.EFFICIENTNETS[name], image_size=size)
    assert models.multiply_adds(config) == counted(config)


@pytest.mark.parametrize(
    ("size", "billions"),
    [(0, 0.39), (1, 0.70), (2, 1.0), (3, 1.8), (4, 4.2), (5, 9.9), (6, 19), (7, 37)],
)
def test_counts_are_the_paper_s(size, billions):
    """Table 2 of Tan and Le 2019, which rounds; B4 and B5 are farthest from it, by 5 %."""
    ours = models.multiply_adds(models.EFFICIENTNETS[f"efficientnet_b{size}"]) / 1e9
    assert ours == pytest.approx(billions, rel=0.05)
