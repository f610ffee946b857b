"""What a training run needs before it is started: parameters, FLOP, memory, time, failures, and a layout."""

from lmbook.parallel.planner import published, tables
from lmbook.parallel.planner.cluster import Accelerator, Cluster, data_sheets
from lmbook.parallel.planner.cost import Bill, bill
from lmbook.parallel.planner.failures import daly, goodput, young
from lmbook.parallel.planner.history import PublishedModel, published_model, published_models
from lmbook.parallel.planner.memory import activation_bytes, state_bytes
from lmbook.parallel.planner.model import Transformer, mfu, training_days
from lmbook.parallel.planner.regions import Regions
from lmbook.parallel.planner.scaling import BESIROGLU, HOFFMANN, ScalingLaw, chinchilla
from lmbook.parallel.planner.search import Plan, frontier, layouts, plan, search
from lmbook.parallel.planner.step import Layout, Step, expert_seconds, predict

__all__ = [
    "BESIROGLU", "HOFFMANN", "Accelerator", "Bill", "Cluster", "Layout", "Plan", "PublishedModel",
    "Regions", "ScalingLaw", "Step", "Transformer", "activation_bytes", "bill", "chinchilla", "daly",
    "data_sheets", "expert_seconds", "frontier", "goodput", "layouts", "mfu", "plan", "predict",
    "published", "published_model", "published_models", "search", "state_bytes", "tables",
    "training_days", "young",
]  # fmt: skip
