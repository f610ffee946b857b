"""Sharded training: the whole batch's gradient, the same in each run, and clear refusals."""

from __future__ import annotations

import ctypes
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmbook import Tensor, manual_seed, nn, optim
from lmbook import functional as F
from lmbook.backend import MissingDependency, NonFiniteError, ShapeError, host, machine
from lmbook.models import GPT, GPTConfig
from lmbook.training import Trainer
from lmbook.training.shards import Shards, replicate, split

RNG = np.random.default_rng(5)
X = RNG.standard_normal((11, 6)).astype("f4")
Y = RNG.integers(0, 3, 11)
TEXT = RNG.integers(0, 20, (7, 9))


def classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3))


class Normaliser(nn.Module):
    """Batch normalisation after a linear and after a convolution layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm1 = nn.Linear(6, 8), nn.BatchNorm1d(8)
        self.two, self.norm2 = nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.one(x)))
        return self.norm2(self.two(x.reshape(-1, 2, 2, 2))).reshape(-1, 3)


def writer() -> nn.Module:
    return GPT(GPTConfig(vocab_size=20, block_size=8, n_layer=2, n_head=2, n_embd=8))


def next_token(model: nn.Module, index: Tensor, target: Tensor) -> Tensor:
    logits = model(index)
    return F.cross_entropy(logits.reshape(-1, 20), target.reshape(-1))


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(20, 4), nn.LSTM(4, 5, batch_first=True)
        self.out = nn.Linear(5, 20)

    def forward(self, index: Tensor) -> Tensor:
        return self.out(self.lstm(self.embed(index))[0])


CASES: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "classifier": (classifier, {}, (X, Y)),
    "batch normalisation": (Normaliser, {}, (X, Y)),
    "gpt, shared weights": (writer, {"loss": next_token}, (TEXT[:, :-1], TEXT[:, 1:])),
    "lstm": (Reader, {"loss": next_token}, (TEXT[:, :-1], TEXT[:, 1:])),
}


def trained(case: str, steps: int = 4, **options: Any) -> tuple[list[np.ndarray], list[float]]:
    build, more, batch = CASES[case]
    manual_seed(1)
    model = build()
    trainer = Trainer(
        model, optim.Adam(model.parameters(), lr=0.01), progress=False, **more, **options
    )
    history = trainer.fit([batch], steps=steps)
    return [host(p.data).copy() for p in model.parameters()], history["loss"]


def gradients(case: str, threads: int, **options: Any) -> tuple[float, dict[str, np.ndarray]]:
    build, more, batch = CASES[case]
    manual_seed(1)
    model = build()
    trainer = Trainer(
        model, optim.SGD(model.parameters()), progress=False, threads=threads, **more, **options
    )
    loss = trainer.compute_gradients(batch)
    return loss, {n: host(p.grad.data).copy() for n, p in model.named_parameters()}


@pytest.mark.parametrize("threads", [2, 3, 20])
@pytest.mark.parametrize("case", CASES)
def test_shards_give_the_gradient_of_the_whole_batch(case: str, threads: int) -> None:
    loss, whole = gradients(case, 1)
    sharded_loss, parts = gradients(case, threads)
    assert sharded_loss == pytest.approx(loss, rel=1e-6)
    assert whole.keys() == parts.keys()
    for name, g in whole.items():
        np.testing.assert_allclose(parts[name], g, rtol=1e-4, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_runs_are_equal_bit_for_bit(case: str) -> None:
    (first, losses), (second, again) = (trained(case, threads=3) for _ in range(2))
    assert losses == again and losses[-1] < losses[0]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_accumulation_scales_the_shards() -> None:
    _, whole = gradients("classifier", 1)
    _, halves = gradients("classifier", 2, accumulate=2)
    for name, g in whole.items():
        np.testing.assert_allclose(2 * halves[name], g, rtol=1e-4, atol=2e-6)


def test_dropout_draws_anew_in_each_shard_and_repeats_with_the_seed() -> None:
    def run() -> list[np.ndarray]:
        manual_seed(4)
        model = nn.Sequential(nn.Linear(6, 64), nn.Dropout(0.5), nn.Linear(64, 3))
        trainer = Trainer(model, optim.SGD(model.parameters()), progress=False, threads=2)
        same = np.repeat(X[:1], 2, axis=0)  # one example, once in each shard
        seen: list[np.ndarray] = []
        for replica in trainer.shards.models:  # type: ignore[union-attr]
            replica[1].register_forward_hook(lambda m, i, o: seen.append(host(o.data).copy()))
        trainer.train_step((same, Y[[0, 0]]))
        return seen

    one, two = run(), run()
    assert not np.array_equal(one[0] == 0, one[1] == 0)
    key = lambda a: a.tobytes()  # noqa: E731  the shards may finish in either order
    for a, b in zip(sorted(one, key=key), sorted(two, key=key), strict=True):
        np.testing.assert_array_equal(a, b)


def test_replicas_share_weights_and_not_gradients() -> None:
    model = writer()
    model(Tensor(TEXT[:, :-1])).sum().backward()
    before = model.wte.weight.grad
    copy = replicate(model)
    assert model.wte.weight.grad is before
    for (name, a), (other, b) in zip(
        model.named_parameters(), copy.named_parameters(), strict=True
    ):
        assert name == other and a is not b and a.data is b.data and b.grad is None


def test_weights_loaded_later_reach_every_replica() -> None:
    model = classifier()
    shards = Shards(model, 2)
    model.load_state_dict({n: np.zeros_like(a) for n, a in model.state_dict().items()})
    loss = shards.gradients(lambda m, x, y: F.cross_entropy(m(x), y), (Tensor(X), Tensor(Y)))
    assert loss == pytest.approx(np.log(3), rel=1e-6)
    shards.close()


def test_the_batch_is_split_as_evenly_as_can_be() -> None:
    parts = split((Tensor(X), Tensor(Y)), 3)
    assert [len(p[0]) for p in parts] == [4, 3, 4]
    np.testing.assert_array_equal(np.concatenate([host(p[1].data) for p in parts]), Y)
    assert len(split((Tensor(X[:2]),), 5)) == 2
    with pytest.raises(ShapeError, match=r"first axis.*\(11, 6\), \(3,\).*threads=1"):
        split((Tensor(X), Tensor(Y[:3])), 2)


def test_batch_normalisation_keeps_the_moments_of_whole_batches() -> None:
    found = []
    for threads in (1, 3):
        manual_seed(1)
        model = Normaliser()
        trainer = Trainer(
            model, optim.SGD(model.parameters(), lr=0.1), progress=False, threads=threads
        )
        trainer.fit([(X, Y)], steps=3)
        found.append({n: host(a) for n, a in model.state_dict().items()})
    assert found[0]["norm1.num_batches_tracked"] == found[1]["norm1.num_batches_tracked"] == 3
    for name, array in found[0].items():
        np.testing.assert_allclose(found[1][name], array, rtol=1e-4, atol=2e-6, err_msg=name)
    # one example in each shard has no variance of its own
    trainer.compute_gradients((X[:3], Y[:3]))
    with pytest.raises(ShapeError, match="one value per channel"):
        trainer.compute_gradients((X[:1], Y[:1]))


def test_shards_that_do_not_normalise_equally_often_end_with_an_error() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    often = itertools.count(1)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        for _ in range(next(often)):
            x = x + 0 * model(x).sum()
        return x.mean()

    trainer = Trainer(model, optim.SGD(model.parameters()), loss, progress=False, threads=2)
    with pytest.raises(RuntimeError, match="call every BatchNorm for every example"):
        trainer.compute_gradients((X, Y))

    def fails(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        if len(x) == 5:
            raise KeyError("mine")
        return model(x).mean()

    trainer = Trainer(model, optim.SGD(model.parameters()), fails, progress=False, threads=2)
    with pytest.raises(KeyError, match="mine"):
        trainer.compute_gradients((X, Y))


def test_threads_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="threads = 0"):
        Trainer(classifier(), optim.SGD(classifier().parameters()), threads=0)


def test_an_error_in_a_shard_is_the_caller_s() -> None:
    model = classifier()
    trainer = Trainer(model, optim.SGD(model.parameters()), progress=False, threads=2)
    before = machine._blas()[0]() if machine._blas() else 0
    with pytest.raises(ShapeError, match="linear"):
        trainer.train_step((X[:, :5], Y))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="loss is nan at step 1"):
        trainer.train_step((np.full_like(X, np.nan), Y))
    assert not machine._blas() or machine._blas()[0]() == before


def test_blas_is_limited_inside_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"threads": 7}
    fake = (lambda: state["threads"], lambda n: state.update(threads=n))
    monkeypatch.setattr(machine, "_blas", lambda: fake)
    with pytest.raises(KeyError), machine.blas_threads(1):
        assert state["threads"] == 1
        raise KeyError
    assert state["threads"] == 7
    monkeypatch.setattr(machine, "_blas", lambda: None)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with (
        pytest.raises(MissingDependency, match="pip install threadpoolctl"),
        machine.blas_threads(1),
    ):
        pass


def test_numpy_s_own_blas_is_found() -> None:
    """The wheels bring OpenBLAS; what was set is what the library tells."""
    found = machine._blas()
    if found is None:
        pytest.skip("this NumPy was built against a BLAS that cannot be told")
    with machine.blas_threads(1):
        assert found[0]() == 1


def test_freed_memory_is_kept_only_once_a_trainer_is_made() -> None:
    code = (
        "import lmbook.backend.machine as m\n"
        "assert m.keep_freed_memory.cache_info().currsize == 0\n"
        "from lmbook import nn, optim\nfrom lmbook.training import Trainer\n"
        "model = nn.Linear(2, 2)\nTrainer(model, optim.SGD(model.parameters()))\n"
        "assert m.keep_freed_memory.cache_info().currsize == 1\n"
        "print(m.keep_freed_memory())\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    glibc = sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")
    assert done.stdout.strip() == str(glibc)
