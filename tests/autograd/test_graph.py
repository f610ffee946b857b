"""The graph: what is recorded, visited, added up, guarded and freed."""

from __future__ import annotations

import gc
import pickle
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from lmbook import Tensor, cat, enable_grad, no_grad, stack, tensor
from lmbook.autograd import as_tensor, detect_anomaly, grad, graph, is_grad_enabled, primitive
from lmbook.autograd.primitives import PRIMITIVES
from lmbook.backend import GradientError, NonFiniteError


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def twin(x: Tensor) -> Any:
    return torch.tensor(x.detach().numpy().copy(), requires_grad=True)


# Shapes of graphs

GRAPHS = {
    "diamond": lambda x: (x.sin() * x.cos()).sum(),
    "shared subgraph": lambda x: (lambda h: (h * h + h.exp() + h.sum()).sum())(x.tanh()),
    "one path longer": lambda x: (lambda h: (h + ((h * 2).sin() * 3).cos()).sum())(x * x),
    "nested diamonds": lambda x: _diamonds(x, 12).sum(),
    "views of one tensor": lambda x: (x[0] * x[1] + x.reshape(2, -1)[0] + x.T[:, 1]).sum(),
    "slices put together": lambda x: (stack_of([x[i] * (i + 1) for i in range(2)], x) ** 2).sum(),
    "leaf used alone and inside": lambda x: (x + x.sum()).sum() + x.sum(),
    "branch that is dropped": lambda x: [x.exp(), (x * 2).sum()][1],
    "detached branch": lambda x: (x.detach() * x).sum(),
}


def _diamonds(x: Any, n: int) -> Any:
    for _ in range(n):  # 2^n paths: a walk that visits paths, not nodes, would take for ever
        x = x * 0.5 + x.sin()
    return x


def stack_of(parts: list[Any], like: Any) -> Any:
    return stack(parts) if isinstance(like, Tensor) else torch.stack(parts)


@pytest.mark.parametrize("kind", GRAPHS)
def test_gradients_add_up_over_all_paths(kind: str) -> None:
    x = leaf(2, 3)
    t = twin(x)
    GRAPHS[kind](x).backward()
    GRAPHS[kind](t).backward()
    np.testing.assert_allclose(x.grad.detach().numpy(), t.grad.numpy(), rtol=1e-12)


STEPS = [
    lambda a, b: a + b, lambda a, b: a * b * 0.5, lambda a, b: a.tanh(), lambda a, b: (a - b).sin(),
    lambda a, b: a @ b * 0.1, lambda a, b: a.mean(0) + b, lambda a, b: a.T * b[0],
]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(seed: int) -> None:
    """Programs of 30 random steps over a growing list of values, with sharing and reuse."""

    def program(values: list[Any]) -> Any:
        rng = np.random.default_rng(seed)
        for _ in range(30):
            a, b = (values[int(rng.integers(len(values)))] for _ in range(2))
            values.append(STEPS[int(rng.integers(len(STEPS)))](a, b))
        return sum(v.sum() for v in values[::3])

    leaves = [leaf(3, 3, seed=seed + i) for i in range(3)]
    twins = [twin(x) for x in leaves]
    program(list(leaves)).backward()
    program(list(twins)).backward()
    for x, t in zip(leaves, twins, strict=True):
        expected = np.zeros((3, 3)) if t.grad is None else t.grad.numpy()
        got = np.zeros((3, 3)) if x.grad is None else x.grad.detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_a_chain_of_fifty_thousand_steps() -> None:
    """Neither the backward pass nor the freeing of the graph recurses."""
    x = leaf(2)
    y = x
    for _ in range(50_000):
        y = y + 0.0
    y.sum().backward()
    assert np.array_equal(x.grad.detach().numpy(), [1, 1])
    y = x
    for _ in range(50_000):
        y = y * 1.0
    del y  # never differentiated: dropped as a whole


def test_each_node_is_visited_once() -> None:
    calls = 0

    def rule(a: Any) -> Any:
        def pull(g: Any) -> Any:
            nonlocal calls
            calls += 1
            return g

        return a * 1.0, (pull,)

    rule.__name__ = "visited"
    try:
        operation = primitive(rule)
        h = operation(leaf(3))
        (h * h + h.sin() + _diamonds(h, 10)).sum().backward()
    finally:
        PRIMITIVES.pop("visited")
    assert calls == 1


# backward, grad, .grad


