"""Operations and blocks of vision networks against PyTorch's and torchvision's."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn as tnn

import lmbook
from lmbook import functional as F
from lmbook import nn
from lmbook.backend import DTypeError, ShapeError, host
from tests.parity import module_parity, normal, parity

TF = tnn.functional


def exact(x: Any) -> Any:
    """hardsigmoid in the type of x: PyTorch's has its sixth in float32, also for float64."""
    return TF.relu6(x + 3) / 6


class Exact(tnn.Module):
    """The same as a layer."""

    def forward(self, x: Any) -> Any:
        return exact(x)


@pytest.mark.parametrize("name", ["relu6", "hardsigmoid", "hardswish"])
def test_activations(name):
    cases = [[normal(3, 4, scale=4)], [normal(2, 3, 5, scale=4)], [(0, 3)]]
    theirs = exact if name == "hardsigmoid" else getattr(TF, name)
    parity(f"functional.{name}", getattr(F, name), theirs, *cases)
    edges = np.array([-3.5, -3, -2, 0, 1, 3, 5.9, 6, 7], "f4")
    want = getattr(TF, name)(torch.tensor(edges)).numpy()
    np.testing.assert_allclose(host(getattr(F, name)(lmbook.tensor(edges)).data), want, atol=1e-6)
    with pytest.raises(DTypeError, match=f"{name}: needs floating-point entries"):
        getattr(F, name)(lmbook.tensor([1, 2]))


@pytest.mark.parametrize("name", ["ReLU6", "Hardsigmoid", "Hardswish"])
def test_activation_modules(name):
    theirs = Exact() if name == "Hardsigmoid" else getattr(tnn, name)()
    module_parity(f"nn.{name}", getattr(nn, name)(), theirs, [normal(3, 4, scale=4)])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_local_response_norm(size):
    parity(
        f"functional.local_response_norm, over {size}",
        partial(F.local_response_norm, size=size, alpha=0.3, beta=0.75, k=2.0),
        partial(TF.local_response_norm, size=size, alpha=0.3, beta=0.75, k=2.0),
        [normal(2, 4, 3)], [normal(2, 6, 3, 2)],
    )  # fmt: skip
    settings = (size, 0.3, 0.75, 2.0)
    module_parity(
        f"nn.LocalResponseNorm, over {size}", nn.LocalResponseNorm(*settings),
        tnn.LocalResponseNorm(*settings), [normal(2, 4, 3)],
    )  # fmt: skip
    with pytest.raises(ShapeError, match="local_response_norm: needs"):
        F.local_response_norm(lmbook.zeros(2, 3), 2)
    assert "size" not in repr(nn.LocalResponseNorm(5)) and "5, alpha" in repr(
        nn.LocalResponseNorm(5)
    )


