"""Rounding equals PyTorch's bit for bit; layers in 16 bits and the loss scaler do as PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lmbook import Tensor, manual_seed, nn, optim
from lmbook import functional as F
from lmbook.backend import DTypeError, host
from lmbook.training import FORMATS, GradScaler, MixedPrecision, Trainer, cast, round_to

KINDS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def bit_patterns(seed: int = 0) -> np.ndarray:
    """Any float32 whatever: subnormal, infinite, NaN, and every tie between neighbours of 16 bits."""
    rng = np.random.default_rng(seed)
    anything = rng.integers(0, 2**32, 400_000, dtype=np.uint64).astype(np.uint32)
    upper = rng.integers(0, 2**16, 100_000, dtype=np.uint64).astype(np.uint32) << np.uint32(16)
    ties = upper | np.uint32(0x8000)
    small = rng.integers(0x33000000, 0x38800000, 100_000, dtype=np.uint64).astype(np.uint32)
    half = small & np.uint32(0xFFFFE000) | np.uint32(0x1000)  # ties of float16
    return np.concatenate([anything, ties, ties + 1, ties - 1, small, half]).view(np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_rounding_is_torch_s_bit_for_bit(name: str) -> None:
    x = bit_patterns()
    want = torch.tensor(x).to(KINDS[name]).float().numpy()
    got = round_to(x, name)
    number = ~np.isnan(x)
    np.testing.assert_array_equal(got[number].view(np.uint32), want[number].view(np.uint32))
    assert np.isnan(got[~number]).all() and (~number).sum() > 1000
    again = round_to(got, name)
    np.testing.assert_array_equal(again[number].view(np.uint32), got[number].view(np.uint32))


@pytest.mark.parametrize("name", [*KINDS, "float32"])
def test_the_table_of_formats(name: str) -> None:
    info, f = torch.finfo(getattr(torch, name)), FORMATS[name]
    assert (f.max, f.smallest_normal, f.eps, f.bits) == (
        info.max, info.smallest_normal, info.eps, info.bits,
    )  # fmt: skip
    one = np.float32(1)
    assert round_to(np.array([one + np.float32(f.eps)]), name)[0] == one + np.float32(f.eps)
    assert round_to(np.array([f.max], "f4"), name)[0] == f.max
    if name == "float16":
        assert np.isinf(round_to(np.array([65520], "f4"), name)[0])
        assert round_to(np.array([2.0**-25], "f4"), name)[0] == 0


def test_a_cast_rounds_the_gradient_too() -> None:
    x = Tensor(np.array([1.001, 2.0, -3.3], "f4"), requires_grad=True)
    slope = np.array([1 / 3, 1e-9, 7.7], "f4")
    (cast(x, "float16") * Tensor(slope)).sum().backward()
    theirs = torch.tensor(host(x.data), requires_grad=True)
    (theirs.half().float() * torch.tensor(slope)).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), theirs.grad.numpy())
    assert x.grad[1].item() == 0  # too small for float16


def pair(seed: int = 0) -> tuple[nn.Module, torch.nn.Module]:
    manual_seed(seed)
    ours = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 5))
    theirs = torch.nn.Sequential(
        torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.LayerNorm(32), torch.nn.Linear(32, 5)
    )
    theirs.load_state_dict({k: torch.tensor(host(v)) for k, v in ours.state_dict().items()})
    return ours, theirs


def gradients(name: str, scale: float = 1.0) -> tuple[list[np.ndarray], list[np.ndarray], Any]:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(16, 20)).astype("f4"), rng.integers(0, 5, 16)
    ours, theirs = pair()
    with MixedPrecision(ours, name):
        loss = F.cross_entropy(ours(Tensor(x)), Tensor(y))
        (loss * scale).backward()
    with torch.autocast("cpu", dtype=KINDS[name]):
        logits = theirs(torch.tensor(x))
    want = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(y))
    (want * scale).backward()
    mine = [p.grad.numpy() for p in ours.parameters() if p.grad is not None]
    return mine, [p.grad.numpy() for p in theirs.parameters()], (loss.item(), want.item())


@pytest.mark.parametrize("name", KINDS)
def test_layers_are_those_of_torch_autocast(name: str) -> None:
    """Up to the order of sums: far nearer to PyTorch's mixed precision than float32 is."""
    ours, theirs, (loss, want) = gradients(name)
    eps = FORMATS[name].eps
    assert loss == pytest.approx(want, rel=eps / 4)
    plain, _ = pair()
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(16, 20)).astype("f4"), rng.integers(0, 5, 16)
    F.cross_entropy(plain(Tensor(x)), Tensor(y)).backward()
    full = [p.grad.numpy() for p in plain.parameters() if p.grad is not None]
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b).max() < 2 * eps * np.abs(b).max()
    joint = [np.concatenate([g.ravel() for g in gs]) for gs in (ours, theirs, full)]
    assert np.linalg.norm(joint[0] - joint[1]) < 0.5 * np.linalg.norm(joint[2] - joint[1])