def test_gradients_accumulate_until_zeroed() -> None:
    x = leaf(3)
    for n in (1, 2, 3):
        (x * 2).sum().backward()
        assert np.array_equal(x.grad.detach().numpy(), [2.0 * n] * 3)
    x.zero_grad()
    assert x.grad is None


def test_backward_twice_needs_retain_graph() -> None:
    x = leaf(3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.detach().numpy(), 4 * x.detach().numpy())
    with pytest.raises(GradientError, match="retain_graph=True"):
        y.backward()


def test_a_freed_part_shared_by_another_output_is_refused() -> None:
    x = leaf(3)
    h = x.exp()
    a, b = h.sum(), (h * 2).sum()
    a.backward()
    with pytest.raises(GradientError, match="freed by an earlier backward"):
        b.backward()


def test_backward_takes_a_gradient() -> None:
    x, g = leaf(2, 3), np.arange(6.0).reshape(2, 3)
    for seed in (g, tensor(g), g.tolist()):
        x.grad = None
        x.sin().backward(seed)
        np.testing.assert_allclose(x.grad.detach().numpy(), g * np.cos(x.detach().numpy()))
    x.grad = None
    x.backward(g)  # a leaf's own gradient
    assert np.array_equal(x.grad.detach().numpy(), g)


@pytest.mark.host  # the gradient given is an array of NumPy: on a GPU a copy is taken anyway
def test_the_caller_s_gradient_is_neither_kept_nor_changed() -> None:
    x, g = leaf(3), np.ones(3)
    for _ in range(2):
        x.backward(g)
    assert np.array_equal(g, np.ones(3))
    assert not np.shares_memory(x.grad.data, g)


def test_gradients_of_two_leaves_never_share_memory() -> None:
    a, b = leaf(3), leaf(3, seed=1)
    (a + b).sum().backward()
    assert not np.shares_memory(a.grad.data, b.grad.data)
    a.grad.data += 1
    assert np.array_equal(b.grad.detach().numpy(), np.ones(3))
    assert a.grad.detach().numpy().flags.writeable and b.grad.detach().numpy().flags.writeable


@pytest.mark.parametrize("seed", range(5))
def test_grad_equals_backward(seed: int) -> None:
    a, b, unused = leaf(3, 3, seed=seed), leaf(3, seed=seed + 1), leaf(2)
    h = a @ b
    y = (h * h.sin() + b).sum()
    ga, gb, gh, gu = grad(y, [a, b, h, unused], retain_graph=True)
    assert a.grad is None and b.grad is None
    assert np.array_equal(gu.detach().numpy(), [0, 0])
    y.backward()
    np.testing.assert_allclose(ga.detach().numpy(), a.grad.detach().numpy())
    np.testing.assert_allclose(gb.detach().numpy(), b.grad.detach().numpy())
    np.testing.assert_allclose(
        gh.detach().numpy(),
        np.sin(h.detach().numpy()) + h.detach().numpy() * np.cos(h.detach().numpy()),
    )


def test_grad_of_the_output_and_of_a_leaf_itself() -> None:
    x = leaf()
    assert grad(x, x)[0].item() == 1
    y = x * 3
    assert [g.item() for g in grad(y, [y, x])] == [1, 3]
    with pytest.raises(GradientError, match="does not require"):
        grad(x * 2, tensor(1.0))


def test_float32_graphs_have_float32_gradients() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    w = leaf(3)
    (x * w).sum().backward()
    assert x.grad.dtype == np.float32 and w.grad.dtype == np.float64


# What is recorded


def test_no_grad_records_nothing_and_nests() -> None:
    x = leaf(3)
    with no_grad():
        assert not is_grad_enabled() and not (x * 2).requires_grad
        with enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad and is_grad_enabled()
    with pytest.raises(RuntimeError, match="stop"), no_grad():
        raise RuntimeError("stop")
    assert is_grad_enabled()


def test_no_grad_decorates() -> None:
    @no_grad()
    def double(x: Tensor) -> Tensor:
        return x * 2

    x = leaf(3)
    assert not double(x).requires_grad and not double(x).requires_grad
    assert is_grad_enabled()


def test_each_thread_has_its_own_mode() -> None:
    seen: dict[str, bool] = {}
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        seen["at start"] = is_grad_enabled()
        with no_grad():
            entered.set()
            leave.wait(5)
        seen["at end"] = is_grad_enabled()

    with no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(5)
    seen["here"] = is_grad_enabled()
    leave.set()
    thread.join()
    assert seen == {"at start": True, "here": True, "at end": True}


