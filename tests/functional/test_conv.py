"""Convolutions: against PyTorch over random configurations, and what they say when nothing fits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from lmbook import Tensor, nn
from lmbook import functional as F
from lmbook.autograd import gradcheck
from lmbook.backend import DTypeError, ShapeError
from lmbook.backend.kernels import conv as kernels
from tests.parity import module_parity, normal, parity


def configuration(seed, dims, transposed=False):
    """Shapes of input, weight and bias, and options, at random."""
    rng = np.random.default_rng(seed)

    def some(low, high):
        return tuple(int(v) for v in rng.integers(low, high, dims))

    groups = int(rng.choice([1, 1, 2, 3]))
    c, o = (groups * int(v) for v in rng.integers(1, 4, 2))
    taps, stride, dilation = some(1, 5), some(1, 4), some(1, 3)
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    if transposed:
        options["output_padding"] = tuple(
            int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation)
        )
        options["padding"] = tuple(
            int(rng.integers(0, d * (k - 1) // 2 + 1)) for d, k in zip(dilation, taps)
        )
        size, weight = some(1, 7), (c, o // groups, *taps)
    else:
        options["padding"] = some(0, 3)
        low = [
            max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, taps, options["padding"])
        ]
        size = tuple(n + int(rng.integers(0, 8)) for n in low)
        weight = (o, c // groups, *taps)
    return (int(rng.integers(1, 4)), c, *size), weight, (o,), options


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"])
@pytest.mark.parametrize("seed", range(12))
def test_random_configurations(name, seed):
    transposed = "transpose" in name
    x, weight, bias, options = configuration(seed, int(name[-2]), transposed)
    parity(
        f"functional.{name}", getattr(F, name), getattr(TF, name), [x, weight, bias], seed=seed,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_padding_by_name(dims, padding, kernel):
    name = f"conv{dims}d"
    case = [(2, 3, *(7, 6)[:dims]), (4, 3, *(kernel,) * dims), (4,)]
    parity(
        f"functional.{name}, padding {padding!r}", getattr(F, name),
        _without_warning(getattr(TF, name)), case, padding=padding, dilation=2,
    )  # fmt: skip


def _without_warning(function):
    """PyTorch warns that 'same' with an even kernel copies its input."""

    def quiet(*args, **kwargs):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return quiet


def test_without_bias_and_without_batch():
    parity("functional.conv2d", F.conv2d, TF.conv2d, [(3, 6, 5), (2, 3, 3, 2)], padding=1)
    parity("functional.conv1d", F.conv1d, TF.conv1d, [(3, 6), (2, 3, 3)])
    parity("functional.conv_transpose2d", F.conv_transpose2d, TF.conv_transpose2d,
           [(3, 4, 5), (3, 2, 3, 2)], stride=2)  # fmt: skip


@pytest.mark.parametrize("stride", [1, 2])
def test_slices_of_the_batch(stride, monkeypatch):
    """Cutting the batch changes nothing, also where the last slice is shorter."""
    monkeypatch.setattr(kernels, "SLICE", 2 * 27 * 36)
    options = {"stride": stride, "padding": 1}
    case = [(5, 3, 6, 6), (4, 3, 3, 3), (4,)]
    parity("functional.conv2d", F.conv2d, TF.conv2d, case, **options)
    case = [(5, 3, 6, 6), (3, 4, 3, 3), (4,)]
    parity("functional.conv_transpose2d", F.conv_transpose2d, TF.conv_transpose2d, case, **options)
    parity("functional.unfold", F.unfold, TF.unfold, [(5, 3, 6, 6)], kernel_size=3, **options)


def test_one_by_one_is_a_linear_map_of_channels(rng):
    x, w = rng.standard_normal((2, 5, 4, 3)), rng.standard_normal((7, 5, 1, 1))
    y = F.conv2d(Tensor(x), Tensor(w)).detach().numpy()
    assert np.allclose(y, np.einsum("nchw,oc->nohw", x, w[:, :, 0, 0]), rtol=0, atol=1e-12)
    parity("functional.conv2d, 1 by 1", F.conv2d, TF.conv2d, [(3, 5, 4, 4), (7, 5, 1, 1), (7,)])
    parity("functional.conv2d, 1 by 1", F.conv2d, TF.conv2d, [(3, 5, 1, 1), (7, 5, 1, 1), (7,)])


def test_transpose_is_the_transpose(rng):
    """<conv(x), y> = <x, conv_transpose(y)> for all x and y."""
    x, w = Tensor(rng.standard_normal((2, 4, 9, 8))), Tensor(rng.standard_normal((6, 2, 3, 2)))
    options = {"stride": 2, "padding": 1, "groups": 2}
    y = F.conv2d(x, w, **options)
    z = Tensor(rng.standard_normal(y.shape))
    back = F.conv_transpose2d(z, w, output_padding=0, **options)
    back = F.conv_transpose2d(
        z, w, output_padding=tuple(a - b for a, b in zip(x.shape[2:], back.shape[2:])), **options
    )
    assert abs((y * z).sum().item() - (x * back).sum().item()) < 1e-10


def test_a_batch_of_none():
    y = F.conv2d(Tensor(np.zeros((0, 3, 5, 5), "f4")), Tensor(np.ones((2, 3, 3, 3), "f4")))
    assert y.shape == (0, 2, 3, 3)


@pytest.mark.parametrize("seed", range(4))
def test_unfold_and_fold(seed):
    rng = np.random.default_rng(seed)
    k, l, s, t, d, e = (int(v) for v in rng.integers(1, 4, 6))
    options = {"kernel_size": (k, l), "stride": (s, t), "dilation": (d, e), "padding": (1, 0)}
    h, w = d * (k - 1) + int(rng.integers(1, 6)), e * (l - 1) + int(rng.integers(1, 6))
    parity("functional.unfold", F.unfold, TF.unfold, [(2, 3, h, w)], **options)
    columns = F.unfold(Tensor(np.zeros((2, 3, h, w))), **options).shape
    parity("functional.fold", F.fold, TF.fold, [columns], output_size=(h, w), **options)


def test_convolution_is_unfold_and_a_product(rng):
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((5, 3, 3, 3))
    columns = F.unfold(Tensor(x), 3, padding=1)
    y = (Tensor(w.reshape(5, -1)) @ columns).reshape(2, 5, 7, 6)
    assert np.allclose(
        y.detach().numpy(),
        F.conv2d(Tensor(x), Tensor(w), padding=1).detach().numpy(),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("backward", [F.conv2d, F.conv_transpose2d])
def test_only_wanted_gradients(backward, rng, monkeypatch):
    """A first layer does not pay for its input's gradient."""
    x = Tensor(rng.standard_normal((2, 3, 5, 5)))
    w = Tensor(rng.standard_normal((3, 3, 3, 3)), requires_grad=True)
    y = backward(x, w).sum()
    for name in ("conv2d", "conv2d_input"):
        assert callable(getattr(kernels, name))
        monkeypatch.setattr(kernels, name, None)
    y.backward()
    assert w.grad is not None and x.grad is None


