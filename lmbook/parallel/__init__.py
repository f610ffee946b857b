"""Level 4: training on many ranks: data parallel, servers, sharded, tensor, pipeline, context, expert.

A few lines turn a training script for one process into one for many: wrap the model, or split its layers,
and run it with `lmbook.distributed.run`.
"""

from lmbook.parallel.buckets import buckets, flatten, unflatten
from lmbook.parallel.clip import clip_grad_norm_
from lmbook.parallel.compression import Compression, OneBit, PowerSGD, TopK
from lmbook.parallel.data_parallel import DistributedDataParallel, broadcast_parameters
from lmbook.parallel.elastic import run_elastic
from lmbook.parallel.fsdp import FullyShardedDataParallel
from lmbook.parallel.local_sgd import DiLoCo, LocalSGD
from lmbook.parallel.ordered import LogicalShards
from lmbook.parallel.recompute import checkpoint
from lmbook.parallel.server import ParameterServer, Report
from lmbook.parallel.shard import FlatShard
from lmbook.parallel.sharded_checkpoint import latest, load_sharded, save_sharded
from lmbook.parallel.zero import ZeroRedundancyOptimizer

__all__ = [
    "Compression", "DiLoCo", "DistributedDataParallel", "FlatShard", "FullyShardedDataParallel", "LocalSGD",
    "LogicalShards", "OneBit", "ParameterServer", "PowerSGD", "Report", "TopK", "ZeroRedundancyOptimizer",
    "broadcast_parameters", "buckets", "checkpoint", "clip_grad_norm_", "flatten", "latest", "load_sharded",
    "run_elastic", "save_sharded", "unflatten",
]  # fmt: skip
