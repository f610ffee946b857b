"""WaveNet: what it sees, that it sees no future, and that its cache changes nothing."""

import numpy as np
import pytest
import torch
from proofs import Pair, close, sized

import lmbook
from lmbook import data
from lmbook.autograd import Tensor, gradcheck
from lmbook.backend import ShapeError
from lmbook.models.wavenet import SampleCache, WaveNet, WaveNetConfig, next_code_loss
from lmbook.nn.init import shapes_only
from tests.parity import as_function


def small(kernel=2, layers=3, stacks=2):
    return WaveNet(WaveNetConfig(11, layers, stacks, kernel, residual=6, skip=5)).double()


@pytest.mark.parametrize(("kernel", "layers", "stacks", "field"), [
    (2, 3, 2, 15), (3, 2, 1, 7), (2, 1, 1, 2), (3, 3, 2, 29), (2, 4, 1, 16),
])  # fmt: skip
def test_receptive_field_by_gradients(rng, kernel, layers, stacks, field):
    model = small(kernel, layers, stacks)
    assert model.config.receptive_field == field == 1 + (kernel - 1) * sum(model.config.dilations)
    x = Tensor(rng.standard_normal((1, field + 5, 6)), requires_grad=True)
    (model.of_vectors(x)[0, -1] * rng.standard_normal(11)).sum().backward()
    seen = np.abs(x.grad.data[0]).max(axis=1) > 0
    np.testing.assert_array_equal(seen, np.arange(field + 5) >= 5)


def test_published_receptive_field():
    """Dilations 1 to 512 see 1,024 samples (van den Oord et al. 2016, section 2.1)."""
    assert WaveNetConfig().receptive_field == 1024
    with shapes_only():
        model = WaveNet(WaveNetConfig())
    r, s, q = 32, 64, 256
    layer = (2 * 2 * r * r + 2 * r) + (s * r + s) + (r * r + r)
    count = q * r + 10 * layer - (r * r + r) + (s * s + s) + (q * s + q)
    sized(
        "one stack of ten layers", WaveNet, model.num_parameters(), count, "the sum of its layers"
    )


def test_the_future_is_not_heard(rng):
    model, codes = small(), rng.integers(0, 11, (2, 30))
    changed = codes.copy()
    changed[:, 20:] = (changed[:, 20:] + 1) % 11
    a, b = (model(lmbook.tensor(c)).data for c in (codes, changed))
    np.testing.assert_array_equal(a[:, :20], b[:, :20])
    assert np.abs(a[:, 20] - b[:, 20]).max() > 1e-3


@pytest.mark.parametrize(
    ("kernel", "layers", "stacks"), [(2, 3, 2), (3, 3, 1), (2, 1, 1), (4, 2, 2)]
)
def test_cached_samples_equal_the_slow_ones(rng, kernel, layers, stacks):
    model, codes = small(kernel, layers, stacks), rng.integers(0, 11, (2, 7))
    fast, slow = (
        model.generate(codes, 40, generator=np.random.default_rng(1), use_cache=cached)
        for cached in (True, False)
    )
    np.testing.assert_array_equal(fast, slow)
    assert fast.shape == (2, 47)
    cache, long = SampleCache(model, 2), rng.integers(0, 11, (2, 50))
    stepped = np.stack([cache.step(long[:, t]) for t in range(50)], axis=1)
    np.testing.assert_allclose(stepped, model(lmbook.tensor(long)).data, atol=1e-12)
    greedy = model.generate(codes, 5, temperature=0)
    np.testing.assert_array_equal(greedy, model.generate(codes, 5, temperature=0, use_cache=False))


def test_the_cache_does_a_constant_work():
    model = WaveNet(WaveNetConfig(256, 8, 1, 2, 16, 16))
    cache = SampleCache(model, 3)
    assert cache.nbytes == 3 * (model.config.receptive_field - 1) * 16 * 4


def test_gradients(rng):
    model, codes = small(2, 2, 1), lmbook.tensor(rng.integers(0, 11, (2, 9)))
    function, _ = as_function(model)
    leaves = [Tensor(p.data.copy(), True) for p in model.parameters()]
    assert gradcheck(lambda *ps: function(codes, *ps), leaves)


def test_a_layer_equals_torch(rng):
    """Padding on the left alone, the first half of the channels the filter, the second the gate."""
    model = small(3, 2, 1)
    layer = model.layers[1]
    x = rng.standard_normal((2, 6, 12))
    conv, skip, res = (
        (torch.tensor(c.weight.data), torch.tensor(c.bias.data))
        for c in (model.layers[0].conv, model.layers[0].skip, model.layers[0].residual)
    )
    padded = torch.nn.functional.pad(torch.tensor(x), (2, 0))
    a, b = torch.nn.functional.conv1d(padded, *conv).chunk(2, 1)
    z = torch.tanh(a) * torch.sigmoid(b)
    want = (
        torch.tensor(x) + torch.nn.functional.conv1d(z, *res),
        torch.nn.functional.conv1d(z, *skip),
    )
    pair = Pair("WaveNet, a layer", WaveNet, "torch conv1d")
    for ours, theirs in zip(model.layers[0](Tensor(x)), want):
        close(pair, "residual and skip", ours.data, theirs.numpy(), 1e-12)
    assert layer.reach == 4 and layer.residual is None


def test_the_loss_skips_samples_without_a_past(rng):
    model = small(2, 2, 1)  # sees 4 samples
    codes = lmbook.tensor(rng.integers(0, 11, (2, 10)))
    logits = model(codes).data[:, 3:-1]
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    want = -np.take_along_axis(log_p, codes.data[:, 4:, None], 2).mean()
    assert next_code_loss(model, codes).item() == pytest.approx(want)


def test_learns_a_tone():
    """A sine in mu-law codes: after a few steps far better than the codes' own frequencies."""
    from lmbook.optim import Adam

    lmbook.manual_seed(0)
    codes = data.mu_law_encode(0.6 * np.sin(0.3 * np.arange(800)), 31)
    model = WaveNet(WaveNetConfig(32, 4, 1, 2, 16, 16))
    optimizer = Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = next_code_loss(model, lmbook.tensor(codes[None]))
        loss.backward()
        optimizer.step()
    p = np.bincount(codes, minlength=32) / len(codes)
    entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
    assert loss.item() < 0.4 * entropy


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match=r"codes \(3,\) must be \(batch, samples\)"):
        small()(lmbook.tensor(np.zeros(3, int)))
    with pytest.raises(ShapeError, match="1 or more samples"):
        small().generate(np.zeros((1, 0), int), 3)