@pytest.mark.parametrize("name", KINDS)
def test_one_layer_is_torch_s_but_for_single_roundings(name: str) -> None:
    rng = np.random.default_rng(2)
    x, g = (rng.normal(size=(64, k)).astype("f4") for k in (20, 32))
    ours, theirs = (p[0] for p in pair())  # type: ignore[index]
    mine, yours = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    with MixedPrecision(ours, name):
        y = ours(mine)
        (y * Tensor(g)).sum().backward()
    with torch.autocast("cpu", dtype=KINDS[name]):
        z = theirs(yours)
    (z.float() * torch.tensor(g)).sum().backward()
    for a, b in [(host(y.data), z.detach().float().numpy()), (mine.grad.numpy(), yours.grad.numpy()),
                 (ours.weight.grad.numpy(), theirs.weight.grad.numpy())]:  # fmt: skip
        assert np.mean(a == b) > 0.97
        np.testing.assert_allclose(a, b, rtol=2 * FORMATS[name].eps, atol=1e-4)


def test_it_can_be_turned_off_and_weights_stay_in_float32() -> None:
    ours, _ = pair()
    before = ours.state_dict()["0.weight"].copy()
    x = Tensor(np.random.default_rng(0).normal(size=(3, 20)).astype("f4"))
    plain = host(ours(x).data).copy()
    mixed = MixedPrecision(ours, "bfloat16")
    rounded = host(ours(x).data)
    assert (rounded != plain).any() and ours[0].weight is dict(ours.named_parameters())["0.weight"]
    np.testing.assert_array_equal(host(ours.state_dict()["0.weight"]), host(before))
    mixed.remove()
    np.testing.assert_array_equal(host(ours(x).data), plain)
    conv = nn.Conv2d(1, 2, 3)
    image = Tensor(np.random.default_rng(0).normal(size=(1, 1, 5, 5)).astype("f4"))
    with MixedPrecision(conv, "bfloat16"):
        y = host(conv(image).data)
        np.testing.assert_array_equal(y, round_to(y, "bfloat16"))
    assert (host(conv(image).data) != y).any()


def test_an_error_inside_a_layer_leaves_no_rounded_weight_behind() -> None:
    layer = nn.Linear(4, 2)
    with pytest.raises(ValueError), MixedPrecision(layer, "float16"):
        layer(Tensor(np.ones((2, 3), "f4")))
    assert layer.weight is layer._parameters["weight"]


def scaler_pair(**options: Any) -> tuple[Any, ...]:
    p, q = Tensor(np.ones(2, "f4"), requires_grad=True), torch.ones(2, requires_grad=True)
    return (
        p, q, optim.SGD([p], lr=0.5), torch.optim.SGD([q], lr=0.5), GradScaler(**options),
        torch.amp.GradScaler("cpu", **options),
    )  # fmt: skip