def test_threads_can_differentiate_side_by_side() -> None:
    results: dict[int, Any] = {}

    def work(i: int) -> None:
        x = leaf(20, 20, seed=i)
        for _ in range(20):
            (x @ x).tanh().sum().backward()
        results[i] = (x.detach().numpy(), x.grad.detach().numpy())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for data, g in results.values():
        t = torch.tensor(data, requires_grad=True)
        (t @ t).tanh().sum().backward()
        np.testing.assert_allclose(g, 20 * t.grad.numpy(), rtol=1e-9)


def test_detach_shares_values_and_cuts_the_graph() -> None:
    x = leaf(3)
    y = (x * 2).detach()
    assert not y.requires_grad and y.is_leaf
    assert np.shares_memory(x.detach().data, x.data)
    assert (x * y).sum().backward() is None
    np.testing.assert_allclose(x.grad.detach().numpy(), y.detach().numpy())


def test_integers_and_comparisons_are_outside_the_graph() -> None:
    x = leaf(3)
    for y in (x > 0, x.argmax(), x.long(), x == x):
        assert not y.requires_grad


def test_constants_get_no_gradient() -> None:
    x, c = leaf(3), tensor([1.0, 2.0, 3.0])
    (x * c + np.ones(3) + 1).sum().backward()
    assert c.grad is None
    assert as_tensor(x) is x and as_tensor(x, np.float64) is x


def test_an_operation_s_name_is_shown() -> None:
    x = leaf(3)
    assert (x * 2).grad_fn.name == "mul" and x.grad_fn is None
    assert "mul" in repr(x * 2) and "requires_grad=True" in repr(x)
    assert x.is_leaf and not (x * 2).is_leaf


# Changes in place


def test_in_place_on_what_requires_a_gradient_is_refused() -> None:
    x = leaf(3)
    for change in (
        lambda: x.add_(1), lambda: x.__setitem__(0, 1.0), lambda: x.zero_(), lambda: (x * 2).mul_(2),
        lambda: x[0:2].fill_(1), lambda: x.copy_(np.ones(3)),
    ):  # fmt: skip
        with pytest.raises(GradientError, match=r"in place.*\(\d,?.*no_grad"):
            change()


def _through(kind: str, c: Tensor) -> Tensor:
    views = {
        "itself": lambda: c, "slice": lambda: c[:1], "reshape": lambda: c.reshape(-1), "T": lambda: c.T,
        "detach": lambda: c.detach(), "view of a view": lambda: c.T[0].reshape(-1, 1),
        "flip": lambda: c.flip(0), "unsqueeze": lambda: c.unsqueeze(0), "split": lambda: c.split(1)[1],
        "flatten": lambda: c.flatten(),
    }  # fmt: skip
    return views[kind]()


