"""Configs, runs in folders, early stopping, Ctrl-C, the learning-rate finder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmbook import Tensor, as_tensor, manual_seed, nn, optim
from lmbook import functional as F
from lmbook.backend import default_generator, host
from lmbook.data import DataError, DataLoader, TensorDataset
from lmbook.models import GPT, GPTConfig
from lmbook.training import (
    Config,
    EarlyStopping,
    Trainer,
    TrainingConfig,
    choice,
    decay_groups,
    find_lr,
    make_trainer,
    number,
    run,
)

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(2)
X = RNG.normal(size=(60, 3)).astype("f4")
Y = (X[:, 0] + 0.3 * RNG.normal(size=60) > 0).astype(int)


def network(seed: int = 0) -> nn.Module:
    manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))


def loader() -> DataLoader:
    return DataLoader(TensorDataset(X[:40], Y[:40]), 8, shuffle=True, generator=1)


def figures(model: nn.Module) -> dict[str, float]:
    return {"validation": F.cross_entropy(model(Tensor(X[40:])), as_tensor(Y[40:])).item()}


# Configs


def test_a_config_comes_back_from_its_file(tmp_path: Path) -> None:
    config = TrainingConfig(steps=20, lr=1, betas=(0.8, 0.9), patience=3, clip_norm=None)
    path = config.save(tmp_path / "config.json")
    again = TrainingConfig.load(path)
    assert again == config and again.lr == 1.0 and isinstance(again.lr, float)
    assert again.betas == (0.8, 0.9) and again.clip_norm is None


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"lr": -1}, ValueError, r"lr = -1.0 must be above 0 and at most 10"),
        ({"lr": "fast"}, TypeError, r"lr = 'fast' is of type str, wanted float"),
        ({"lr": True}, TypeError, "lr = True is of type bool"),
        ({"lr": float("nan")}, ValueError, "lr = nan must be"),
        ({"steps": 2.5}, TypeError, "steps = 2.5 is of type float, wanted int"),
        ({"steps": True}, TypeError, "steps = True"),
        ({"steps": 0}, ValueError, "steps = 0 must be at least 1"),
        ({"optimizer": "adamz"}, ValueError, r"'adamz' is none of \['adamw', 'sgd'\]"),
        ({"precision": None}, TypeError, "precision = None"),
        ({"betas": [0.9, 1.5]}, ValueError, r"betas = \(0.9, 1.5\) must be at least 0 and at most 1"),
        ({"betas": [0.9]}, TypeError, r"betas = \[0.9\] is of type list, wanted tuple"),
        ({"clip_norm": "no"}, TypeError, "wanted float \\| None"),
        ({"patience": 0}, ValueError, "patience = 0 must be at least 1"),
        ({"steps": 10, "accumulate": 3}, ValueError, "10 must be a multiple of accumulate 3"),
        ({"steps": 10, "warmup": 10}, ValueError, "warmup 10 must be below the number of updates"),
        ({"stepps": 10, "rate": 1}, ValueError, r"unknown settings \['rate', 'stepps'\]; the settings"),
        ([1], ValueError, "want names and values, got list"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(values: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        TrainingConfig.from_dict(values)


def test_errors_of_a_config_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    with pytest.raises(FileNotFoundError, match=r"TrainingConfig .*c\.json: no such file"):
        TrainingConfig.load(path)
    path.write_text('{"steps": 5, "speed": 3}')
    with pytest.raises(ValueError, match=r"c\.json: .*unknown settings \['speed'\]"):
        TrainingConfig.load(path)
    path.write_text("{steps")
    with pytest.raises(DataError, match=r"c\.json: .*not JSON"):
        TrainingConfig.load(path)


def test_configs_of_one_s_own() -> None:
    @dataclass(frozen=True)
    class Mine(Config):
        width: int = number(64, low=1)
        kind: str = choice("gelu", "gelu", "relu")
        note: str | None = None

    assert Mine(width=3).to_dict() == {"width": 3, "kind": "gelu", "note": None}
    with pytest.raises(ValueError, match="Mine: width = 0 must be at least 1"):
        Mine(width=0)


# Runs


def test_a_run_leaves_its_config_checkpoint_and_history(tmp_path: Path) -> None:
    config = TrainingConfig(steps=30, lr=0.01, warmup=3, evaluate_every=10)
    trainer = run(tmp_path / "a", network(), loader(), config, evaluate=figures)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["checkpoint.safetensors", "config.json", "history.json"]
    assert trainer.step == 30 and len(trainer.history["validation"]) == 3
    assert trainer.history["lr"][0] == pytest.approx(0.01 / 4)
    done = run(tmp_path / "a", network(5), loader(), config, evaluate=figures)
    assert done.step == 30 and len(done.history["loss"]) == 30  # nothing is trained again
    for a, b in zip(done.model.parameters(), trainer.model.parameters(), strict=True):
        np.testing.assert_array_equal(host(a.data), host(b.data))


def test_a_folder_keeps_to_its_config(tmp_path: Path) -> None:
    run(tmp_path, network(), loader(), TrainingConfig(steps=5))
    with pytest.raises(ValueError, match=r"lr 0.001 there, 0.1 here; seed 0 there, 1 here"):
        run(tmp_path, network(), loader(), TrainingConfig(steps=5, lr=0.1, seed=1))
    with pytest.raises(TypeError, match="list cannot say where it stands"):
        run(tmp_path / "b", network(), [(X, Y)], TrainingConfig(steps=5))


def test_which_weights_decay() -> None:
    model = GPT(GPTConfig(vocab_size=7, block_size=4, n_layer=1, n_head=1, n_embd=4))
    decay, keep = decay_groups(model, 0.1)
    assert decay["weight_decay"] == 0.1 and keep["weight_decay"] == 0
    kept = {id(p) for p in keep["params"]}
    names = {n for n, p in model.named_parameters() if id(p) in kept}
    assert all(n.endswith("bias") or "ln_" in n for n in names)
    assert len(decay["params"]) + len(keep["params"]) == len(list(model.parameters()))
    trainer = make_trainer(nn.Linear(2, 2, bias=False), TrainingConfig(optimizer="sgd"))
    assert isinstance(trainer.optimizer, optim.SGD) and len(trainer.optimizer.param_groups) == 1


# Early stopping


def watched(values: list[float], **options: Any) -> tuple[EarlyStopping, list[bool]]:
    model, stopping = nn.Linear(1, 1), EarlyStopping("v", **options)
    answers = []
    for step, v in enumerate(values, 1):
        model.weight.data[...] = step
        answers.append(stopping.update(model, step, {"v": v}))
    stopping.restore(model)
    assert model.weight.data[0, 0].item() == (stopping.best_step or len(values))
    return stopping, answers


def test_patience_is_counted_from_the_best() -> None:
    stopping, answers = watched([3, 2, 2.5, 1, 1.5, 1.2, 1.1], patience=3)
    assert answers == [False] * 6 + [True] and stopping.stopped
    assert (stopping.best_step, stopping.best_value) == (4, 1)
    stopping, _ = watched([3, 2.95, 2.9, 2.5], patience=9, min_delta=0.2)
    assert stopping.best_step == 4
    stopping, _ = watched([0.1, 0.9, 0.3], patience=9, largest=True)
    assert stopping.best_step == 2


def test_nan_is_no_improvement() -> None:
    stopping, answers = watched([np.nan, 2.0, np.nan, np.nan], patience=2)
    assert answers == [False, False, False, True] and stopping.best_step == 2
    stopping, answers = watched([np.nan, np.nan], patience=2)
    assert answers[-1] and not stopping.best_state


def test_a_run_stops_early_and_has_the_best_weights(tmp_path: Path) -> None:
    """Labels without any meaning: the validation loss only rises."""
    noise = RNG.integers(0, 2, 40)
    manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 2))
    stopping = EarlyStopping("validation", patience=4)
    trainer = Trainer(
        model, optim.Adam(model.parameters(), lr=0.05), early_stopping=stopping, progress=False
    )
    batches = [(X[:40], noise)]
    trainer.fit(batches, epochs=500, evaluate=figures)
    assert trainer.step == stopping.best_step + 4 < 500
    best = trainer.history.best("validation")
    assert best == (stopping.best_step, stopping.best_value)
    assert figures(model.eval())["validation"] == pytest.approx(best[1], rel=1e-6)


def test_early_stopping_s_errors() -> None:
    with pytest.raises(ValueError, match="patience = 0"):
        EarlyStopping("v", 0)
    with pytest.raises(ValueError, match="min_delta = -1"):
        EarlyStopping("v", 1, min_delta=-1)
    with pytest.raises(KeyError, match=r"gives \['accuracy'\], not 'v'; return it"):
        EarlyStopping("v", 1).update(nn.Linear(1, 1), 1, {"accuracy": 1.0})
    model = network()
    trainer = Trainer(
        model, optim.SGD(model.parameters(), lr=0.1), early_stopping=EarlyStopping("v", 1),
        progress=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match="early stopping watches evaluations; pass evaluate"):
        trainer.fit(loader())
    with pytest.raises(ValueError, match="accumulate = 0"):
        Trainer(model, trainer.optimizer, accumulate=0)


# Ctrl-C


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill is no Ctrl-C there")
def test_ctrl_c_waits_for_the_step_and_keeps_the_best(tmp_path: Path) -> None:
    model = network()
    stopping = EarlyStopping("validation", patience=100)
    trainer = Trainer(
        model, optim.Adam(model.parameters(), lr=0.05), early_stopping=stopping, progress=False
    )
    step, seen = trainer.train_step, []

    def interrupted(batch: Any) -> float:
        if trainer.step == 17:
            os.kill(os.getpid(), signal.SIGINT)
        value = step(batch)  # ...and goes on to its end
        seen.append(trainer.step)
        return value

    trainer.train_step = interrupted  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(
            loader(), steps=100, evaluate=figures, evaluate_every=5, checkpoint=tmp_path / "a"
        )
    assert seen[-1] == 18 and signal.getsignal(signal.SIGINT) is before
    best = stopping.best_state["0.weight"]
    np.testing.assert_array_equal(host(model[0].weight.data), host(best))
    again = Trainer(
        network(4),
        optim.Adam(network(4).parameters()),
        early_stopping=EarlyStopping("validation", 9),
    )
    again.optimizer = optim.Adam(again.model.parameters())
    again.load(tmp_path / "a", loader())
    assert again.step == 18


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill is no Ctrl-C there")
def test_a_second_ctrl_c_interrupts_at_once(tmp_path: Path) -> None:
    """...and then nothing is saved, since a weight may be half updated."""
    model = network()
    trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1), progress=False)

    def hang(batch: Any) -> float:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    trainer.train_step = hang  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(loader(), steps=3, checkpoint=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_training_in_another_thread_leaves_signals_alone() -> None:
    trainer = Trainer(model := network(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    worker = threading.Thread(target=lambda: trainer.fit(loader(), steps=3))
    worker.start()
    worker.join()
    assert trainer.step == 3


def test_a_run_in_a_script_ends_by_ctrl_c_with_a_checkpoint(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("send_signal is no Ctrl-C there")
    code = (
        "import sys, numpy as np\n"
        "from lmbook import nn\nfrom lmbook.data import DataLoader, TensorDataset\n"
        "from lmbook.training import TrainingConfig, run\n"
        "rows = TensorDataset(np.ones((8, 3), 'f4'), np.zeros(8, int))\n"
        "class Loud(nn.Linear):\n"
        "    def forward(self, x):\n        print('step', flush=True)\n        return super().forward(x)\n"
        "run(sys.argv[1], Loud(3, 2), DataLoader(rows, 2), TrainingConfig(steps=10**6), progress=False)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "step\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert "KeyboardInterrupt" in errors and (tmp_path / "checkpoint.safetensors").exists()


# The learning-rate finder


def test_the_range_test_finds_the_border_of_a_parabola() -> None:
    """x^2 with SGD diverges above rate 1; the loss is least some way below."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data[...] = 1.0
    test = find_lr(
        model, optim.SGD(model.parameters(), lr=0.3), [np.ones((1, 1), "f4")],
        lambda m, x: m(x).square().sum(), low=1e-4, high=100, steps=200, smoothing=0.0,
    )  # fmt: skip
    assert test.diverged and 1 < test.rates[-1] < 3
    assert test.suggestion == test.lowest / 10 and test.steepest < test.lowest < 1.2
    assert len(test.rates) == len(test.losses) == len(test.smoothed)


