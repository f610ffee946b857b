"""Pooling and upsampling: against PyTorch over random configurations, ties, and error messages."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from lmbook import Tensor, nn
from lmbook import functional as F
from lmbook.backend import DTypeError, ShapeError
from tests.parity import normal, parity


def configuration(seed, dims, dilated):
    """An input's shape and options, at random."""
    rng = np.random.default_rng(seed)

    def some(low, high):
        return tuple(int(v) for v in rng.integers(low, high, dims))

    taps, stride = some(1, 5), some(1, 4)
    dilation = some(1, 3) if dilated else (1,) * dims
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in taps)
    options = {"kernel_size": taps, "stride": stride, "padding": padding}
    options["ceil_mode"] = bool(rng.integers(2))
    low = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, taps, padding)]
    if dilated:
        options["dilation"] = dilation
    else:
        options["count_include_pad"] = bool(rng.integers(2))
    size = tuple(n + int(rng.integers(0, 8)) for n in low)
    return (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *size), options


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"])
@pytest.mark.parametrize("seed", range(12))
def test_random_configurations(name, seed):
    shape, options = configuration(seed, int(name[-2]), name.startswith("max"))
    case = [normal(*shape, scale=3.0)]
    parity(f"functional.{name}", getattr(F, name), getattr(TF, name), case, seed=seed, **options)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dims", [1, 2])
def test_indices(dims, seed):
    shape, options = configuration(seed, dims, True)
    name = f"max_pool{dims}d"
    parity(
        f"functional.{name}, with indices", getattr(F, name), getattr(TF, name), [normal(*shape)],
        layouts=("contiguous", "permuted"), return_indices=True, **options,
    )  # fmt: skip


def test_the_first_of_equals_takes_the_gradient(rng):
    """As after a ReLU: many zeros in one window."""
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, 2, (2, 3, 6, 7)).astype("f8")
        ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y = F.max_pool2d(ours, 3, stride=2, padding=1)
        z = TF.max_pool2d(theirs, 3, stride=2, padding=1)
        g = rng.standard_normal(y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
        assert np.allclose(ours.grad.detach().numpy(), theirs.grad.numpy(), rtol=0, atol=1e-12)


def test_large_windows_and_defaults():
    parity("functional.max_pool2d", F.max_pool2d, TF.max_pool2d, [(2, 2, 20, 40), 20])
    parity("functional.avg_pool2d", F.avg_pool2d, TF.avg_pool2d, [(2, 2, 7, 6)], kernel_size=(3, 2))
    parity("functional.max_pool1d", F.max_pool1d, TF.max_pool1d, [(2, 9), 2])
    parity("functional.avg_pool2d", F.avg_pool2d, TF.avg_pool2d, [(2, 6, 6), 2], divisor_override=3)


def test_nan_is_not_swept_under_the_carpet():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 1, 2] = np.nan
    y = F.max_pool2d(Tensor(x), 2).detach().numpy()
    assert np.array_equal(np.isnan(y[0, 0]), [[False, True], [False, False]])


@pytest.mark.parametrize("size", [1, 2, (3, 5), (7, 4), 9])
def test_adaptive_average(size):
    name = "functional.adaptive_avg_pool2d"
    parity(name, F.adaptive_avg_pool2d, TF.adaptive_avg_pool2d, [(2, 3, 7, 8)], output_size=size)


def test_upsample():
    def theirs(x, scale_factor):
        return TF.interpolate(x, scale_factor=scale_factor, mode="nearest")

    for shape, scale in (((2, 3, 4, 5), 2), ((2, 3, 4, 5), (3, 2)), ((2, 3, 6), 3)):
        parity(
            "functional.upsample_nearest", F.upsample_nearest, theirs, [shape], scale_factor=scale
        )  # fmt: skip


LAYERS = [
    ("MaxPool1d", (3,), {"padding": 1}, (2, 3, 9)),
    ("MaxPool2d", (2,), {}, (2, 3, 8, 9)),
    ("MaxPool2d", (3, 2), {"padding": 1, "ceil_mode": True}, (2, 3, 8, 9)),
    ("AvgPool1d", (3, 2), {"count_include_pad": False, "padding": 1}, (2, 3, 9)),
    ("AvgPool2d", (2,), {}, (2, 3, 8, 9)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 8, 9)),
    ("Flatten", (), {}, (2, 3, 8, 9)),
    ("Upsample", (), {"scale_factor": 2}, (2, 3, 4, 5)),
]


@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS)
def test_layers(name, args, options, shape):
    ours, theirs = (getattr(m, name)(*args, **options) for m in (nn, torch.nn))
    assert not list(ours.parameters())
    assert str(tuple(ours.state_dict())) == str(tuple(theirs.state_dict()))
    parity(f"nn.{name}", ours, theirs, [normal(*shape)])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: F.max_pool2d(x, 9), ShapeError, r"max_pool2d: a window of 9.*\(2, 3, 8, 8\)"),
        (lambda x: F.max_pool2d(x, 2, padding=2), ValueError, "at most half of the window"),
        (lambda x: F.avg_pool2d(x, 2, stride=0), ValueError, "avg_pool2d: stride = 0"),
        (lambda x: F.max_pool1d(x, 2), ShapeError, "max_pool1d: needs an input"),
        (lambda x: F.avg_pool2d(x.long(), 2), DTypeError, r"x\.float"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), ValueError, "must not be 0"),
        (lambda x: F.adaptive_avg_pool2d(x[0, 0], 2), ShapeError, "adaptive_avg_pool2d"),
        (lambda x: F.adaptive_avg_pool2d(x, 0), ValueError, "output_size = 0"),
        (lambda x: F.upsample_nearest(x[0, 0], 2), ShapeError, "upsample_nearest"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(Tensor(np.ones((2, 3, 8, 8), "f4")))
