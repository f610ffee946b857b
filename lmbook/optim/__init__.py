"""Level 2: optimisers with and without gradients, and schedules of the learning rate."""

from lmbook.optim import heuristic, lr_scheduler
from lmbook.optim.gradient.adam import Adam, AdamW
from lmbook.optim.gradient.optimizer import Optimizer
from lmbook.optim.gradient.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "heuristic", "lr_scheduler"]
