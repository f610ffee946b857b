"""Level 4: training loops, checkpoints and what they record."""

from lmbook.training.checkpoint import load_checkpoint, load_tensors, save_checkpoint, save_tensors
from lmbook.training.history import History
from lmbook.training.trainer import Trainer, evaluate

__all__ = [
    "History", "Trainer", "evaluate", "load_checkpoint", "load_tensors", "save_checkpoint",
    "save_tensors",
]  # fmt: skip
