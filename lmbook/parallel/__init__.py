"""Level 4: training on many ranks: data parallel, servers, sharded, tensor, pipeline, context, expert.

A few lines turn a training script for one process into one for many: wrap the model, or split its layers,
and run it with `lmbook.distributed.run`.
"""

from lmbook.parallel import planner
from lmbook.parallel.buckets import buckets, flatten, unflatten
from lmbook.parallel.clip import clip_grad_norm_
from lmbook.parallel.compression import Compression, Int8, OneBit, PowerSGD, TopK
from lmbook.parallel.context import (
    causal_work,
    context_parallel,
    gathered_attention,
    merge,
    positions,
    ring_attention,
    ring_work,
)
from lmbook.parallel.data_parallel import DistributedDataParallel, broadcast_parameters
from lmbook.parallel.elastic import run_elastic
from lmbook.parallel.expert import ExpertParallel, average_gradients, expert_plan, moe_plan
from lmbook.parallel.fsdp import FullyShardedDataParallel
from lmbook.parallel.local_sgd import DiLoCo, LocalSGD
from lmbook.parallel.mesh import Mesh, all_reduce_gradients
from lmbook.parallel.ordered import LogicalShards
from lmbook.parallel.parallelize import full_tensors, parallelize_module
from lmbook.parallel.pipeline import Pipeline, gpt_layers, llama_layers
from lmbook.parallel.plans import gpt_plan, llama_plan
from lmbook.parallel.randomness import draw_alike, draw_apart
from lmbook.parallel.recompute import (
    apply_activation_checkpointing,
    checkpoint,
    checkpoint_sequential,
    recompute_attention,
)
from lmbook.parallel.schedules import (
    Action,
    Timeline,
    gpipe,
    interleaved,
    one_f_one_b,
    simulate,
    zero_bubble,
)
from lmbook.parallel.server import ParameterServer, ServerReport
from lmbook.parallel.shard import FlatShard
from lmbook.parallel.sharded_checkpoint import latest, load_sharded, save_sharded
from lmbook.parallel.split_backward import WeightGradients, backward_input
from lmbook.parallel.tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    SequenceParallelLayerNorm,
    SequenceParallelRMSNorm,
    VocabParallelEmbedding,
    heads,
    vocab_parallel_cross_entropy,
)
from lmbook.parallel.virtual import Workload, nodes, virtual_step
from lmbook.parallel.zero import ZeroRedundancyOptimizer, any_rank

__all__ = [
    "Action",
    "ColumnParallelLinear",
    "Compression",
    "DiLoCo",
    "DistributedDataParallel",
    "ExpertParallel",
    "FlatShard",
    "FullyShardedDataParallel",
    "Int8",
    "LocalSGD",
    "LogicalShards",
    "Mesh",
    "OneBit",
    "ParameterServer",
    "Pipeline",
    "PowerSGD",
    "RowParallelLinear",
    "SequenceParallelLayerNorm",
    "SequenceParallelRMSNorm",
    "ServerReport",
    "Timeline",
    "TopK",
    "VocabParallelEmbedding",
    "WeightGradients",
    "Workload",
    "ZeroRedundancyOptimizer",
    "all_reduce_gradients",
    "any_rank",
    "apply_activation_checkpointing",
    "average_gradients",
    "backward_input",
    "broadcast_parameters",
    "buckets",
    "causal_work",
    "checkpoint",
    "checkpoint_sequential",
    "clip_grad_norm_",
    "context_parallel",
    "draw_alike",
    "draw_apart",
    "expert_plan",
    "flatten",
    "full_tensors",
    "gathered_attention",
    "gpipe",
    "gpt_layers",
    "gpt_plan",
    "heads",
    "interleaved",
    "latest",
    "llama_layers",
    "llama_plan",
    "load_sharded",
    "merge",
    "moe_plan",
    "nodes",
    "one_f_one_b",
    "parallelize_module",
    "planner",
    "positions",
    "recompute_attention",
    "ring_attention",
    "ring_work",
    "run_elastic",
    "save_sharded",
    "simulate",
    "unflatten",
    "virtual_step",
    "vocab_parallel_cross_entropy",
    "zero_bubble",
]  # fmt: skip
