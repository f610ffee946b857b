"""What a training run needs before it is started: parameters, FLOP, memory, time, failures, and a layout."""

from lmbook.parallel.planner.failures import daly, goodput, young
from lmbook.parallel.planner.memory import activation_bytes, state_bytes
from lmbook.parallel.planner.model import Transformer, mfu, training_days
from lmbook.parallel.planner.search import Plan, plan
from lmbook.parallel.planner.step import Cluster, Layout, Step, predict

__all__ = [
    "Cluster", "Layout", "Plan", "Step", "Transformer", "activation_bytes", "daly", "goodput", "mfu", "plan",
    "predict", "state_bytes", "training_days", "young",
]  # fmt: skip
