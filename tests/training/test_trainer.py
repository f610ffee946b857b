"""The Trainer: it fits, records, clips, accumulates, evaluates, stays quiet, and stops at a NaN."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from lmbook import Tensor, as_tensor, manual_seed, nn, optim
from lmbook.backend import NonFiniteError, host
from lmbook.training import History, Trainer, evaluate
from lmbook.training.trainer import as_batch


def clouds(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points in the plane and their numbers."""
    rng = np.random.default_rng(3)
    y = np.arange(n) % 3
    centres = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0]])
    return (centres[y] + rng.normal(size=(n, 2))).astype(np.float32), y


X, Y = clouds()
BATCHES = [(X[i : i + 30], Y[i : i + 30]) for i in range(0, 90, 30)]


def made(**options: Any) -> Trainer:
    manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    options = {"optimizer": optim.SGD(model.parameters(), lr=0.2), "progress": False} | options
    return Trainer(model, **options)


def values(trainer: Trainer) -> list[np.ndarray]:
    return [host(p.data).copy() for p in trainer.model.parameters()]


def test_it_fits() -> None:
    trainer = made()
    before = evaluate(trainer.model, X, Y)
    history = trainer.fit(BATCHES, epochs=30)
    after = evaluate(trainer.model, X, Y)
    assert after["accuracy"] > 0.95 and after["loss"] < 0.2 < before["loss"]
    assert len(history["loss"]) == trainer.step == 90 and history.steps("loss") == list(
        range(1, 91)
    )
    assert history["lr"] == [0.2] * 90


def test_one_step_is_forward_backward_update() -> None:
    trainer, by_hand = made(), made()
    loss = trainer.train_step(BATCHES[0])
    logits = by_hand.model(as_tensor(X[:30]))
    want = nn.CrossEntropyLoss()(logits, as_tensor(Y[:30]))
    want.backward()
    by_hand.optimizer.step()
    assert loss == pytest.approx(want.item(), rel=1e-6)
    for a, b in zip(values(trainer), values(by_hand), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(p.grad is None or not p.grad.data.any().item() for p in trainer.model.parameters())


@pytest.mark.parametrize(
    ("epochs", "steps", "taken"), [(2, None, 6), (1, 7, 7), (5, 2, 2), (1, 3, 3)]
)
def test_epochs_or_steps(epochs: int, steps: int | None, taken: int) -> None:
    trainer = made()
    trainer.fit(BATCHES, epochs=epochs, steps=steps)
    assert trainer.step == taken


def test_batches_may_be_a_generator() -> None:
    trainer = made()
    trainer.fit((batch for batch in BATCHES), epochs=1)
    assert trainer.step == 3


def test_no_batches_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match=r"Trainer\.fit: there are no batches"):
        made().fit([])
    used = iter(BATCHES)
    with pytest.raises(ValueError, match="no batches"):
        made().fit(used, epochs=2)  # a generator is spent after one epoch


def test_evaluation_after_each_epoch_or_every_few_steps() -> None:
    trainer = made()
    modes: list[bool] = []

    def score(model: nn.Module) -> dict[str, float]:
        modes.append(model.training)
        return {"accuracy": evaluate(model, X, Y)["accuracy"]}

    trainer.fit(BATCHES, epochs=2, evaluate=score)
    assert trainer.history.steps("accuracy") == [3, 6] and modes == [False, False]
    assert trainer.model.training
    trainer = made()
    trainer.fit(BATCHES, epochs=2, evaluate=score, evaluate_every=2)
    assert trainer.history.steps("accuracy") == [2, 4, 6]


def test_evaluation_takes_batches_of_any_size_and_restores_the_mode() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.9))
    whole, parts = evaluate(model, X, Y), evaluate(model, X, Y, batch_size=7)
    assert whole["accuracy"] == parts["accuracy"]
    assert whole["loss"] == pytest.approx(parts["loss"], rel=1e-5)
    assert model.training and evaluate(model.eval(), X, Y) and not model.training


