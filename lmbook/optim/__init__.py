"""Level 2: optimisers with and without gradients, and schedules of the learning rate."""

from lmbook.optim import bbob, heuristic, lr_scheduler, performance
from lmbook.optim.gradient import ladder as _ladder  # noqa: F401 - registers a kernel of the GPU
from lmbook.optim.gradient.adafactor import Adafactor
from lmbook.optim.gradient.adagrad import Adagrad
from lmbook.optim.gradient.adam import Adam, AdamW
from lmbook.optim.gradient.lbfgs import LBFGS
from lmbook.optim.gradient.lion import Lion
from lmbook.optim.gradient.muon import Muon
from lmbook.optim.gradient.nadam import NAdam, RAdam
from lmbook.optim.gradient.optimizer import Optimizer
from lmbook.optim.gradient.rmsprop import RMSprop
from lmbook.optim.gradient.sgd import SGD

__all__ = [
    "LBFGS", "SGD", "Adafactor", "Adagrad", "Adam", "AdamW", "Lion", "Muon", "NAdam", "Optimizer",
    "RAdam", "RMSprop", "bbob", "heuristic", "lr_scheduler", "performance",
]  # fmt: skip
