"""A training loop that every network of the book can use."""

import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor, as_tensor, no_grad
from lmbook.backend import NonFiniteError, require
from lmbook.backend.machine import keep_freed_memory
from lmbook.nn import Module, clip_grad_norm_
from lmbook.optim import Optimizer
from lmbook.training import state
from lmbook.training.early_stopping import EarlyStopping
from lmbook.training.history import History
from lmbook.training.interrupt import Deferred
from lmbook.training.precision import GradScaler, MixedPrecision
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

    `precision` "bfloat16" or "float16" emulates mixed precision (`MixedPrecision`); float16 brings a
    `GradScaler`, unless one is given. `early_stopping` watches the evaluations; at the end of `fit`
    the model has the best weights. `save` and `load` keep everything a run needs to go on exactly.
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
        precision: str = "float32",
        scaler: GradScaler | None = None,
        early_stopping: EarlyStopping | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError(f"Trainer: threads = {threads} must be 1 or more")
        if accumulate < 1:
            raise ValueError(f"Trainer: accumulate = {accumulate} must be 1 batch or more")
        if threads > 1 and (precision != "float32" or scaler is not None):
            raise ValueError("Trainer: mixed precision is emulated in one thread; use threads=1")
        keep_freed_memory()
        self.mixed = MixedPrecision(model, precision) if precision != "float32" else None
        self.scaler = GradScaler() if scaler is None and precision == "float16" else scaler
        self.early_stopping = early_stopping
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
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 100,
    ) -> History:
        """Train over `batches`, `epochs` times, or for `steps` batches if given (starting over as often
        as needed); return the history.

        `evaluate(model)` returns numbers to record, after each epoch or every `evaluate_every` steps.
        With `checkpoint`, a path, the whole run is saved every `checkpoint_every` steps and at the end.
        Ctrl-C takes effect after the step, saves too, and leaves the best weights in the model.
        """
        if self.early_stopping is not None and evaluate is None:
            raise ValueError("Trainer.fit: early stopping watches evaluations; pass evaluate")
        total = steps if steps is not None else _total(batches, epochs)
        whole = True
        with _bar(total, self._show()) as bar, Deferred() as interrupt:
            try:
                taken, epoch = 0, 0
                while taken < steps if steps is not None else epoch < epochs:
                    first = taken
                    for batch in batches:
                        whole = False
                        value = self.train_step(batch)
                        taken += 1
                        bar.update(1)
                        bar.set_postfix(loss=f"{value:.3f}", refresh=False)
                        due = evaluate_every is not None and self.step % evaluate_every == 0
                        stop = evaluate is not None and due and self._evaluate(evaluate)
                        whole = True
                        if checkpoint is not None and self.step % checkpoint_every == 0:
                            self.save(checkpoint, batches)
                        if interrupt.asked:
                            raise KeyboardInterrupt
                        if stop or taken == steps:
                            break
                    if taken == first:
                        raise ValueError("Trainer.fit: there are no batches to train on")
                    epoch += 1
                    if evaluate is not None and evaluate_every is None:
                        stop = self._evaluate(evaluate)
                    if stop:
                        break
            finally:
                if checkpoint is not None and whole:
                    self.save(checkpoint, batches)
                if self.early_stopping is not None:
                    self.early_stopping.restore(self.model)
        return self.history

    def save(self, path: str | Path, batches: Any = None, extra: Any = None) -> Path:
        """Write the whole state of the run, the loader's `batches` included, to one file, atomically."""
        return state.save(self, path, batches, extra)

    def load(self, path: str | Path, batches: Any = None) -> Any:
        """Go on from what `save` wrote; return its `extra`. If a part does not fit, nothing changes."""
        return state.load(self, path, batches)

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
        loss = loss if self.accumulate == 1 else loss / self.accumulate
        if self.scaler is None:
            loss.backward()
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # the scaler looks at what comes out
                self.scaler.scale(loss).backward()
        return value

    def _check(self, value: float) -> None:
        if not math.isfinite(value):
            raise NonFiniteError(
                f"Trainer: the loss is {value} at step {self.step + 1}; lower the learning rate, set "
                "clip_norm, or find the operation with lmbook.autograd.detect_anomaly()"
            )

    def _update(self) -> None:
        finite = self.scaler is None or self.scaler.unscale_(self.optimizer)
        if self.clip_norm is not None and finite:
            norm = clip_grad_norm_(self.model.parameters(), self.clip_norm, error_if_nonfinite=True)
            self.history.add(self.step, grad_norm=norm)
        self.history.add(self.step, lr=self.optimizer.param_groups[0]["lr"])
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.history.add(self.step, loss_scale=self.scaler.get_scale(), skipped=not finite)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.optimizer.zero_grad()
        if self.scheduler is not None and finite:
            self.scheduler.step()

    def _evaluate(self, evaluate: Callable[[Module], dict[str, float]]) -> bool:
        """Record an evaluation; return whether early stopping ends the run."""
        self.model.eval()
        with no_grad():
            figures = evaluate(self.model)
        self.history.add(self.step, **figures)
        self.model.train()
        if self.early_stopping is None:
            return False
        return self.early_stopping.update(self.model, self.step, figures)

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
            right += (logits.data.argmax(axis=1) == target.data).sum().item()
    model.train(was_training)
    return {"loss": loss / len(x), "accuracy": right / len(x)}
