"""The module tree: what becomes part of it, its names, its state, its hooks."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn as tnn

from lmbook import Tensor, backend, manual_seed, nn, tensor, zeros
from lmbook.backend import ShapeError


def build(n: Any) -> Any:
    """The same small tree of ours and of PyTorch's: nested, a list, a buffer, a tied weight."""

    class Inner(n.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = n.BatchNorm1d(3)
            self.blocks = n.ModuleList([n.Linear(3, 3), n.Linear(3, 2, bias=False)])

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return x

    class Outer(n.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = n.Sequential(n.Linear(4, 3), n.Tanh())
            self.inner = Inner()
            self.tied = n.Linear(3, 3, bias=False)
            self.tied.weight = self.inner.blocks[0].weight

        def forward(self, x: Any) -> Any:
            return self.inner(self.tied(self.inner.norm(self.first(x))))

    return Outer()


@pytest.fixture
def pair() -> tuple[Any, Any]:
    manual_seed(0)
    torch.manual_seed(0)
    return build(nn), build(tnn)


def test_names_are_pytorch_s(pair: Any) -> None:
    ours, theirs = pair
    for what in ("named_parameters", "named_buffers", "named_modules"):
        assert [n for n, _ in getattr(ours, what)()] == [n for n, _ in getattr(theirs, what)()], (
            what
        )
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters())
    assert [type(m).__name__ for m in ours.children()] == [
        type(m).__name__ for m in theirs.children()
    ]


def test_pytorch_s_state_loads_and_computes_the_same(pair: Any) -> None:
    ours, theirs = pair
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("f4")
    np.testing.assert_allclose(
        ours(tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=1e-5
    )
    assert ours.tied.weight is ours.inner.blocks[0].weight  # loading keeps the tie


def test_a_module_shared_by_two_names(pair: Any) -> None:
    trees = []
    for n in (nn, tnn):
        layer = n.Linear(2, 2)
        trees.append(n.Sequential(layer, n.Tanh(), layer))
    ours, theirs = trees
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.ones(1, 2)
    np.testing.assert_allclose(
        ours(tensor(x.numpy())).detach().numpy(), theirs(x).detach().numpy(), rtol=1e-5
    )
    ours(tensor(x.numpy())).sum().backward()
    theirs(x).sum().backward()
    np.testing.assert_allclose(
        ours[0].weight.grad.detach().numpy(), theirs[0].weight.grad.numpy(), rtol=1e-5
    )


def test_assignment_makes_and_breaks_membership() -> None:
    m = nn.Module()
    m.layer = nn.Linear(2, 2)
    m.weight = nn.Parameter(zeros(3))
    m.register_buffer("count", zeros(1))
    m.plain = [1, 2]
    assert [n for n, _ in m.named_parameters()] == ["weight", "layer.weight", "layer.bias"]
    m.weight = nn.Parameter(zeros(5))
    assert m.weight.shape == (5,)
    m.count = tensor([7.0])
    assert backend.host(m.state_dict()["count"])[0] == 7
    m.weight = None
    m.layer = None
    assert list(m.named_parameters()) == [] and m.weight is None and m.layer is None
    m.layer = nn.Tanh()
    assert isinstance(m.layer, nn.Tanh)
    del m.layer, m.count, m.plain
    for gone in ("layer", "count", "plain"):
        assert not hasattr(m, gone)
    assert set(m.state_dict()) == set()
    m.weight = nn.Linear(1, 1)  # a module may take the place of an absent parameter
    assert isinstance(m.weight, nn.Linear) and len(list(m.parameters())) == 2


def test_what_may_not_be_assigned() -> None:
    m = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear\.weight holds a Parameter.*not Tensor"):
        m.weight = zeros(2, 2)
    with pytest.raises(TypeError, match="holds a Module"):
        s = nn.Sequential(nn.Tanh())
        setattr(s, "0", "tanh")
    assert m.weight.shape == (2, 2) and isinstance(s[0], nn.Tanh)
    with pytest.raises(AttributeError, match=r"'Linear' object has no attribute 'wieght'"):
        _ = m.wieght

    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\)"):
        Forgetful()
    with pytest.raises(NotImplementedError, match="no forward method"):
        nn.Module()(1)


def test_a_list_in_an_attribute_is_not_part_of_the_tree() -> None:
    m = nn.Module()
    m.layers = [nn.Linear(1, 1)]
    assert not list(m.parameters())  # as in PyTorch: use ModuleList
    m.layers = nn.ModuleList(m.layers)
    assert len(list(m.parameters())) == 2


# State


def test_state_round_trip(pair: Any) -> None:
    ours, _ = pair
    other = build(nn)
    other.load_state_dict(ours.state_dict())
    for name, value in ours.state_dict().items():
        assert np.array_equal(backend.host(other.state_dict()[name]), backend.host(value))
        assert other.state_dict()[name] is not value
        assert backend.on_gpu(value) or not np.shares_memory(other.state_dict()[name], value)
    other.load_state_dict({k: Tensor(v) for k, v in ours.state_dict().items()})


def snapshot(m: Any) -> dict[str, np.ndarray]:
    return {k: v.copy() for k, v in m.state_dict().items()}


def test_a_state_that_does_not_fit_changes_nothing(pair: Any) -> None:
    ours, _ = pair
    good = {k: v + 1 for k, v in ours.state_dict().items()}
    cases: dict[str, tuple[Any, type[Exception], str]] = {
        "missing": ({k: v for k, v in good.items() if k != "tied.weight"}, KeyError,
                    r"tied\.weight.*strict=False"),
        "unknown": ({**good, "extra": np.ones(1)}, KeyError, r"lacks \['extra'\]"),
        "shape": ({**good, "inner.blocks.1.weight": np.ones((9, 9))}, ShapeError,
                  r"inner\.blocks\.1\.weight has shape \(9, 9\), the module's \(2, 3\)"),
    }  # fmt: skip
    before = snapshot(ours)
    for state, error, message in cases.values():
        with pytest.raises(error, match=message):
            ours.load_state_dict(state)
        for k, v in ours.state_dict().items():
            assert np.array_equal(backend.host(before[k]), backend.host(v)), f"{k} changed"


def test_strict_false_loads_what_matches(pair: Any) -> None:
    ours, _ = pair
    ours.load_state_dict({"first.0.bias": np.full(3, 7.0), "extra": np.ones(1)}, strict=False)
    assert ours.first[0].bias.tolist() == [7.0] * 3
    with pytest.raises(ShapeError):
        ours.load_state_dict({"first.0.bias": np.ones(4)}, strict=False)


def test_loading_keeps_the_type_and_the_gradient_flow() -> None:
    m = nn.Linear(2, 2)
    m.load_state_dict({"weight": np.eye(2), "bias": np.zeros(2)})
    assert m.weight.dtype == np.float32 and m.weight.requires_grad and m.weight.is_leaf


def test_double_and_float() -> None:
    m = nn.BatchNorm1d(2).double()
    assert m.weight.dtype == m.running_mean.dtype == np.float64
    assert m.num_batches_tracked.dtype == np.int64
    assert m.float().weight.dtype == np.float32


def test_copies_are_independent(pair: Any) -> None:
    ours, _ = pair
    twin = copy.deepcopy(ours)
    assert twin.tied.weight is twin.inner.blocks[0].weight
    twin.tied.weight.data[:] = 0
    assert ours.tied.weight.detach().numpy().any()
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in ours.named_parameters()]


