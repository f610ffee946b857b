"""A training loop that every network of the book can use."""

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.backend import NonFiniteError, require
from lmbook.backend.machine import keep_freed_memory
from lmbook.nn import Module, clip_grad_norm_
from lmbook.optim import Optimizer
from lmbook.training.history import History
from lmbook.training.shards import Shards

Batch = tuple[Tensor, ...]


def classification_loss(model: Module, *batch: Tensor) -> Tensor:
    """Cross-entropy of model(x) against y, for a batch (x, y)."""
    x, y = batch
    return F.cross_entropy(model(x), y)


class Trainer:
    """Runs forward, backward and update over batches, and records what happened.

    `loss(model, *batch)` returns the scalar to minimise; by default the cross-entropy of a classifier.
    A `scheduler` steps after every update, `clip_norm` limits the gradient's norm, `accumulate` sums
    gradients over so many batches before an update. Progress is shown in a terminal or a live
    notebook, unless `progress` is False or the environment variable LMBOOK_LIVE is 0.

    With `threads` above 1 the batch is divided among so many threads (data parallelism): each takes
    its examples through a replica of the model, and the gradients are added. The loss must then be a
    mean over the examples and use the model that it is given. Steps of a few ms gain nothing.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Callable[..., Tensor] = classification_loss,
        scheduler: Any = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        progress: bool | None = None,
        threads: int = 1,
    ) -> None:
        if threads < 1:
            raise ValueError(f"Trainer: threads = {threads} must be 1 or more")
        keep_freed_memory()
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.shards = Shards(model, threads) if threads > 1 else None
        self.scheduler, self.clip_norm, self.accumulate = scheduler, clip_norm, accumulate
        self.progress = progress
        self.history = History()
        self.step = 0

    def fit(
        self,
        batches: Iterable[Any],
        epochs: int = 1,
        steps: int | None = None,
        evaluate: Callable[[Module], dict[str, float]] | None = None,
        evaluate_every: int | None = None,
    ) -> History:
        """Train over `batches`, `epochs` times, or for `steps` updates if given (starting over as often
        as needed); return the history.

        `evaluate(model)` returns numbers to record, after each epoch or every `evaluate_every` steps.
        """
        total = steps if steps is not None else _total(batches, epochs)
        with _bar(total, self._show()) as bar:
            for epoch, batch in self._stream(batches, epochs, steps):
                value = self.train_step(batch)
                bar.update(1)
                bar.set_postfix(loss=f"{value:.3f}", refresh=False)
                due = self.step % evaluate_every == 0 if evaluate_every else epoch
                if evaluate is not None and due:
                    self._evaluate(evaluate)
        return self.history

    def _stream(
        self, batches: Iterable[Any], epochs: int, steps: int | None
    ) -> Iterator[tuple[bool, Any]]:
        """Batches, each with whether it ends an epoch (or the run)."""
        taken, epoch = 0, 0
        while (steps is None and epoch < epochs) or (steps is not None and taken < steps):
            held: Any = None
            empty = True
            for batch in batches:
                if not empty:
                    yield False, held
                    taken += 1
                    if steps is not None and taken == steps:
                        return
                held, empty = batch, False
                if steps is not None and taken + 1 == steps:
                    break
            if empty:
                raise ValueError("Trainer.fit: there are no batches to train on")
            yield True, held
            taken += 1
            epoch += 1

    def train_step(self, batch: Any) -> float:
        """One batch: loss, gradient and, every `accumulate` batches, an update; return the loss."""
        self.model.train()
        value = self.compute_gradients(batch)
        self.step += 1
        if self.step % self.accumulate == 0:
            self._update()
        self.history.add(self.step, loss=value)
        return value

    def compute_gradients(self, batch: Any) -> float:
        """Add the gradient of the batch's loss to the parameters; return the loss."""
        inputs = as_batch(batch)
        if self.shards is not None:
            value = self.shards.gradients(self.loss, inputs, 1 / self.accumulate)
            self._check(value)
            return value
        loss = self.loss(self.model, *inputs)
        value = loss.item()
        self._check(value)
        (loss if self.accumulate == 1 else loss / self.accumulate).backward()
        return value

    def _check(self, value: float) -> None:
        if not math.isfinite(value):
            raise NonFiniteError(
                f"Trainer: the loss is {value} at step {self.step + 1}; lower the learning rate, set "
                "clip_norm, or find the operation with lmbook.autograd.detect_anomaly()"
            )

    def _update(self) -> None:
        if self.clip_norm is not None:
            norm = clip_grad_norm_(self.model.parameters(), self.clip_norm, error_if_nonfinite=True)
            self.history.add(self.step, grad_norm=norm)
        self.history.add(self.step, lr=self.optimizer.param_groups[0]["lr"])
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.scheduler is not None:
            self.scheduler.step()

    def _evaluate(self, evaluate: Callable[[Module], dict[str, float]]) -> None:
        self.model.eval()
        with no_grad():
            self.history.add(self.step, **evaluate(self.model))
        self.model.train()

    def _show(self) -> bool:
        if self.progress is not None:
            return self.progress
        live = "ipykernel" in sys.modules or sys.stderr.isatty()
        return live and os.environ.get("LMBOOK_LIVE") != "0"


def as_batch(batch: Any) -> Batch:
    """A batch as a tuple of tensors."""
    return tuple(as_tensor(x) for x in (batch if isinstance(batch, tuple | list) else (batch,)))


def _total(batches: Iterable[Any], epochs: int) -> int | None:
    try:
        return len(batches) * epochs  # type: ignore[arg-type]
    except TypeError:
        return None


def _bar(total: int | None, show: bool) -> Any:
    tqdm = require("tqdm.auto" if show else "tqdm", "book", "the Trainer's progress bar")
    return tqdm.tqdm(total=total, disable=not show, leave=False, unit="step")


def evaluate(
    model: Module, x: np.ndarray, y: np.ndarray, batch_size: int = 500
) -> dict[str, float]:
    """Mean cross-entropy and accuracy of a classifier on arrays x and y."""
    was_training = model.training
    model.eval()
    loss, right = 0.0, 0
    with no_grad():
        for i in range(0, len(x), batch_size):
            logits = model(as_tensor(x[i : i + batch_size]))
            target = as_tensor(y[i : i + batch_size])
            loss += F.cross_entropy(logits, target, reduction="sum").item()
            right += int((logits.data.argmax(axis=1) == target.data).sum())
    model.train(was_training)
    return {"loss": loss / len(x), "accuracy": right / len(x)}
