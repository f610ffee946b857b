"""L-BFGS: step by step PyTorch's, with its line search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lmbook import Tensor, as_tensor, nn, optim
from lmbook.backend import ShapeError, use
from lmbook.optim.gradient.line_search import Point, cubic_minimum, strong_wolfe
from tests.optim.cases import LBFGS, problem, rosenbrock
from tests.parity import BACKENDS, Record


def run(library: Any, wrap: Any, settings: dict[str, Any], dtype: str) -> list[Any]:
    """Four calls of `step`, the second of them without a gradient for the vector."""
    rng = np.random.default_rng(7)
    parameters = [wrap(rng.standard_normal(s).astype(dtype)) for s in ((4, 3), (3,), ())]
    data = [tuple(wrap(rng.standard_normal((6, n)).astype(dtype)) for n in (4, 3))]
    for p in parameters:
        p.requires_grad = True
    optimizer = library.LBFGS(parameters, **settings)
    track, losses = [], []
    for step in range(4):

        def closure(step: int = step) -> Any:
            optimizer.zero_grad()
            loss = problem(parameters, data, 1)
            loss.backward()
            if step == 1:
                parameters[1].grad = None
            return loss

        losses.append(np.array(optimizer.step(closure).item(), dtype))
        track += [p.detach().numpy().copy() for p in parameters]
    return track + losses


@pytest.mark.parametrize("kind", LBFGS)
def test_four_calls_are_pytorch_s(kind: str) -> None:
    record = Record(f"optim.{kind}", False, False, dtypes=("float64",), shapes={"(4, 3) (3,) ()"})
    record.draws = 4
    theirs = run(torch.optim, torch.tensor, LBFGS[kind], "float64")
    for backend in BACKENDS:
        use(backend)
        ours = run(optim, as_tensor, LBFGS[kind], "float64")
        pairs = zip(ours, theirs, strict=True)
        error = max(float((np.abs(a - b) / (1 + np.abs(b))).max()) for a, b in pairs)
        assert error <= 1e-10, f"{kind} [{backend}]: {error:.2g}"
        record.error64 = max(record.error64, error)
    record.keep()


@pytest.mark.parametrize("kind", LBFGS)
def test_float32_stays_float32_and_goes_down(kind: str) -> None:
    """Differences of gradients magnify rounding, so that paths part; both end low."""
    theirs = run(torch.optim, torch.tensor, LBFGS[kind], "float32")
    ours = run(optim, as_tensor, LBFGS[kind], "float32")
    assert all(a.dtype == np.float32 for a in ours)
    np.testing.assert_allclose(ours[-4], theirs[-4], rtol=1e-5)  # the loss before the first step
    assert ours[-1] < 0.8 * ours[-4] and abs(ours[-1] - theirs[-1]) < 0.1 * theirs[-4]


def test_rosenbrock_in_as_many_evaluations_as_pytorch() -> None:
    """A bent valley exercises every branch of the search; the count tells a wrong one."""
    evaluations = []
    for library, wrap in ((optim, as_tensor), (torch.optim, torch.tensor)):
        x = wrap(np.array([-1.2, 1.0]))
        x.requires_grad = True
        optimizer = library.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")

        def closure(optimizer: Any = optimizer, x: Any = x) -> Any:
            optimizer.zero_grad()
            loss = rosenbrock(x) + (3 * x[0]).sin().square()
            loss.backward()
            return loss

        optimizer.step(closure)
        state = optimizer.state_dict()["state"][0]
        evaluations.append((state["func_evals"], state["n_iter"], x.detach().numpy()))
    assert evaluations[0][:2] == evaluations[1][:2] and evaluations[0][1] > 10
    np.testing.assert_allclose(evaluations[0][2], evaluations[1][2], atol=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_the_search_is_pytorch_s_on_wild_lines(seed: int) -> None:
    """Random sums of waves along a line: same step, same loss, same number of evaluations."""
    from torch.optim.lbfgs import _strong_wolfe

    rng = np.random.default_rng(seed)
    height, pace, phase = rng.normal(size=6), rng.uniform(0.1, 9, 6), rng.uniform(0, 6, 6)

    def line(t: float) -> tuple[float, float]:
        angle = pace * t + phase
        return float(height @ np.sin(angle)) + 0.05 * t * t, float(
            height @ (pace * np.cos(angle))
        ) + 0.1 * t

    sign = -np.sign(line(0.0)[1])  # downhill
    d = torch.tensor([sign], dtype=torch.float64)

    def theirs(x: Any, t: float, d: Any) -> Any:
        loss, slope = line(float(t) * sign)
        return loss, torch.tensor([slope], dtype=torch.float64)

    def ours(t: float) -> Point:
        loss, slope = line(t * sign)
        return Point(t, loss, np.array([slope]), slope * sign)

    start, first = ours(0.0), float(10 ** rng.uniform(-3, 1.5))
    most = int(rng.choice([1, 2, 3, 25]))
    loss, _, t, used = _strong_wolfe(
        theirs, None, first, d, start.loss, torch.tensor(start.gradient), torch.tensor(start.slope),
        max_ls=most,
    )  # fmt: skip
    point, evaluations = strong_wolfe(ours, start, first, 1.0, max_ls=most)
    assert evaluations == used
    np.testing.assert_allclose([point.t, point.loss], [float(t), loss], rtol=1e-9)
    if used < most:
        assert point.loss <= start.loss + 1e-4 * point.t * start.slope
        assert abs(point.slope) <= 0.9 * abs(start.slope)


def test_the_cubic_is_exact_on_a_cubic() -> None:
    """t^3 - 3 t has its minimum at 1."""

    def at(t: float) -> Point:
        return Point(t, t**3 - 3 * t, np.zeros(0), 3 * t * t - 3)

    for a, b in ((0.0, 3.0), (3.0, 0.0), (-0.5, 1.2)):
        assert abs(cubic_minimum(at(a), at(b), -5, 5) - 1) < 1e-12
    assert cubic_minimum(at(0.0), at(3.0), 1.5, 2.0) == 1.5


def test_a_quadratic_of_n_variables_ends_in_about_n_steps() -> None:
    """With the whole history and exact searches L-BFGS is the conjugate gradient method."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((8, 8))
    h = as_tensor(a @ a.T + np.eye(8))
    x = nn.Parameter(np.ones(8))
    optimizer = optim.LBFGS([x], max_iter=24, line_search_fn="strong_wolfe", tolerance_change=0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * (x @ (h @ x))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert np.abs(x.detach().numpy()).max() < 1e-4


def test_what_it_refuses() -> None:
    p = nn.Parameter(np.ones(3))
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([p]).step()
    with pytest.raises(ValueError, match="groups"):
        optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(np.ones(2))]}])
    with pytest.raises(ValueError, match="strong_wolfe"):
        optim.LBFGS([p], line_search_fn="armijo")
    with pytest.raises(ValueError, match="history_size"):
        optim.LBFGS([p], history_size=0)


def test_a_history_of_another_model_is_refused() -> None:
    def trained(size: int) -> Any:
        p = nn.Parameter(np.ones(size))
        optimizer = optim.LBFGS([p], max_iter=3)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (p * p * p * p).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return optimizer

    with pytest.raises(ShapeError, match="same model"):
        trained(4).load_state_dict(trained(3).state_dict())
