"""Lion against its paper, Muon against PyTorch, and what is peculiar to one optimiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmbook import Tensor, as_tensor, nn, optim
from lmbook.backend import NonFiniteError, ShapeError, use
from lmbook.optim.gradient.muon import newton_schulz
from lmbook.training import load_checkpoint, save_checkpoint
from tests.optim.cases import EVERY, LION, MUON
from tests.parity import BACKENDS, Record


def lion_by_its_paper(
    theta: list[float], gradients: list[list[float]], lr: float,
    betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0, maximize: bool = False,
) -> list[float]:  # fmt: skip
    """Algorithm 2 of Chen et al. 2023, number by number."""
    m = [0.0] * len(theta)
    for gs in gradients:
        for i, g in enumerate(gs):
            g = -g if maximize else g
            c = betas[0] * m[i] + (1 - betas[0]) * g
            sign = 1.0 if c > 0 else -1.0 if c < 0 else 0.0
            theta[i] = theta[i] - lr * (sign + weight_decay * theta[i])
            m[i] = betas[1] * m[i] + (1 - betas[1]) * g
    return theta


@pytest.mark.parametrize("kind", LION)
@pytest.mark.parametrize("backend", BACKENDS)
def test_lion_is_its_paper_s(kind: str, backend: str) -> None:
    use(backend)
    rng = np.random.default_rng(3)
    gradients = rng.standard_normal((20, 4))
    gradients[:, 3] = 0  # the sign of zero is zero
    p = nn.Parameter(np.array([1.0, -2.0, 0.5, 3.0]))
    wanted = lion_by_its_paper(p.tolist(), gradients.tolist(), **LION[kind])
    optimizer = optim.Lion([p], **LION[kind])
    for g in gradients:
        p.grad = as_tensor(g.copy())
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), wanted, rtol=1e-12)


def muon(library: Any, wrap: Any, settings: dict[str, Any], dtype: str) -> list[Any]:
    rng = np.random.default_rng(5)
    parameters = [wrap(rng.standard_normal(s).astype(dtype)) for s in ((4, 3), (3, 5), (1, 1))]
    optimizer = library.Muon(parameters, **settings)
    track = []
    for _ in range(20):
        for p in parameters:
            p.grad = wrap(rng.standard_normal(tuple(p.shape)).astype(dtype))
        optimizer.step()
        track += [p.detach().numpy().copy() for p in parameters]
    return track


@pytest.mark.parametrize("kind", MUON)
def test_muon_is_pytorch_s(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch rounds to bfloat16 before Newton-Schulz: near with it, equal to 1e-10 without it."""
    record = Record(
        f"optim.{kind}", False, False, dtypes=("float64",), shapes={"(4, 3) (3, 5) (1, 1)"}
    )
    record.draws = 20
    rounded = muon(torch.optim, torch.tensor, MUON[kind], "float64")
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
        theirs = muon(torch.optim, torch.tensor, MUON[kind], "float64")
    for backend in BACKENDS:
        use(backend)
        ours = muon(optim, as_tensor, MUON[kind], "float64")
        for a, b, c in zip(ours, theirs, rounded, strict=True):
            error = float((np.abs(a - b) / (1 + np.abs(b))).max())
            record.error64 = max(record.error64, error)
            assert error <= 1e-10
            assert np.abs(a - c).max() < 0.05
    assert all(a.dtype == np.float32 for a in muon(optim, as_tensor, MUON[kind], "float32"))
    record.keep()


def test_newton_schulz_evens_out_singular_values() -> None:
    rng = np.random.default_rng(0)
    for shape in ((6, 6), (3, 9), (9, 3)):
        u, s, vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
        y = newton_schulz(u * s @ vt)
        values = np.linalg.svd(y, compute_uv=False)
        assert values.min() > 0.6 and values.max() < 1.25 < s.max() / s.min()
        d = np.diag(u.T @ y @ vt.T)  # the same singular vectors
        np.testing.assert_allclose(u * d @ vt, y, atol=1e-12)
    exact = newton_schulz(rng.standard_normal((4, 7)), (15 / 8, -10 / 8, 3 / 8), steps=30)
    np.testing.assert_allclose(exact @ exact.T, np.eye(4), atol=1e-12)
    assert not newton_schulz(np.zeros((2, 3))).any()


def test_muon_takes_matrices_only() -> None:
    with pytest.raises(ShapeError, match=r"\(3,\).*AdamW"):
        optim.Muon([nn.Parameter(np.ones((2, 3))), nn.Parameter(np.ones(3))])


