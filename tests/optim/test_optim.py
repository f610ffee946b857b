"""Optimisers and schedules: step by step PyTorch's, and downhill on the usual two functions."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as their_schedules

from lmbook import Tensor, as_tensor, nn, no_grad, optim
from lmbook.backend import ShapeError, asarray, host, use
from lmbook.optim import lr_scheduler as our_schedules
from tests.optim.cases import DOWNHILL, EVERY, SETTINGS, parabola, problem, rosenbrock
from tests.parity import BACKENDS, EPS32, LIMIT64, Record

TIGHT64 = 1e-10  # steps, in float64


def run(
    library: Any, wrap: Any, name: str, settings: dict[str, Any], dtype: str, steps: int = 20
) -> list[Any]:
    rng = np.random.default_rng(7)
    values = [rng.standard_normal(s).astype(dtype) for s in ((4, 3), (3,), ())]
    data = [
        tuple(wrap(rng.standard_normal((6, n)).astype(dtype)) for n in (4, 3)) for _ in range(3)
    ]
    parameters = [wrap(v.copy()) for v in values]
    for p in parameters:
        p.requires_grad = True
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": settings["lr"] / 3}]
    optimizer = getattr(library, name)(groups, **settings)
    track = []
    for step in range(steps):
        optimizer.zero_grad()
        if step != 5:  # once without gradients: nothing may move
            problem(parameters, data, step).backward()
        optimizer.step()
        track += [p.detach().numpy().copy() for p in parameters]
    return track


@pytest.mark.parametrize("kind", SETTINGS)
def test_twenty_steps_are_pytorch_s(kind: str) -> None:
    name, settings = SETTINGS[kind]
    record = Record(f"optim.{kind}", gradients=False, finite=False, shapes={"(4, 3) (3,) ()"})
    record.draws = steps = 20
    limits = {"float64": TIGHT64, "float32": steps * 8 * EPS32}  # rounding adds up over the steps
    for dtype, limit in limits.items():
        torch.set_default_dtype(getattr(torch, dtype))  # of NAdam's running product
        try:
            theirs = run(torch.optim, torch.tensor, name, settings, dtype, steps)
        finally:
            torch.set_default_dtype(torch.float32)
        for backend in BACKENDS:
            use(backend)
            ours = run(optim, as_tensor, name, settings, dtype, steps)
            error = 0.0
            for a, b in zip(ours, theirs, strict=True):
                assert a.dtype == dtype
                error = max(error, float((np.abs(a - b) / (1 + np.abs(b))).max()))
            assert error <= limit, f"{kind} [{backend}, {dtype}]: {error:.2g} > {limit:.2g}"
            if dtype == "float64":
                record.error64 = max(record.error64, error)
            else:
                record.used32 = max(record.used32, error / limit)
    record.keep()


def test_every_optimiser_is_compared() -> None:
    classes = {n for n in optim.__all__ if isinstance(getattr(optim, n), type)} - {"Optimizer"}
    assert classes == {name for name, _ in EVERY.values()}
    assert classes == {name for name, *_ in DOWNHILL.values()}


@pytest.mark.parametrize("kind", DOWNHILL)
@pytest.mark.parametrize(("function", "least"), [(parabola, [3, -1]), (rosenbrock, [1, 1])])
def test_the_minimum_is_found(function: Any, least: list[float], kind: str) -> None:
    name, *settings = DOWNHILL[kind]
    x = Tensor(np.array([[-1.0], [1.5]]), requires_grad=True)  # a matrix, for Muon
    optimizer = getattr(optim, name)([x], **settings[function is rosenbrock])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = function(x.reshape(2))
        loss.backward()
        return loss

    for _ in range(20_000):
        optimizer.step(closure)
        if np.abs(x.detach().numpy()[:, 0] - least).max() < 0.02:
            return
    pytest.fail(f"stands at {x.tolist()}, the minimum is at {least}")


# State, groups, care


@pytest.mark.parametrize("kind", EVERY)
def test_a_run_continues_from_its_state(kind: str) -> None:
    """Ten steps, saved and loaded into fresh objects, then ten more: the same as twenty."""
    name, settings = EVERY[kind]
    target = as_tensor(np.arange(6.0).reshape(2, 3))

    def steps(p: Any, optimizer: Any, n: int) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (1 + (p - target).square()).log().sum()
            loss.backward()
            return loss

        for _ in range(n):
            optimizer.step(closure)

    p = nn.Parameter(np.full((2, 3), 1.5))
    first = getattr(optim, name)([p], **settings)
    steps(p, first, 10)
    q = nn.Parameter(p.data.copy())
    second = getattr(optim, name)([q], lr=9.0)
    saved = copy.deepcopy(first.state_dict())
    second.load_state_dict(saved)
    steps(p, first, 10)
    steps(q, second, 10)
    assert (
        np.array_equal(p.detach().numpy(), q.detach().numpy())
        and np.isfinite(p.detach().numpy()).all()
    )
    assert second.param_groups[0]["lr"] == settings.get("lr", 1.0)


def test_loading_a_state_of_the_wrong_shape_changes_nothing() -> None:
    p, q = nn.Parameter(np.zeros(3)), nn.Parameter(np.zeros(4))
    a, b = optim.Adam([p]), optim.Adam([q], lr=0.5)
    for x, o in ((p, a), (q, b)):
        x.sum().backward()
        o.step()
    before = copy.deepcopy(b.state_dict())
    with pytest.raises(ShapeError, match=r"exp_avg \(3,\).*\(4,\)"):
        b.load_state_dict(a.state_dict())
    after = b.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert np.array_equal(*(host(s["state"][0]["exp_avg"]) for s in (after, before)))


def test_a_step_is_noticed_by_the_graph() -> None:
    from lmbook.backend import GradientError

    w = nn.Parameter(np.ones(3))
    loss = (w * w).sum()
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = as_tensor(np.ones(3))
    optimizer.step()
    with pytest.raises(GradientError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize("name", sorted({name for name, _ in EVERY.values()}))
def test_views_and_odd_layouts_are_updated_in_place(name: str) -> None:
    """A parameter whose array is a transposed view moves the base; the gradient stays as it was."""
    base = asarray(np.arange(12.0).reshape(3, 4))
    p = Tensor(base.T, requires_grad=True)
    p.grad = Tensor(np.ones((3, 4)).T)
    getattr(optim, name)([p], lr=0.5).step(lambda: p.sum())
    assert np.shares_memory(p.data, base)
    assert (host(base) < np.arange(12.0).reshape(3, 4)).all()
    assert np.array_equal(p.grad.detach().numpy(), np.ones((4, 3)))


# Schedules

SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "StepLR": ("StepLR", {"step_size": 4, "gamma": 0.3}),
    "ExponentialLR": ("ExponentialLR", {"gamma": 0.9}),
    "LinearLR": ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 7}),
    "LinearLR, defaults": ("LinearLR", {}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.01}),
    "LambdaLR": ("LambdaLR", {"lr_lambda": lambda step: 1 / (1 + step)}),
    "OneCycleLR": ("OneCycleLR", {"max_lr": 0.4, "total_steps": 20}),
    "OneCycleLR, shape": (
        "OneCycleLR",
        {"max_lr": 0.4, "total_steps": 20, "pct_start": 0.5, "div_factor": 5.0},
    ),
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules_are_pytorch_s(kind: str) -> None:
    name, settings = SCHEDULES[kind]
    rates = []
    for library, schedules, p in (
        (optim, our_schedules, nn.Parameter(np.zeros(1))),
        (torch.optim, their_schedules, torch.nn.Parameter(torch.zeros(1))),
    ):
        groups = [{"params": [p]}, {"params": [copy.deepcopy(p)], "lr": 0.02}]
        extra = {"cycle_momentum": False} if library is torch.optim and name == "OneCycleLR" else {}
        optimizer = library.SGD(groups, lr=0.1)
        schedule = getattr(schedules, name)(optimizer, **settings, **extra)
        seen = []
        for _ in range(19):
            seen.append(list(schedule.get_last_lr()))
            assert seen[-1] == [g["lr"] for g in optimizer.param_groups]
            optimizer.step()
            schedule.step()
        rates.append(seen)
    np.testing.assert_allclose(*rates, rtol=LIMIT64, atol=0)
    ours, theirs = map(np.array, rates)
    error = float((np.abs(ours - theirs) / theirs).max())
    Record(f"optim.lr_scheduler.{kind}", gradients=False, finite=False, dtypes=("float64",),
           backends=(), draws=19, error64=error).keep()  # fmt: skip


def test_every_schedule_is_compared() -> None:
    bases = {"LRScheduler", "WarmupCosineLR"}
    ours = {
        n
        for n, c in vars(our_schedules).items()
        if isinstance(c, type) and issubclass(c, our_schedules.LRScheduler)
    }
    assert ours - bases == {name for name, _ in SCHEDULES.values()}


def test_warm_up_and_cosine() -> None:
    optimizer = optim.SGD([nn.Parameter(np.zeros(1))], lr=2.0)
    schedule = our_schedules.WarmupCosineLR(optimizer, total=30, warmup=9, final=0.1)
    rates = []
    for _ in range(40):
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    np.testing.assert_allclose(rates[:10], 2.0 * np.arange(1, 11) / 10)
    assert np.all(np.diff(rates[9:31]) < 0)
    np.testing.assert_allclose(rates[30:], 0.2)
    half = our_schedules.WarmupCosineLR(optimizer, total=10)
    half.last_step = 5
    assert abs(half.rate(2.0, 5) - 1.0) < 1e-12


def test_a_schedule_continues_from_its_state() -> None:
    def make() -> Any:
        return our_schedules.CosineAnnealingLR(
            optim.SGD([nn.Parameter(np.zeros(1))], lr=0.3), T_max=10
        )

    a, b = make(), make()
    for _ in range(4):
        a.step()
    b.load_state_dict(a.state_dict())
    assert a.get_last_lr() == b.get_last_lr() == [b.optimizer.param_groups[0]["lr"]]


# Clipping


@pytest.mark.parametrize("limit", [0.5, 5.0, 1e6])
def test_clip_grad_norm_is_pytorch_s(limit: float) -> None:
    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal(s).astype("f4") for s in ((3, 4), (5,), ())]
    ours = [nn.Parameter(np.zeros_like(g)) for g in gradients] + [nn.Parameter(np.zeros(2))]
    theirs = [torch.nn.Parameter(torch.zeros(g.shape)) for g in gradients] + [
        torch.nn.Parameter(torch.zeros(2))
    ]
    for p, q, g in zip(ours, theirs, gradients, strict=False):
        p.grad, q.grad = Tensor(g.copy()), torch.tensor(g)
    norms = nn.clip_grad_norm_(ours, limit), torch.nn.utils.clip_grad_norm_(theirs, limit).item()
    np.testing.assert_allclose(*norms, rtol=1e-6)
    for p, q in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_allclose(p.grad.detach().numpy(), q.grad.numpy(), rtol=1e-6)
    assert ours[3].grad is None
    if limit < norms[0]:
        assert abs(nn.clip_grad_norm_(ours, limit) - limit) < 1e-5


def test_clipping_takes_an_iterator_and_handles_nothing() -> None:
    assert nn.clip_grad_norm_(iter([]), 1.0) == 0.0
    m = nn.Linear(2, 2)
    m(as_tensor(np.ones((1, 2), np.float32))).sum().backward()
    nn.clip_grad_value_(m.parameters(), 0.25)
    assert all(np.abs(p.grad.detach().numpy()).max() <= 0.25 for p in m.parameters())


def test_zero_grad_forgets() -> None:
    p = nn.Parameter(np.ones(2))
    optimizer = optim.SGD([p], lr=0.1)
    p.sum().backward()
    optimizer.zero_grad()
    assert p.grad is None
    with no_grad():
        optimizer.step()
    assert p.tolist() == [1, 1]
