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
from lmbook.parallel.parallelize import full_tensors, gpt_plan, parallelize_module
from lmbook.parallel.recompute import checkpoint
from lmbook.parallel.server import ParameterServer, Report
from lmbook.parallel.shard import FlatShard
from lmbook.parallel.sharded_checkpoint import latest, load_sharded, save_sharded
from lmbook.parallel.tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    SequenceParallelLayerNorm,
    VocabParallelEmbedding,
    heads,
    vocab_parallel_cross_entropy,
)
from lmbook.parallel.zero import ZeroRedundancyOptimizer

__all__ = [
    "ColumnParallelLinear",
    "Compression",
    "DiLoCo",
    "DistributedDataParallel",
    "FlatShard",
    "FullyShardedDataParallel",
    "LocalSGD",
    "LogicalShards",
    "OneBit",
    "ParameterServer",
    "PowerSGD",
    "Report",
    "RowParallelLinear",
    "SequenceParallelLayerNorm",
    "TopK",
    "VocabParallelEmbedding",
    "ZeroRedundancyOptimizer",
    "broadcast_parameters",
    "buckets",
    "checkpoint",
    "clip_grad_norm_",
    "flatten",
    "full_tensors",
    "gpt_plan",
    "heads",
    "latest",
    "load_sharded",
    "parallelize_module",
    "run_elastic",
    "save_sharded",
    "unflatten",
    "vocab_parallel_cross_entropy",
]  # fmt: skip