def test_adafactor_keeps_a_row_and_a_column() -> None:
    p = nn.Parameter(np.ones((5, 30, 20)))
    optimizer = optim.Adafactor([p])
    p.grad = as_tensor(np.ones(p.shape))
    optimizer.step()
    state = optimizer.state_dict()["state"][0]
    assert {k: v.shape for k, v in state.items() if k != "step"} == {
        "row_var": (5, 30, 1), "col_var": (5, 1, 20),
    }  # fmt: skip
    other = optim.Adafactor([nn.Parameter(np.ones((5, 20, 30)))])
    with pytest.raises(ShapeError, match="row_var"):
        other.load_state_dict(optimizer.state_dict())


def test_adafactor_is_exact_where_the_squares_have_rank_one() -> None:
    """Then the first step is g / |g|, scaled to the parameter: all entries move equally far."""
    rng = np.random.default_rng(0)
    p = nn.Parameter(np.ones((4, 6)))
    p.grad = as_tensor(np.outer(rng.uniform(1, 2, 4), rng.uniform(-2, -1, 6)))
    optim.Adafactor([p], lr=0.1).step()
    np.testing.assert_allclose(p.detach().numpy(), 1.1, rtol=1e-12)


def test_amsgrad_never_forgets_a_large_gradient() -> None:
    p = nn.Parameter(np.zeros(1))
    optimizer = optim.Adam([p], amsgrad=True, betas=(0.0, 0.5))
    for g in (10.0, 1.0, 1.0, 1.0):
        p.grad = as_tensor(np.array([g]))
        optimizer.step()
    assert optimizer.state_dict()["state"][0]["max_exp_avg_sq"][0].item() == 50.0


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("SGD", {"lr": -1.0}, "lr"),
    ("SGD", {"nesterov": True}, "momentum"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening"),
    ("Adam", {"betas": (1.0, 0.9)}, "betas"),
    ("Adagrad", {"lr_decay": -0.1}, "lr_decay"),
    ("Adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value"),
    ("RMSprop", {"alpha": 1.0}, "alpha"),
    ("RMSprop", {"momentum": -0.1}, "momentum"),
    ("Adafactor", {"beta2_decay": 0.1}, "beta2_decay"),
    ("Adafactor", {"d": 0.5}, "d = 0.5"),
    ("Adafactor", {"eps": (-1.0, 1e-3)}, "eps"),
    ("Lion", {"betas": (0.9, -0.1)}, "betas"),
    ("Lion", {"weight_decay": -0.1}, "weight_decay"),
    ("Muon", {"momentum": 1.0}, "momentum"),
    ("Muon", {"adjust_lr_fn": "rms"}, "match_rms_adamw"),
    ("NAdam", {"momentum_decay": -1.0}, "momentum_decay"),
    ("RAdam", {"betas": (0.9, 1.0)}, "betas"),
    ("LBFGS", {"tolerance_grad": -1.0}, "tolerance_grad"),
]


@pytest.mark.parametrize(("name", "settings", "words"), WRONG)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{words}"):
        getattr(optim, name)([nn.Parameter(np.ones((2, 2)))], **settings)


@pytest.mark.parametrize("name", sorted({name for name, _ in EVERY.values()}))
def test_no_rate_is_not_a_number(name: str) -> None:
    with pytest.raises(NonFiniteError, match=f"{name}: lr"):
        getattr(optim, name)([nn.Parameter(np.ones((2, 2)))], lr=float("nan"))


@pytest.mark.parametrize("kind", EVERY)
def test_a_checkpoint_on_disk_continues_exactly(kind: str, tmp_path: Path) -> None:
    """Through safetensors and JSON, as a training run is saved."""
    name, settings = EVERY[kind]
    rng = np.random.default_rng(0)
    x = as_tensor(rng.standard_normal((9, 3)).astype("f4"))

    def make() -> tuple[Any, Any]:
        model = nn.Linear(3, 2, bias=False)
        return model, getattr(optim, name)(model.parameters(), **settings)

    def advance(model: Any, optimizer: Any) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (model(x).tanh() - 0.3).square().mean()
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)

    model, optimizer = make()
    advance(model, optimizer)
    save_checkpoint(tmp_path / "run.safetensors", model, optimizer)
    other, continued = make()
    load_checkpoint(tmp_path / "run.safetensors", other, continued)
    advance(model, optimizer)
    advance(other, continued)
    assert np.array_equal(model.weight.detach().numpy(), other.weight.detach().numpy())


def test_the_closure_s_loss_is_returned() -> None:
    p = nn.Parameter(np.array([2.0]))
    optimizer = optim.SGD([p], lr=0.25)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0 and p.tolist() == [1.0]
    assert optimizer.step() is None