# Modes, hooks, walking


def test_train_and_eval_reach_every_module(pair: Any) -> None:
    ours, _ = pair
    assert ours.eval() is ours and not any(m.training for m in ours.modules())
    ours.train()
    assert all(m.training for m in ours.modules())


def test_requires_grad_and_zero_grad(pair: Any) -> None:
    ours, _ = pair
    x = zeros(5, 4) + 1
    ours(x).sum().backward()
    assert all(p.grad is not None for p in ours.parameters())
    ours.zero_grad()
    assert all(p.grad is None for p in ours.parameters())
    ours.first.requires_grad_(False)
    ours(x).sum().backward()
    assert [n for n, p in ours.named_parameters() if p.grad is None] == [
        "first.0.weight",
        "first.0.bias",
    ]


def test_apply_goes_children_first(pair: Any) -> None:
    ours, _ = pair
    seen: list[Any] = []
    ours.apply(lambda m: seen.append(m))
    assert seen[-1] is ours and len(seen) == len(list(ours.modules()))
    for module in ours.modules():
        assert all(seen.index(child) < seen.index(module) for child in module.children())


def test_forward_hooks_watch_replace_and_leave(pair: Any) -> None:
    ours, _ = pair
    shapes: dict[str, Any] = {}
    handles = [
        m.register_forward_hook(lambda m, i, o, n=n: shapes.__setitem__(n, (i[0].shape, o.shape)))
        for n, m in ours.named_modules() if isinstance(m, nn.Linear)
    ]  # fmt: skip
    x = zeros(5, 4)
    y = ours(x)
    assert shapes["first.0"] == ((5, 4), (5, 3)) and shapes["inner.blocks.1"] == ((5, 3), (5, 2))
    handles.append(ours.register_forward_hook(lambda m, i, o: o + 1))
    handles.append(ours.register_forward_hook(lambda m, i, o: o * 2))
    np.testing.assert_allclose(ours(x).detach().numpy(), (y.detach().numpy() + 1) * 2, rtol=1e-6)
    for h in handles:
        h.remove()
        h.remove()  # twice does no harm
    shapes.clear()
    np.testing.assert_allclose(ours(x).detach().numpy(), y.detach().numpy())
    assert not shapes