def test_the_scaler_does_what_torch_s_does() -> None:
    """Forty steps, one in four with an infinite gradient: scale, skips and weights agree."""
    options = {"init_scale": 1024.0, "growth_interval": 3}
    p, q, ours, theirs, a, b = scaler_pair(**options)
    rng, scales = np.random.default_rng(0), []
    for _ in range(40):
        slope = rng.normal(size=2).astype("f4")
        slope[0] = np.inf if rng.random() < 0.25 else slope[0]
        ours.zero_grad()
        theirs.zero_grad()
        a.scale((p * Tensor(slope)).sum()).backward()
        b.scale((q * torch.tensor(slope)).sum()).backward()
        if rng.random() < 0.5:  # by itself, as for clipping, or inside step
            a.unscale_(ours)
            b.unscale_(theirs)
        a.step(ours)
        b.step(theirs)
        a.update()
        b.update()
        assert a.get_scale() == b.get_scale()
        np.testing.assert_allclose(host(p.data), q.detach().numpy(), rtol=1e-6)
        scales.append(a.get_scale())
    assert min(scales) < 1024 < max(scales) or len(set(scales)) > 4


def test_the_scaler_s_state_comes_back() -> None:
    one, two = GradScaler(8.0, growth_interval=5), GradScaler(2.0, growth_interval=5)
    for _ in range(3):
        one.update()
    two.load_state_dict(one.state_dict())
    for scaler in (one, two):
        scaler.update()
        scaler.update()
    assert one.get_scale() == two.get_scale() == 16


def test_small_gradients_vanish_in_float16_and_scaling_saves_them() -> None:
    """The gradient 2^-27 of a weight is below half of float16's least number."""

    def trained(**options: Any) -> float:
        manual_seed(0)
        model = nn.Linear(1, 1, bias=False)
        model.weight.data[...] = 1.0
        trainer = Trainer(
            model, optim.SGD(model.parameters(), lr=2.0**20),
            lambda m, x: m(x).sum() * 2.0**-27, progress=False, **options,
        )  # fmt: skip
        trainer.fit([np.ones((1, 1), "f4")])
        return model.weight.data[0, 0].item()

    full = trained()
    assert full == 1 - 2.0**-7
    assert trained(precision="float16", scaler=GradScaler(1.0)) == 1  # nothing was learnt
    assert trained(precision="float16") == full
    assert trained(precision="bfloat16") == full  # its range is that of float32


def test_a_step_with_an_infinite_gradient_is_left_out() -> None:
    manual_seed(0)
    model = nn.Linear(3, 2)
    schedule_of = optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(
        model, schedule_of, precision="float16", clip_norm=1.0, progress=False,
        scaler=GradScaler(2.0**40),
        scheduler=optim.lr_scheduler.ExponentialLR(schedule_of, 0.9),
    )  # fmt: skip
    batch = (np.ones((4, 3), "f4"), np.array([0, 1, 0, 1]))
    before = host(model.weight.data).copy()
    trainer.train_step(batch)
    np.testing.assert_array_equal(host(model.weight.data), before)
    assert trainer.history["skipped"] == [1.0] and trainer.history["lr"] == [0.1]
    for _ in range(40):
        trainer.train_step(batch)
    assert (host(model.weight.data) != before).any() and trainer.history["skipped"][-1] == 0
    assert trainer.history.last("loss_scale") < 2.0**40
    taken = trainer.history["skipped"].count(0.0)
    assert trainer.history.last("lr") == pytest.approx(0.1 * 0.9 ** (taken - 1))


def test_bad_settings_are_named() -> None:
    layer = nn.Linear(2, 2)
    for call, message in [
        (lambda: round_to(np.ones(2, "f4"), "float8"), "'float8' is none of"),
        (lambda: MixedPrecision(layer, "float32"), "rounds nothing"),
        (lambda: MixedPrecision(nn.ReLU(), "float16"), "ReLU has no linear or convolution"),
        (lambda: GradScaler(0.0), "init_scale = 0.0"),
        (lambda: GradScaler(growth_factor=1.0), "growth_factor 1.0 must be above 1"),
        (
            lambda: Trainer(
                layer, optim.SGD(layer.parameters(), lr=1), precision="float16", threads=2
            ),
            "one thread",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(DTypeError, match="must be float32, got float64"):
        round_to(np.ones(2), "float16")
    scaler, sgd = GradScaler(), optim.SGD(layer.parameters(), lr=1.0)
    scaler.unscale_(sgd)
    with pytest.raises(RuntimeError, match="called twice"):
        scaler.unscale_(sgd)
