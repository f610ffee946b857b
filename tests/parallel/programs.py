"""A small model, its data, and serial training that the parallel kinds are held to."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import blocks
from lmbook.optim import AdamW

BATCH, WIDTH, CLASSES = 24, 5, 3


def network(seed: int | None = None, dtype: Any = np.float64) -> nn.Module:
    """An MLP; its weights are drawn from the rank's own generator, unless a seed is given."""
    if seed is not None:
        backend.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(WIDTH, 7), nn.GELU(), nn.LayerNorm(7), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, CLASSES)
    ).to(dtype)  # fmt: skip


def batch(step: int, dtype: Any = np.float64, size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([11, step])
    return rng.normal(size=(size, WIDTH)).astype(dtype), rng.integers(0, CLASSES, size)


def part(step: int, i: int, parts: int, dtype: Any = np.float64) -> tuple[Tensor, Tensor]:
    """Part i of a batch in `parts` equal parts."""
    x, y = batch(step, dtype)
    ends = blocks(len(x), parts)
    return Tensor(x[ends[i] : ends[i + 1]]), Tensor(y[ends[i] : ends[i + 1]])


def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def adam(parameters: Any) -> AdamW:
    return AdamW(parameters, lr=0.02, weight_decay=0.01)


def state(model: nn.Module) -> np.ndarray:
    """All parameters as one vector."""
    return np.concatenate([p.data.reshape(-1) for p in model.parameters()])


def gradients(model: nn.Module, x: Tensor, y: Tensor) -> list[np.ndarray]:
    """The gradient of each parameter."""
    model.zero_grad()
    loss(model, x, y).backward()
    return [p.grad.data.copy() for p in model.parameters()]


def step_with(model: nn.Module, optimizer: Any, grads: list[np.ndarray]) -> None:
    for p, g in zip(model.parameters(), grads):
        p.grad = Tensor(g.reshape(p.shape).copy())
    optimizer.step()


def full_batch(steps: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    """One process on the whole batch. The generator is that of rank 0 of a run with `seed`."""
    with backend.using(np.random.default_rng([seed, 0])):
        model = network(dtype=dtype)
    optimizer = adam(model.parameters())
    for s in range(steps):
        step_with(model, optimizer, gradients(model, *part(s, 0, 1, dtype)))
    return state(model)


def ring_sum(xs: list[np.ndarray]) -> np.ndarray:
    """The sum of vectors in the order of the ring: block b begins at rank b + 1."""
    p, ends, y = len(xs), blocks(xs[0].size, len(xs)), xs[0].copy()
    for b in range(p):
        rows = slice(ends[b], ends[b + 1])
        total = xs[(b + 1) % p][rows].copy()
        for k in range(2, p + 1):
            total += xs[(b + k) % p][rows]
        y[rows] = total
    return y