def test_forward_pre_hooks_see_and_replace_the_inputs(pair: Any) -> None:
    ours, _ = pair
    x = zeros(5, 4) + np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    y, seen = ours(x + 2), []
    handles = [
        ours.register_forward_pre_hook(lambda m, i: seen.append(i[0].shape)),
        ours.register_forward_pre_hook(lambda m, i: i[0] + 1),
        ours.register_forward_pre_hook(lambda m, i: (i[0] + 1,)),
    ]
    np.testing.assert_allclose(ours(x).detach().numpy(), y.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert seen == [(5, 4)]
    for h in handles:
        h.remove()
    assert np.abs(ours(x).detach().numpy() - y.detach().numpy()).max() > 1e-3 and len(seen) == 1


def test_a_module_dies_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        m = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Dropout(0.1))
        m(zeros(3, 2)).sum().backward()
        r = weakref.ref(m)
        del m
        assert r() is None
    finally:
        gc.enable()


# Containers and printing


def test_containers() -> None:
    s = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    assert len(s) == 3 and isinstance(s[1], nn.Tanh) and isinstance(s[-1], nn.Linear)
    head = s[:2]
    assert isinstance(head, nn.Sequential) and head[0] is s[0] and head(zeros(4, 2)).shape == (4, 3)
    assert [type(m).__name__ for m in s] == ["Linear", "Tanh", "Linear"]
    d = nn.ModuleDict({"a": nn.Tanh()})
    d["b"] = nn.Linear(1, 1)
    assert list(d) == ["a", "b"] and len(d) == 2 and dict(d.items())["b"] is d["b"]
    assert [n for n, _ in d.named_parameters()] == ["b.weight", "b.bias"]
    with pytest.raises(IndexError):
        s[3]


def test_printing_shows_the_tree() -> None:
    text = repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.LayerNorm(3))))
    assert text.splitlines()[0] == "Sequential(" and "  (0): Linear(2, 3, bias=True)" in text
    assert "    (0): LayerNorm((3,), eps=1e-05)" in text


# Initial values

INITS: dict[str, Any] = {
    "uniform_": {"low": -2.0, "high": 3.0}, "normal_": {"mean": 1.0, "std": 2.0},
    "xavier_uniform_": {"gain": 2.0}, "xavier_normal_": {}, "kaiming_uniform_": {"nonlinearity": "relu"},
    "kaiming_normal_": {"nonlinearity": "relu"},
}  # fmt: skip


@pytest.mark.parametrize("shape", [(200, 300), (40, 30, 5, 5)])
@pytest.mark.parametrize("name", INITS)
def test_initialisers_have_pytorch_s_moments(name: str, shape: tuple[int, ...]) -> None:
    ours, theirs = zeros(*shape), torch.empty(*shape)
    getattr(nn.init, name)(ours, **INITS[name])
    renamed = {{"low": "a", "high": "b"}.get(k, k): v for k, v in INITS[name].items()}
    getattr(tnn.init, name)(theirs, **renamed)
    expected = theirs.std().item()
    assert abs(ours.std().item() - expected) < 0.02 * expected
    assert abs(ours.mean().item() - theirs.mean().item()) < 0.05 * expected
    for end in ("max", "min"):
        ends = getattr(ours, end)().item(), getattr(theirs, end)().item()
        assert abs(ends[0] - ends[1]) < (0.02 if "uniform" in name else 1.5) * expected


def test_orthogonal_constant_and_gain() -> None:
    for shape in [(5, 5), (3, 7), (7, 3), (4, 2, 3)]:
        w = (
            nn.init.orthogonal_(zeros(*shape).double(), gain=2.0)
            .detach()
            .numpy()
            .reshape(shape[0], -1)
        )
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)
    assert (
        nn.init.ones_(zeros(2)).tolist() == [1, 1] and nn.init.constant_(zeros(1), 3.0).item() == 3
    )
    assert nn.init.zeros_(zeros(2) + 1).tolist() == [0, 0]
    for kind in ("linear", "sigmoid", "tanh", "relu", "leaky_relu"):
        assert abs(nn.init.calculate_gain(kind) - tnn.init.calculate_gain(kind, 0.0)) < 1e-12


@pytest.mark.parametrize(
    "name", ["Linear", "Embedding", "LayerNorm", "BatchNorm1d", "MultiheadAttention"]
)
def test_layers_start_as_pytorch_s(name: str) -> None:
    """Same spread of every parameter at the start, same zeros and ones."""
    args = {"Linear": (300, 200), "Embedding": (300, 50), "MultiheadAttention": (64, 4)}.get(
        name, (50,)
    )
    ours, theirs = getattr(nn, name)(*args), getattr(tnn, name)(*args)
    for key, q in theirs.named_parameters():
        p = dict(ours.named_parameters())[key]
        assert abs(p.detach().numpy().std() - q.std().item()) <= 0.1 * q.std().item(), key
        assert abs(p.detach().numpy().mean() - q.mean().item()) <= 0.02 + 0.1 * abs(
            q.mean().item()
        ), key


def test_seeds_make_layers_repeat() -> None:
    from lmbook import manual_seed

    manual_seed(5)
    a = nn.Linear(3, 3)
    manual_seed(5)
    b = nn.Linear(3, 3)
    assert np.array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    assert not np.array_equal(b.weight.detach().numpy(), nn.Linear(3, 3).weight.detach().numpy())
