"""One run from a config: made, logged in a folder, and continued there after an interruption."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmbook.autograd import Tensor
from lmbook.data.atomic import write_json
from lmbook.nn import Module
from lmbook.optim import SGD, AdamW, Optimizer
from lmbook.optim.lr_scheduler import WarmupCosineLR
from lmbook.training.config import TrainingConfig
from lmbook.training.early_stopping import EarlyStopping
from lmbook.training.trainer import Trainer, classification_loss


def decay_groups(model: Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimiser: weights of two axes and more, which decay, and the rest, which do not.

    Biases and the scales of norms have no direction to spare: pulling them to 0 changes what a layer
    says, not how loudly.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: Module, config: TrainingConfig) -> Optimizer:
    """The optimiser that the config names."""
    groups = decay_groups(model, config.weight_decay)
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum)
    return AdamW(groups, lr=config.lr, betas=config.betas)


def make_trainer(
    model: Module,
    config: TrainingConfig,
    loss: Callable[..., Tensor] = classification_loss,
    progress: bool | None = None,
) -> Trainer:
    """Optimiser, schedule, precision and early stopping, as the config says."""
    optimizer = make_optimizer(model, config)
    updates = config.steps // config.accumulate
    schedule = WarmupCosineLR(optimizer, total=updates, warmup=config.warmup, final=config.final_lr)
    stopping = EarlyStopping(config.monitor, config.patience) if config.patience else None
    return Trainer(
        model, optimizer, loss, schedule, config.clip_norm, config.accumulate, progress,
        config.threads, config.precision, early_stopping=stopping,
    )  # fmt: skip


def run(
    folder: str | Path,
    model: Module,
    batches: Any,
    config: TrainingConfig,
    loss: Callable[..., Tensor] = classification_loss,
    evaluate: Callable[[Module], dict[str, float]] | None = None,
    progress: bool | None = None,
) -> Trainer:
    """Train as `config` says, in `folder`: config.json, checkpoint.safetensors, history.json.

    If the folder holds a checkpoint, the run goes on from it and ends with the bits it would have
    had without the interruption. `batches` needs `state_dict` and `load_state_dict` for that, as
    the loaders of `lmbook.data` have; the model is made beforehand, after `manual_seed(config.seed)`.
    A folder that holds a run of another config is refused.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    logged, checkpoint = folder / "config.json", folder / "checkpoint.safetensors"
    if not hasattr(batches, "state_dict"):
        raise TypeError(
            f"run: {type(batches).__name__} cannot say where it stands, so that no run could go on; "
            "use a loader of lmbook.data, or Trainer.fit"
        )
    if logged.exists():
        _same(TrainingConfig.load(logged), config, folder)
    else:
        config.save(logged)
    trainer = make_trainer(model, config, loss, progress)
    if checkpoint.exists():
        trainer.load(checkpoint, batches)
    stopped = trainer.early_stopping is not None and trainer.early_stopping.stopped
    if trainer.step < config.steps and not stopped:
        trainer.fit(
            batches, steps=config.steps - trainer.step, evaluate=evaluate,
            evaluate_every=config.evaluate_every, checkpoint=checkpoint,
            checkpoint_every=config.checkpoint_every,
        )  # fmt: skip
    elif trainer.early_stopping is not None:
        trainer.early_stopping.restore(model)
    write_json(folder / "history.json", trainer.history.to_dict())
    return trainer


def _same(old: TrainingConfig, new: TrainingConfig, folder: Path) -> None:
    a, b = old.to_dict(), new.to_dict()
    differ = [f"{key} {a[key]!r} there, {b[key]!r} here" for key in a if a[key] != b[key]]
    if differ:
        raise ValueError(
            f"run: {folder} holds a run with {'; '.join(differ)}. Choose another folder, or the old config"
        )
