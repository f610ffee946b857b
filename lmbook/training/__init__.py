"""Level 4: training loops, their settings, checkpoints, metrics, and what a run records."""

from lmbook.training import metrics
from lmbook.training.checkpoint import load_checkpoint, load_tensors, save_checkpoint, save_tensors
from lmbook.training.config import Config, TrainingConfig, choice, number
from lmbook.training.early_stopping import EarlyStopping
from lmbook.training.history import History
from lmbook.training.lr_finder import RateTest, find_lr
from lmbook.training.precision import FORMATS, GradScaler, MixedPrecision, cast, round_to
from lmbook.training.runs import decay_groups, make_optimizer, make_trainer, run
from lmbook.training.trainer import Trainer, evaluate

__all__ = [
    "FORMATS", "Config", "EarlyStopping", "GradScaler", "History", "MixedPrecision", "RateTest",
    "Trainer", "TrainingConfig", "cast", "choice", "decay_groups", "evaluate", "find_lr",
    "load_checkpoint", "load_tensors", "make_optimizer", "make_trainer", "metrics", "number",
    "round_to", "run", "save_checkpoint", "save_tensors",
]  # fmt: skip
