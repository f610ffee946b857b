"""Level 4: training on many ranks: data parallel, servers, sharded, tensor, pipeline, context, expert.

A few lines turn a training script for one process into one for many: wrap the model, or split its layers,
and run it with `lmbook.distributed.run`.
"""

from lmbook.parallel.buckets import buckets, flatten, unflatten
from lmbook.parallel.compression import Compression, OneBit, PowerSGD, TopK
from lmbook.parallel.data_parallel import DistributedDataParallel, broadcast_parameters
from lmbook.parallel.local_sgd import DiLoCo, LocalSGD
from lmbook.parallel.ordered import LogicalShards
from lmbook.parallel.server import ParameterServer, Report

__all__ = [
    "Compression", "DiLoCo", "DistributedDataParallel", "LocalSGD", "LogicalShards", "OneBit",
    "ParameterServer", "PowerSGD", "Report", "TopK", "broadcast_parameters", "buckets", "flatten",
    "unflatten",
]  # fmt: skip
