"""Modules that have shapes and no values: counted, refused, filled later, loaded."""

from __future__ import annotations

import copy
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmbook import functional as F
from lmbook import manual_seed, models, nn, ones, optim, tensor
from lmbook.backend import ShapeOnly, ShapeOnlyError
from lmbook.nn.init import materialize, shapes_only

MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(3, 4),
    "embedding": lambda: nn.Embedding(5, 4),
    "positions": lambda: nn.LearnedPositionalEmbedding(8, 4),
    "layer norm": lambda: nn.LayerNorm(4),
    "rms norm": lambda: nn.RMSNorm(4),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "conv": lambda: nn.Conv2d(2, 4, 3),
    "lstm": lambda: nn.LSTM(3, 4, 2),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "encoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 3),
    "experts": lambda: nn.MixtureOfExperts(4, 8, 3, bias_rate=0.1),
    "gpt": lambda: models.GPT(models.GPTConfig(11, 8, 2, 2, 8)),
    "llama": lambda: models.Llama(models.LlamaConfig(11, 8, 12, 2, 2, 1, 16)),
    "transformer": lambda: models.Transformer(models.TransformerConfig(9, 8, 2, 2, 2, 16)),
}


def shaped(make: Callable[[], nn.Module]) -> nn.Module:
    with shapes_only():
        return make()


@pytest.mark.parametrize("name", MODULES)
def test_what_is_known_without_values(name: str) -> None:
    real, empty = MODULES[name](), shaped(MODULES[name])
    ours, theirs = empty.state_dict(), real.state_dict()
    assert [(n, a.shape, a.dtype) for n, a in ours.items()] == [
        (n, a.shape, a.dtype) for n, a in theirs.items()
    ]
    assert empty.num_parameters() == real.num_parameters()
    assert empty.num_bytes() == real.num_bytes()
    assert empty.double().num_bytes() == real.double().num_bytes() > 0
    assert all(type(p.data) is ShapeOnly for p in empty.parameters())


@pytest.mark.parametrize("name", MODULES)
def test_materialised_it_is_what_building_would_have_made(name: str) -> None:
    manual_seed(3)
    want = MODULES[name]().state_dict()
    empty = shaped(MODULES[name])
    manual_seed(3)
    got = materialize(empty).state_dict()
    for key, array in want.items():
        assert got[key].dtype == array.dtype
        np.testing.assert_array_equal(got[key], array, err_msg=key)


def test_gpt_3_takes_no_time_and_no_memory() -> None:
    tracemalloc.start()
    start = time.perf_counter()
    with shapes_only():
        model = models.GPT(models.GPTConfig(50257, 2048, 96, 96, 12288))
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.num_parameters() == 174_604_259_328
    assert model.num_bytes() == 4 * 174_604_259_328
    assert peak < 8e6 and seconds < 5  # seconds: with the tracing of every allocation


LINEAR = shaped(lambda: nn.Linear(3, 4))
USES: dict[str, Callable[[], Any]] = {
    "linear": lambda: LINEAR(ones(2, 3)),
    "matmul": lambda: ones(2, 3) @ LINEAR.weight.mT,
    "add": lambda: LINEAR.weight + 1,
    "mul": lambda: 2.0 * LINEAR.weight,
    "embedding": lambda: shaped(lambda: nn.Embedding(4, 3))(tensor([1])),
    "getitem": lambda: LINEAR.weight[0],
    "rms_norm": lambda: shaped(lambda: nn.RMSNorm(3))(ones(2, 3)),
    "layer_norm": lambda: shaped(lambda: nn.LayerNorm(3))(ones(2, 3)),
    "batch_norm": lambda: shaped(lambda: nn.BatchNorm1d(3))(ones(2, 3)),
    "conv": lambda: shaped(lambda: nn.Conv2d(1, 1, 2))(ones(1, 1, 3, 3)),
    "softmax": lambda: F.softmax(LINEAR.weight),
    "relu": lambda: F.relu(LINEAR.weight),
    "array": lambda: np.asarray(LINEAR.weight.data),
    "multiply": lambda: np.float32(2) * LINEAR.weight.data,
    "zeros_like": lambda: np.zeros_like(LINEAR.weight.data),
    "concatenate": lambda: np.concatenate([LINEAR.weight.data]),
    "setitem": lambda: LINEAR.weight.data.__setitem__(0, 1),
    "item": lambda: tensor(0) + shaped(lambda: nn.Linear(1, 1)).weight,
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_a_value_is_refused(name: str) -> None:
    with pytest.raises(ShapeOnlyError, match=r"shape.*there are no values.*load_state_dict"):
        USES[name]()


def test_an_optimiser_refuses_too() -> None:
    model = shaped(lambda: nn.Linear(3, 4))
    optimizer = optim.AdamW(model.parameters())
    for p in model.parameters():
        p.grad = ones(*p.shape)
    with pytest.raises(ShapeOnlyError, match="materialize"):
        optimizer.step()


def test_it_prints() -> None:
    assert "ShapeOnly(shape=(4, 3), dtype=float32)" in repr(LINEAR.weight)
    assert repr(LINEAR) == "Linear(3, 4, bias=True)"


def test_loading_fills_it() -> None:
    real, empty = nn.Linear(3, 4), shaped(lambda: nn.Linear(3, 4))
    other = copy.deepcopy(empty)
    state = real.state_dict()
    empty.load_state_dict(state)
    assert empty.weight.data is not state["weight"]
    other.load_state_dict(state, assign=True)
    assert other.weight.data is state["weight"]
    x = ones(2, 3)
    for model in (empty, other):
        np.testing.assert_array_equal(model(x).detach().numpy(), real(x).detach().numpy())
    half = shaped(lambda: nn.Linear(3, 4)).to(np.float16)
    half.load_state_dict(state, assign=True)  # its own type stays
    assert half.weight.dtype == np.float16
    with pytest.raises(KeyError, match="bias"):
        shaped(lambda: nn.Linear(3, 4)).load_state_dict({"weight": state["weight"]})


def test_the_block_ends() -> None:
    with pytest.raises(ZeroDivisionError), shapes_only():
        _ = 1 / 0
    assert type(nn.Linear(2, 2).weight.data) is not ShapeOnly