def same(x: Any, weight: Any, bias: Any, stride: int, dilation: int, groups: int) -> Any:
    """Padding by hand, then PyTorch's convolution: the output has ceil(size / stride)."""
    sides: list[int] = []
    for n, k in zip(x.shape[:1:-1], weight.shape[:1:-1]):  # PyTorch pads the last axis first
        reach = (k - 1) * dilation + 1
        missing = max((-(-n // stride) - 1) * stride + reach - n, 0)
        sides += [missing // 2, missing - missing // 2]
    return TF.conv2d(TF.pad(x, sides), weight, bias, stride, 0, dilation, groups)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "groups"),
    [(7, 3, 2, 1, 1), (8, 3, 2, 1, 1), (8, 5, 2, 1, 4), (9, 2, 3, 1, 2), (6, 3, 1, 2, 4), (5, 1, 2, 1, 1)],
)  # fmt: skip
def test_tensorflow_s_padding(size, kernel, stride, dilation, groups):
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    parity(
        "functional.conv2d_same",
        partial(F.conv2d_same, **options), partial(same, **options),
        [normal(2, 4, size, size + 1), normal(4, 4 // groups, kernel, kernel), normal(4)],
    )  # fmt: skip
    y = F.conv2d_same(lmbook.zeros(1, 4, size, size), lmbook.zeros(4, 4, kernel, kernel), stride=2)
    assert y.shape[2:] == (-(-size // 2),) * 2


class Same(tnn.Conv2d):
    """PyTorch's layer, padded by hand."""

    def forward(self, x: Any) -> Any:
        return same(x, self.weight, self.bias, self.stride[0], self.dilation[0], self.groups)


def test_same_layer():
    module_parity(
        "nn.Conv2dSame", nn.Conv2dSame(4, 6, 3, 2, groups=2), Same(4, 6, 3, 2, groups=2),
        [normal(2, 4, 7, 8)],
    )  # fmt: skip


def test_same_needs_images():
    with pytest.raises(ShapeError, match="conv2d_same: needs an input"):
        F.conv2d_same(lmbook.zeros(3, 8, 8), lmbook.zeros(2, 3, 3, 3))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "each"),
    [(3, 1, 1, 1, 1), (3, 2, 1, 1, 1), (5, 2, 2, 1, 1), (5, 1, 0, 2, 1), (3, 3, 2, 1, 1), (3, 1, 1, 1, 2)],
)  # fmt: skip
def test_depthwise_convolution(kernel, stride, padding, dilation, each):
    """Every channel by itself; the compiled kernels have loops of their own for it."""
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 3}
    parity(
        "functional.conv2d, depthwise",
        partial(F.conv2d, **options), partial(TF.conv2d, **options),
        [normal(2, 3, 11, 12), normal(3 * each, 1, kernel, kernel), normal(3 * each)],
    )  # fmt: skip


@pytest.mark.parametrize("size", [(40, 33), (7, 7)])
def test_depthwise_over_several_strips(size):
    parity(
        "functional.conv2d, depthwise",
        partial(F.conv2d, padding=1, groups=2), partial(TF.conv2d, padding=1, groups=2),
        [normal(2, 2, *size), normal(2, 1, 3, 3), normal(2)],
    )  # fmt: skip


def test_blocks():
    se = torchvision.ops.SqueezeExcitation(6, 2, activation=tnn.SiLU)
    module_parity("nn.SqueezeExcitation", nn.SqueezeExcitation(6, 2, nn.SiLU), se, [(2, 6, 3, 4)])
    for stride, groups in ((1, 1), (2, 4)):
        options = {"kernel_size": 3, "stride": stride, "groups": groups}
        module_parity(
            f"nn.Conv2dNormActivation, stride {stride}",
            nn.Conv2dNormActivation(
                4, 8, norm_layer=partial(nn.GroupNorm, 2), activation_layer=nn.SiLU, **options
            ),
            torchvision.ops.Conv2dNormActivation(
                4, 8, norm_layer=partial(tnn.GroupNorm, 2), activation_layer=tnn.SiLU, inplace=None,
                bias=False, **options,
            ),
            [normal(2, 4, 5, 6)],
        )  # fmt: skip
    plain = nn.Conv2dNormActivation(4, 8, norm_layer=None, activation_layer=None)
    assert len(plain) == 1 and plain[0].bias is not None


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_drops_whole_examples_and_keeps_the_mean(mode):
    x = lmbook.ones(4000, 2, 3, requires_grad=True)
    y = F.stochastic_depth(x, 0.25, mode, generator=np.random.default_rng(0))
    y.sum().backward()
    np.testing.assert_array_equal(host(x.grad.data), host(y.data))  # dropped: no gradient
    rows = host(y.data).reshape(4000, -1)
    assert (rows == rows[:, :1]).all() and set(np.unique(rows)) <= {0, np.float32(1 / 0.75)}
    if mode == "row":
        assert abs((rows[:, 0] == 0).mean() - 0.25) < 0.02
    else:
        assert len(np.unique(rows)) == 1
    assert not host(F.stochastic_depth(x, 1.0, mode).data).any()
    layer = nn.StochasticDepth(0.25, mode).eval()
    assert layer(x) is x and F.stochastic_depth(x, 0.0, mode) is x


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_s_values_and_gradient(mode):
    def ours(x: Any) -> Any:
        return F.stochastic_depth(x, 0.3, mode, generator=np.random.default_rng(2))

    def theirs(x: Any) -> Any:
        return x * torch.tensor(host(ours(lmbook.tensor(np.ones(x.shape))).data))

    parity(f"functional.stochastic_depth, {mode}", ours, theirs, [(5, 3)], [(4, 2, 3)])
    module_parity(
        "nn.StochasticDepth, evaluated", nn.StochasticDepth(0.3, mode).eval(),
        torchvision.ops.StochasticDepth(0.3, mode).eval(), [(4, 2, 3)],
    )  # fmt: skip


def test_stochastic_depth_refuses():
    for p in (-0.1, 1.5):
        with pytest.raises(ValueError, match=r"is not in \[0, 1\]"):
            F.stochastic_depth(lmbook.ones(2, 3), p, "row")
    with pytest.raises(ValueError, match="mode 'column' is neither 'row' nor 'batch'"):
        F.stochastic_depth(lmbook.ones(2, 3), 0.5, "column")
