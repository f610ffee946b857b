"""Checkpoints: what was saved comes back; whole or not at all; nothing is pickled; a run goes on as if
it had not been stopped."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from lmbook import manual_seed, nn, optim
from lmbook.backend import ShapeError, host
from lmbook.training import (
    Trainer,
    load_checkpoint,
    load_tensors,
    save_checkpoint,
    save_tensors,
    trainer,
)

ROOT = Path(__file__).resolve().parents[2]
rng = np.random.default_rng(0)
BATCHES = [(rng.normal(size=(16, 4)).astype("f4"), rng.integers(0, 3, 16)) for _ in range(10)]


def network(seed: int, width: int = 8) -> nn.Module:
    manual_seed(seed)
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3, bias=False)
    )


def state(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: host(value).copy() for name, value in model.state_dict().items()}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "bool", "uint8"])
def test_arrays_come_back_bit_by_bit(tmp_path: Path, dtype: str) -> None:
    x = (np.random.default_rng(1).normal(size=(3, 4, 5)) * 9).astype(dtype)
    odd = {"whole": x, "turned": x.T, "strided": x[:, ::2], "empty": x[:0], "scalar": x[0, 0, 0]}
    path = save_tensors(tmp_path / "x.safetensors", odd, {"name": "µ", "list": [1, None]})
    arrays, metadata = load_tensors(path)
    assert metadata == {"name": "µ", "list": [1, None]}
    for name, value in odd.items():
        assert arrays[name].dtype == value.dtype and arrays[name].shape == value.shape
        np.testing.assert_array_equal(arrays[name], value)


def test_the_file_is_safetensors_without_any_pickle(tmp_path: Path) -> None:
    model = network(0)
    path = save_checkpoint(tmp_path / "a.safetensors", model, optim.Adam(model.parameters()))
    plain = safetensors.numpy.load_file(path)  # the format's own reader takes it
    assert {f"model.{name}" for name in model.state_dict()} <= plain.keys()
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())


def test_pytorch_s_state_goes_through_safetensors(tmp_path: Path) -> None:
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 8),
        torch.nn.BatchNorm1d(8),
        torch.nn.ReLU(),
        torch.nn.Linear(8, 3, bias=False),
    )
    path = tmp_path / "torch.safetensors"
    safetensors.numpy.save_file({k: v.numpy() for k, v in theirs.state_dict().items()}, path)
    model = network(1)
    arrays, metadata = load_tensors(path)
    model.load_state_dict(arrays)
    assert metadata is None
    x = BATCHES[0][0]
    np.testing.assert_allclose(
        host(model.eval()(x).data),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-5,
        atol=1e-6,
    )


OPTIMISERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_run_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path, name: str) -> None:
    def trained(seed: int) -> Trainer:
        model = network(seed)
        return Trainer(model, OPTIMISERS[name](model.parameters()), progress=False)

    straight = trained(0)
    straight.fit(BATCHES)
    first = trained(0)
    first.fit(BATCHES[:4])
    path = save_checkpoint(
        tmp_path / "a.safetensors", first.model, first.optimizer, {"step": first.step}
    )
    second = trained(7)  # other parameters, all replaced
    second.step = load_checkpoint(path, second.model, second.optimizer)["step"]
    second.fit(BATCHES[4:])
    assert second.step == 10 and second.history.steps("loss") == list(range(5, 11))
    assert second.history["loss"] == straight.history["loss"][4:]
    assert_same(state(second.model), state(straight.model))


KILLED = """
import os, signal, sys
import numpy as np
from lmbook.training import save_tensors
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)  # bytes are written, not renamed
save_tensors(sys.argv[1], {"x": np.ones(100_000)})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_killed_in_the_middle_the_old_file_is_whole(tmp_path: Path) -> None:
    path = save_tensors(tmp_path / "a.safetensors", {"x": np.zeros(3)})
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT)
    assert done.returncode == -9
    np.testing.assert_array_equal(load_tensors(path)[0]["x"], np.zeros(3))


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = save_tensors(tmp_path / "a.safetensors", {"x": np.zeros(3)})

    def full(*arguments: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(OSError, match="no space left"):
        save_tensors(path, {"x": np.ones(3)})
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(load_tensors(path)[0]["x"], np.zeros(3))


def saved(tmp_path: Path, model: nn.Module | None = None, **options: Any) -> Path:
    return save_checkpoint(tmp_path / "a.safetensors", model or network(0), **options)


def test_what_does_not_fit_is_named_and_nothing_changes(tmp_path: Path) -> None:
    path = saved(tmp_path)
    wide = network(1, width=9)
    before = state(wide)
    with pytest.raises(ShapeError, match=r"0\.bias has shape \(8,\), the module's \(9,\)"):
        load_checkpoint(path, wide)
    assert_same(before, state(wide))
    other = network(1, width=9)
    sgd = optim.SGD(other.parameters(), lr=0.5, momentum=0.9)
    with pytest.raises(ShapeError):
        load_checkpoint(
            saved(tmp_path, optimizer=optim.SGD(network(0).parameters(), lr=0.1)), other, sgd
        )
    assert sgd.param_groups[0]["lr"] == 0.5  # nor has the optimiser changed
    with pytest.raises(KeyError, match=r"'3\.weight'"):
        load_checkpoint(path, nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)))


def test_an_optimiser_that_does_not_fit_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = network(0)
    adam = optim.Adam(model.parameters())
    Trainer(model, adam, progress=False).fit(BATCHES[:2])
    path = saved(tmp_path, model, optimizer=adam)
    other = network(1)
    before = state(other)
    groups = [{"params": [p]} for p in other.parameters()]
    with pytest.raises(ValueError, match="1 groups given, this optimiser has 5"):
        load_checkpoint(path, other, optim.Adam(groups))
    assert_same(before, state(other))
    with pytest.raises(ValueError, match="has only 2 parameters"):
        load_checkpoint(path, other, optim.Adam(list(other.parameters())[:2]))
    assert_same(before, state(other))


def test_a_checkpoint_without_an_optimiser_says_so(tmp_path: Path) -> None:
    model = network(0)
    with pytest.raises(ValueError, match="holds no optimiser state"):
        load_checkpoint(saved(tmp_path), model, optim.Adam(model.parameters()))


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", b"\x80\x04\x95pickle", "half"])
def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path, damage: Any) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-40] if damage == "half" else damage)
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged or not in safetensors format"):
        load_checkpoint(path, network(0))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    """PyTorch's own format is a pickle that could run code: it is refused, not read."""

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "model.pt"
    torch.save({"x": Trap()}, path)
    with pytest.raises(ValueError, match="not in safetensors format"):
        load_tensors(path)
    assert not (tmp_path / "sprung").exists()


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors: no such file"):
        load_tensors(tmp_path / "none.safetensors")
    path = save_tensors(tmp_path / "plain.safetensors", {"x": np.ones(2)})
    with pytest.raises(ValueError, match="was not written by save_checkpoint; use load_tensors"):
        load_checkpoint(path, network(0))


def test_the_trainer_saves_nothing_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = network(0)
    trainer.Trainer(model, optim.SGD(model.parameters(), lr=0.1), progress=False).fit(BATCHES[:2])
    assert list(tmp_path.iterdir()) == []