KINDS = [
    "itself",
    "slice",
    "reshape",
    "T",
    "detach",
    "view of a view",
    "flip",
    "unsqueeze",
    "split",
    "flatten",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_changed_after_use_is_noticed_through_views(kind: str) -> None:
    x, c = leaf(2, 2), tensor(np.ones((2, 2)))
    view = _through(kind, c)
    y = (x * c).sum()
    view.mul_(3)
    with pytest.raises(
        GradientError, match=r"'mul' \(output shape \(2, 2\)\).*changed in place.*clone"
    ):
        y.backward()


@pytest.mark.parametrize("kind", ["slice", "reshape", "T", "flip"])
def test_a_view_used_in_the_graph_notices_a_change_of_its_base(kind: str) -> None:
    c = tensor(np.ones((2, 2)))
    view = _through(kind, c)
    y = (leaf(*view.shape) * view).sum()
    c[0, 0] = 5.0
    with pytest.raises(GradientError, match="changed in place"):
        y.backward()


def test_a_parameter_changed_between_forward_and_backward_is_noticed() -> None:
    w, x = leaf(2, 2), leaf(2, 2, seed=1)
    y = (x @ w).sum()
    with no_grad():
        w -= 0.1
    with pytest.raises(GradientError, match="'matmul'"):
        y.backward()


def test_a_result_changed_before_backward_is_noticed() -> None:
    """exp's derivative reuses its value."""
    x = leaf(3)
    y = x.exp()
    with no_grad():
        y.mul_(2)
    with pytest.raises(GradientError, match="changed in place"):
        y.sum().backward()


def test_in_place_changes_that_do_no_harm_are_allowed() -> None:
    x, c = leaf(3), tensor(np.ones(3))
    c += 1  # before use
    y = (x * c).sum()
    y.backward()
    c *= 0  # after the backward pass
    np.testing.assert_allclose(x.grad.detach().numpy(), [2, 2, 2])
    copy = c.clone()
    z = (x * c).sum()
    copy.add_(1)  # a copy of what was used
    z.backward()


def test_a_read_only_view_cannot_be_written() -> None:
    with pytest.raises(GradientError, match="clone"):
        tensor([1.0, 2.0]).expand(3, 2).add_(1)


@pytest.mark.parametrize("operation", ["add_", "sub_", "mul_", "div_", "copy_"])
def test_in_place_arithmetic(operation: str) -> None:
    a, b = tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([2.0, 4.0])
    t = torch.tensor(a.tolist())
    getattr(t, operation)(torch.tensor(b.tolist()))
    assert getattr(a, operation)(b) is a
    assert a.tolist() == t.tolist()


def test_augmented_assignment_keeps_the_object_outside_the_graph() -> None:
    a = b = tensor([1.0, 2.0])
    a += 1
    a *= 2
    a -= 1
    a /= 3
    assert a is b and np.allclose(b.numpy(), [1.0, 5 / 3])
    a[1:] = 7
    assert b.tolist()[1] == 7


# Memory


def test_saved_arrays_are_freed_as_the_backward_pass_leaves_them() -> None:
    x = leaf(3)
    h = x.exp()
    saved = weakref.ref(h.data)
    y = (h * 2).sum()
    del h
    assert saved() is not None
    y.backward()
    assert saved() is None, "the backward pass left the value of exp alive"


def test_the_graph_dies_with_its_result() -> None:
    """By reference counts alone: a cycle would keep big arrays until the collector runs."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(4, 4)
        h = (x @ x).tanh()
        parts = cat([h[0:2], h[2:].sin()]).reshape(2, 8).amax(1).sum()
        nodes = [weakref.ref(t.grad_fn) for t in (h, parts)]
        arrays = [weakref.ref(h.data)]
        del h, parts
        assert [r() for r in nodes + arrays] == [None] * 3
        y = (x.sigmoid() @ x + x.pow(3)).std()
        y.backward()
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
        w = weakref.ref(x)
        del x
        assert w() is None
    finally:
        gc.enable()


def test_training_steps_make_no_garbage() -> None:
    def step(w: Tensor, x: Tensor) -> None:
        loss = ((x @ w).relu() - 1).square().mean()
        w.grad = None
        loss.backward()
        with no_grad():
            w -= 0.1 * w.grad

    w, x = leaf(5, 5), tensor(np.ones((4, 5)))
    step(w, x)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            step(w, x)
        assert gc.collect() == 0, "a step left reference cycles"
    finally:
        gc.enable()


def test_time_grows_with_the_nodes_not_their_square() -> None:
    def seconds(n: int) -> float:
        x = leaf(2)
        y = x
        for _ in range(n):
            y = y + x
        y = y.sum()
        start = time.perf_counter()
        y.backward()
        return time.perf_counter() - start

    small, large = (min(seconds(n) for _ in range(3)) for n in (1000, 16000))
    assert large < 16 * small * 6, f"16 times the nodes took {large / small:.0f} times as long"


# NaN


def test_detect_anomaly_names_the_operation() -> None:
    x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    with np.errstate(all="ignore"), detect_anomaly():
        with pytest.raises(
            NonFiniteError, match=r"log: the result holds infinity \(inputs: \(2,\)\)"
        ):
            x.log()
        with pytest.raises(NonFiniteError, match="div: the result holds NaN"):
            x / x
        assert (x + 1).log().sum().item() > 0
    with np.errstate(all="ignore"):
        assert not np.isfinite(x.log().detach().numpy()).all()  # nobody asked: as NumPy has it


def test_unbroadcast_sums_what_was_repeated(rng: np.random.Generator) -> None:
    for shape, full in [
        ((), (2, 3)),
        ((1, 3), (2, 3)),
        ((3, 1), (2, 3, 4)),
        ((2, 3), (2, 3)),
        ((1,), (4, 0)),
    ]:
        g = rng.standard_normal(full)
        t = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        t.expand(full).backward(torch.tensor(g))
        np.testing.assert_allclose(graph.unbroadcast(g, shape), t.grad.numpy())


def test_an_array_that_was_pickled_stays_float64():
    """Its dtype equals NumPy's float64 without being the same object; what processes send is such."""
    x = pickle.loads(pickle.dumps(np.full(3, 1 / 3)))
    assert (Tensor(x) * 2).dtype == np.float64
    assert (Tensor(x)[np.array([0, 2])] * 3).data.tolist() == [1.0, 1.0]