def test_the_range_test_leaves_no_trace() -> None:
    manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    trainer = Trainer(model, optimizer, progress=False)
    trainer.fit(loader(), steps=3)
    twin_state = {n: a.copy() for n, a in model.state_dict().items()}
    moments = {i: e["exp_avg"].copy() for i, e in optimizer.state_dict()["state"].items()}
    draws = default_generator().bit_generator.state
    test = find_lr(model, optimizer, loader(), low=1e-5, high=1e3, steps=60)
    assert len(test.rates) > 20
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(host(array), host(twin_state[name]))
    for i, e in optimizer.state_dict()["state"].items():
        np.testing.assert_array_equal(host(e["exp_avg"]), host(moments[i]))
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert default_generator().bit_generator.state == draws and model.training


def test_the_range_test_s_errors() -> None:
    model = network()
    sgd = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"low 1 and high 0\.1 must be rates in order"):
        find_lr(model, sgd, loader(), low=1, high=0.1)
    with pytest.raises(ValueError, match="no batches left"):
        find_lr(model, sgd, [])
    bad = [(np.full((4, 3), np.nan, "f4"), np.zeros(4, int))]
    assert find_lr(model, sgd, bad).diverged


# Regularisation by numbers


def test_accumulation_equals_one_big_batch_in_float64() -> None:
    def gradient(parts: int) -> np.ndarray:
        model = network().double()
        trainer = Trainer(
            model, optim.SGD(model.parameters(), lr=0.0), accumulate=parts, progress=False
        )
        trainer._update = lambda: None  # type: ignore[method-assign]
        for x, y in zip(np.split(X.astype("f8"), parts), np.split(Y, parts)):
            trainer.train_step((x, y))
        return np.concatenate([host(p.grad.data).ravel() for p in model.parameters()])

    np.testing.assert_allclose(gradient(6), gradient(1), rtol=1e-12, atol=1e-15)