def test_differences(rng):
    x = Tensor(rng.standard_normal((2, 4, 6, 5)), requires_grad=True)
    w = Tensor(rng.standard_normal((6, 2, 3, 2)), requires_grad=True)
    b = Tensor(rng.standard_normal(6), requires_grad=True)
    gradcheck(lambda *a: F.conv2d(*a, stride=2, padding=1, groups=2), [x, w, b])


LAYERS = {
    "Conv1d": [((4, 6, 3), {"padding": "same", "dilation": 2}, (2, 4, 9)),
               ((4, 6, 4), {"stride": 2, "groups": 2, "bias": False}, (2, 4, 9))],
    "Conv2d": [((3, 5, 3), {"padding": 1}, (2, 3, 6, 7)),
               ((4, 8, (3, 2)), {"stride": (2, 1), "groups": 4}, (2, 4, 7, 6))],
    "ConvTranspose1d": [((4, 6, 3), {"stride": 2, "output_padding": 1}, (2, 4, 5))],
    "ConvTranspose2d": [((4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, (2, 4, 5, 4))],
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_load_pytorchs_state(name):
    for args, options, shape in LAYERS[name]:
        ours = getattr(nn, name)(*args, **options)
        theirs = getattr(torch.nn, name)(*args, **options)
        module_parity(f"nn.{name}", ours, theirs, [normal(*shape)])


@pytest.mark.parametrize("name", LAYERS)
def test_layers_start_as_pytorchs(name):
    """Same bounds of the uniform distribution, reached by many draws."""
    ours, theirs = (getattr(m, name)(16, 32, 5, groups=2) for m in (nn, torch.nn))
    for (key, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters()):
        assert key == other and a.shape == tuple(b.shape)
        bound = 1 / np.sqrt(np.prod(theirs.weight.shape[1:]))
        assert (
            np.abs(a.detach().numpy()).max() <= bound and np.abs(b.detach().numpy()).max() <= bound
        )
    assert np.abs(ours.weight.detach().numpy()).max() > 0.98 * bound
    assert np.isclose(ours.weight.detach().numpy().std(), bound / np.sqrt(3), rtol=0.1)


def test_layers_print_their_sizes():
    assert repr(nn.Conv2d(3, 8, 3, padding=1)) == repr(torch.nn.Conv2d(3, 8, 3, padding=1))
    assert repr(nn.Conv1d(4, 8, 3, groups=2, bias=False)) == repr(
        torch.nn.Conv1d(4, 8, 3, groups=2, bias=False)
    )


def _t(*shape, dtype="f4"):
    return Tensor(np.ones(shape, dtype))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 5, 3, 3)), ShapeError,
         r"conv2d: input \(2, 3, 8, 8\) has 3 channels, weight \(4, 5, 3, 3\).*takes 5"),
        (lambda: F.conv2d(_t(8, 8), _t(4, 3, 3, 3)), ShapeError, "batch, channels, height, width"),
        (lambda: F.conv1d(_t(2, 3, 8), _t(4, 3, 3, 3)), ShapeError, "weight with 3 axes"),
        (lambda: F.conv2d(_t(2, 3, 2, 8), _t(4, 3, 3, 3)), ShapeError, "does not fit.*pad more"),
        (lambda: F.conv1d(_t(2, 3, 4), _t(4, 3, 3), dilation=2), ShapeError, "dilation"),
        (lambda: F.conv2d(_t(2, 4, 8, 8), _t(3, 2, 3, 3), groups=2), ShapeError, "groups=2"),
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3), _t(3)), ShapeError, r"bias \(3,\)"),
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3, dtype="f8")), DTypeError, "float64"),
        (lambda: F.conv2d(_t(2, 3, 8, 8, dtype="i8"), _t(4, 3, 3, 3)), DTypeError, r"x\.float"),
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3), padding="full"), ValueError, "'same'"),
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3), padding="same", stride=2), ValueError,
         "stride 1"),
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3), stride=0), ValueError, "stride = 0"),
        (lambda: F.conv2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3), padding=(1, 2, 3)), ValueError, "2 of them"),
        (lambda: F.conv_transpose2d(_t(2, 3, 8, 8), _t(3, 4, 3, 3), output_padding=1), ValueError,
         "smaller than stride"),
        (lambda: F.conv_transpose1d(_t(2, 3, 1), _t(3, 4, 2), padding=3), ShapeError, "pad less"),
        (lambda: F.conv_transpose2d(_t(2, 3, 8, 8), _t(4, 3, 3, 3)), ShapeError, "takes 4"),
        (lambda: F.unfold(_t(2, 8, 8), 3), ShapeError, "unfold"),
        (lambda: F.fold(_t(2, 27, 30), (8, 8), 3), ShapeError, "36 windows"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="reflect"), ValueError, "padding_mode 'reflect'"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ShapeError, "groups=2"),
    ],
)  # fmt: skip
def test_errors_name_the_operation_the_shapes_and_the_fix(call, error, words):
    with pytest.raises(error, match=words):
        call()