def test_a_scheduler_steps_after_every_update() -> None:
    trainer = made()
    trainer.scheduler = optim.lr_scheduler.StepLR(trainer.optimizer, step_size=2, gamma=0.5)
    trainer.fit(BATCHES, steps=5)
    assert trainer.history["lr"] == [0.2, 0.2, 0.1, 0.1, 0.05]


def test_accumulated_gradients_are_those_of_the_large_batch() -> None:
    small, large = made(accumulate=3), made()
    small.fit(BATCHES, epochs=1)
    large.train_step((X, Y))
    for a, b in zip(values(small), values(large), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert small.history.steps("lr") == [3]


def test_clipping_limits_and_records_the_norm() -> None:
    trainer = made(clip_norm=0.01)
    before = values(trainer)
    trainer.train_step(BATCHES[0])
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(before, values(trainer))))
    assert moved == pytest.approx(0.2 * 0.01, rel=1e-3)
    assert trainer.history.last("grad_norm") > 0.01  # as it was before clipping


def test_any_loss_of_any_batch() -> None:
    manual_seed(0)
    model = nn.Linear(2, 2)

    def reconstruction(model: nn.Module, x: Tensor) -> Tensor:
        return (model(x) - x).square().mean()

    trainer = Trainer(
        model, optim.Adam(model.parameters(), lr=0.05), reconstruction, progress=False
    )
    trainer.fit([X[:30], X[30:60]], steps=200)
    assert trainer.history.last("loss") < 1e-2 < trainer.history["loss"][0]
    assert [type(t) for t in as_batch([X, Y])] == [Tensor, Tensor]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run(bad: float) -> None:
    trainer = made()
    poisoned = (np.full_like(X[:30], bad), Y[:30])
    before = None
    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteError, match=r"loss is nan at step 3; lower the learning rate"),
    ):
        for i, batch in enumerate([*BATCHES[:2], poisoned]):
            before = values(trainer) if i == 2 else None
            trainer.fit([batch])
    for a, b in zip(before or [], values(trainer), strict=True):
        np.testing.assert_array_equal(a, b)  # the model is as it was
    assert trainer.step == 2 and len(trainer.history["loss"]) == 2


def test_a_gradient_that_is_not_finite_stops_the_run_when_it_is_clipped() -> None:
    def steep(model: nn.Module, x: Tensor) -> Tensor:
        return (model(x) * 0).abs().sqrt().sum()  # 0, with an infinite derivative

    trainer = made(loss=steep, clip_norm=1.0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteError, match="clip_grad_norm_"),
    ):
        trainer.train_step(X[:3])


def test_the_progress_bar_shows_only_where_somebody_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    made(progress=None).fit(BATCHES)  # the standard error is no terminal here
    made(progress=False).fit(BATCHES)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    trainer = made(progress=None)
    monkeypatch.setenv("LMBOOK_LIVE", "0")
    assert not trainer._show()
    monkeypatch.delenv("LMBOOK_LIVE")
    assert trainer._show()


def test_history() -> None:
    history = History()
    for step, loss in enumerate([3.0, 1.0, 2.0], 1):
        history.add(step, loss=loss)
    history.add(2, accuracy=0.5)
    assert history["loss"] == [3, 1, 2] and history.last("loss") == 2
    assert history.best("loss") == (2, 1.0) and history.best("loss", largest=True) == (1, 3.0)
    assert "loss" in history and "lr" not in history and history.names == ["loss", "accuracy"]
    again = History.from_json(history.to_json())
    assert again["loss"] == history["loss"] and again.steps("accuracy") == [2]
    assert repr(history) == "History(loss 2, accuracy 0.5)"
    with pytest.raises(KeyError, match=r"no 'lr'; it has \['accuracy', 'loss'\]"):
        history["lr"]


def test_no_batch_is_drawn_before_the_step_on_the_one_before() -> None:
    """A loader that was asked ahead would be one place further than the weights in every checkpoint."""
    trainer, drawn = made(), []

    def batches() -> Any:
        for i in range(6):
            drawn.append((i, trainer.step))
            yield BATCHES[i % 3]

    trainer.fit(batches(), steps=4)
    assert drawn == [(i, i) for i in range(4)]
