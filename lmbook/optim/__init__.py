"""Level 2: optimisers, and schedules of the learning rate."""

from lmbook.optim import lr_scheduler
from lmbook.optim.gradient.adam import Adam, AdamW
from lmbook.optim.gradient.optimizer import Optimizer
from lmbook.optim.gradient.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
