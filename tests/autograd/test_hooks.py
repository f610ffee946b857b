"""Hooks on leaves run once a backward pass, when the gradient is complete and before the pass has ended."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbook import Tensor
from lmbook.autograd import grad, graph
from lmbook.backend import GradientError


def program(make, seen):
    """A leaf used twice, another used last, with what the hooks saw."""
    a, b = make([1.0, 2.0]), make([3.0, 4.0])
    a.register_post_accumulate_grad_hook(lambda t: seen.append(("a", t.grad.tolist())))
    handle = b.register_post_accumulate_grad_hook(lambda t: seen.append(("b", t.grad.tolist())))
    for _ in range(2):
        y = (a * 2).exp() * a
        (y * b).sum().backward()
    handle.remove()
    (a * b).sum().backward()
    return seen


def test_a_hook_sees_the_complete_gradient_as_in_pytorch() -> None:
    ours = program(lambda x: Tensor(np.array(x), requires_grad=True), [])
    theirs = program(lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True), [])
    assert [n for n, _ in ours] == ["b", "a", "b", "a", "a"] == [n for n, _ in theirs]
    for (_, x), (_, y) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-14)


def test_a_leaf_that_is_the_output_and_a_computed_tensor() -> None:
    seen = []
    x = Tensor(np.array(2.0), requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    x.backward()
    assert seen == [1.0]
    with pytest.raises(GradientError, match="register_post_accumulate_grad_hook: only leaves"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_callbacks_run_when_the_outermost_pass_has_ended() -> None:
    seen, x = [], Tensor(np.array([1.0, 2.0]), requires_grad=True)
    inner = Tensor(np.array(3.0), requires_grad=True)

    def hook(t):
        seen.append("hook")
        graph.queue_callback(lambda: seen.append("end"))
        if t is x:
            (inner * 2).backward()  # a pass within the pass
            seen.append("inner")

    x.register_post_accumulate_grad_hook(hook)
    inner.register_post_accumulate_grad_hook(hook)
    (x * x).sum().backward()
    assert seen == ["hook", "hook", "inner", "end", "end"]
    graph.queue_callback(lambda: seen.append("at once"))
    assert seen[-1] == "at once"


def test_a_pass_that_fails_forgets_its_callbacks_and_grad_runs_no_hooks() -> None:
    seen, x = [], Tensor(np.array([1.0, 2.0]), requires_grad=True)

    def hook(t):
        graph.queue_callback(lambda: seen.append("end"))
        raise ValueError("in the hook")

    handle = x.register_post_accumulate_grad_hook(hook)
    with pytest.raises(ValueError, match="in the hook"):
        (x * x).sum().backward()
    assert seen == []
    (g,) = grad((x * x).sum(), x)
    np.testing.assert_array_equal(g.numpy(), [2.0, 4.0])
    y = (x * 3).sum()
    assert graph.reached(y._node) == {id(x)}
    handle.remove()
    x.register_post_accumulate_grad_hook(lambda t: graph.queue_callback(lambda: seen.append("new")))
    y.backward()
    assert seen == ["new"]
