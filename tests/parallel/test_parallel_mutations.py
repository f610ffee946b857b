"""The room's checks catch planted faults: wrong neighbours, missing scales, swapped tags, lost waits."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from lmbook.autograd.primitives import PRIMITIVES
from lmbook.parallel import (
    clip,
    compression,
    context,
    data_parallel,
    differentiable,
    expert,
    half,
    local_sgd,
    mesh,
    ordered,
    parallelize,
    pipeline,
    recompute,
    schedules,
    server,
    shard,
    sharded_checkpoint,
    tensor_parallel,
    zero,
)
from tests.distributed.test_room_mutations import planted
from tests.parallel import (
    test_compression,
    test_context,
    test_data_parallel,
    test_elastic,
    test_expert,
    test_local_sgd,
    test_memory,
    test_mesh,
    test_pipeline,
    test_recompute,
    test_server,
    test_sharded,
    test_tensor_parallel,
)

F64 = np.float64


def ring() -> None:
    test_data_parallel.test_the_ring_has_the_bits_of_a_serial_oracle_and_the_full_batch_is_near(
        3, 200, F64
    )


def accumulation() -> None:
    test_data_parallel.test_accumulation_sends_once_and_gives_the_mean()


def logical() -> None:
    test_data_parallel.test_no_number_of_ranks_changes_a_bit(F64, 6)


def served() -> None:
    test_server.test_synchronous_servers_have_the_bits_of_one_process(2, 2, "buffering")


def bounded() -> None:
    test_server.test_no_worker_is_further_ahead_than_the_bound(1)


def compressed() -> None:
    for kind in test_compression.KINDS:
        test_compression.test_with_error_feedback_what_was_not_sent_is_in_the_residual(kind, 3)


def far_apart() -> None:
    test_local_sgd.test_diloco_is_the_paper_s_algorithm(3)
    test_local_sgd.test_local_sgd_that_meets_every_step_is_data_parallel()


def zeros() -> None:
    for stage in (1, 2):
        test_sharded.test_zero_1_and_2_have_the_bits_of_data_parallel(stage, F64, 3, 200)
    test_sharded.test_zero_3_has_the_bits_of_data_parallel(F64, 3, "linear")


def tensors() -> None:
    for sp in (False, True):
        test_tensor_parallel.test_the_gpt_has_the_gradients_and_the_weights_of_one_process(
            2, F64, sp
        )


def pipelines() -> None:
    for schedule, chunks in test_pipeline.KINDS:
        test_pipeline.test_pipelines_have_the_bits_of_one_process_in_both_modes(
            F64, schedule, chunks, "rendezvous"
        )
    test_pipeline.test_a_gpt_with_tied_weights()


def bubbles() -> None:
    test_pipeline.test_the_bubble_has_its_closed_form(4, 8)
    test_pipeline.test_activations_that_are_kept(4, 8)


def contexts() -> None:
    for kind in test_context.KINDS:
        test_context.test_outputs_and_gradients_are_those_of_one_process(3, F64, kind)
    test_context.test_two_pieces_a_rank_balance_the_work_exactly()


def experts() -> None:
    test_expert.test_outputs_and_expert_gradients_have_the_bits_of_one_process(4, 2, F64)
    test_expert.test_capacity_drops_the_last_of_those_who_come()
    test_expert.test_average_gradients_is_the_gradient_of_the_mean_loss()


def meshes() -> None:
    test_mesh.test_groups_of_a_mesh()
    test_mesh.test_data_pipeline_and_tensor_parallel_together_train_as_one_process(
        2, 1, 2, False, "gpipe"
    )


def mixed() -> None:
    test_memory.test_sixteen_bits_round_as_the_references_do()
    test_memory.test_ranks_agree_on_the_steps_that_are_left_out()
    for how in (1, 3):
        test_memory.test_mixed_precision_has_the_bits_of_one_process(how, "float16", 2)


def wholes() -> None:
    test_memory.test_optimisers_of_whole_tensors_have_the_bits_of_one_process("muon", 1, 3)


def ahead() -> None:
    test_memory.test_an_unused_prefetch_is_not_believed()


def again() -> None:
    test_sharded.test_recomputation_changes_no_bit_also_with_dropout_and_keeps_only_inputs()
    test_recompute.test_buffers_see_each_batch_once()


def norms() -> None:
    test_elastic.test_the_exact_norm()


MUTATIONS = [
    # missing scale by the number of ranks
    (ring, data_parallel.DistributedDataParallel, "_mean", '"mean"', '"sum"'),
    (zeros, shard.FlatShard, "_reduce_scatter", '"mean"', '"sum"'),
    (logical, ordered.LogicalShards, "reduce_scatter", "part / part.dtype.type(self.shards)", "part"),
    (far_apart, local_sgd.LocalSGD, "meet", '"mean"', '"sum"'),
    (served, server.ParameterServer, "_serve_together", "g / g.dtype.type(self.workers)", "g"),
    (compressed, compression.OneBit, "exchange", "mean / g.dtype.type(comm.size)", "mean"),
    (meshes, mesh, "all_reduce_gradients", "some), op)", "some), 'sum')"),
    (experts, expert, "average_gradients", "grad / p.dtype.type(comm.size)", "grad"),
    (pipelines, pipeline._Run, "backward", "1 / self.count", "1.0"),
    # wrong neighbour, wrong block
    (contexts, context, "_ring_attention", "(comm.rank - 1) % comm.size", "(comm.rank - 2) % comm.size"),
    (pipelines, pipeline._Run, "_send", "dst = part % self.comm.size", "dst = (part + 1) % self.comm.size"),
    (contexts, context, "positions", "2 * ranks - 1 - r]", "2 * ranks - 2 - r]"),
    (tensors, tensor_parallel, "heads", "rows[:, part]", "rows.reshape(n_head, groups, -1)[part]"),
    (experts, expert.ExpertParallel, "_compute", "argsort(order, kind", "argsort(owner, kind"),
    (meshes, mesh.Mesh, "_line", "if a in names", "if a not in names"),
    # swapped tags
    (pipelines, pipeline._Run, "forward", "_tag(part - 1, a.microbatch", "_tag(part, a.microbatch"),
    (pipelines, pipeline._Run, "backward", "(part, a.microbatch, True)", "(part, a.microbatch, False)"),
    (served, server.ParameterServer, "_work", "s, PUSH)", "s, PULL)"),
    # the order of addition
    (logical, ordered.Forest, "add", "before % 2 ** (level + 1)", "False"),
    (logical, ordered, "total", "left + at(start + half, level - 1)",
     "left + at(start + half, level - 1) * (1 + 1e-9)"),
    (zeros, shard.FlatShard, "_reduce_scatter", 'self.comm.reduce_scatter(flat, "mean")',
     "self.comm.all_reduce(flat, 'mean', 'tree')[self.ends[self.comm.rank] : self.ends[self.comm.rank + 1]]"),
    # memory
    (mixed, zero, "any_rank", "bool(comm.all_reduce(np.float32(found), \"max\") > 0)", "found"),
    (mixed, shard.FlatShard, "_collect", "pack(self.block", "pack(0.999 * self.block"),
    (mixed, half, "pack", "0x7FFF", "0x8000"),
    (wholes, shard, "_between_tensors", "key=lambda t: -t", "key=lambda t: +t"),
    (ahead, shard.FlatShard, "gather", "flat is None or stale", "flat is None"),
    (again, recompute._Again, "pull", "generator.state, self.random", "generator.state, generator.state"),
    (again, recompute._Again, "pull", "b.data[...] = values", "pass"),
    # what is forgotten
    (accumulation, data_parallel.DistributedDataParallel, "_arrived", "if not self._sync:", "if False:"),
    (ring, data_parallel, "broadcast_parameters", "t.data[...] = values", "pass"),
    (bounded, server.ParameterServer, "_serve_each", "ahead <= self", "ahead - 1 <= self"),
    (compressed, compression.Compression, "__call__", "g - sent", "sent"),
    (far_apart, local_sgd.DiLoCo, "meet", "self._put(self.anchor.data)", "pass"),
    (zeros, zero.ZeroRedundancyOptimizer, "step", "u.gather()", "pass"),
    (tensors, tensor_parallel.SequenceParallelLayerNorm, "forward", "copy_to(p, self.comm)", "p"),
    (tensors, tensor_parallel.VocabParallelEmbedding, "forward", "* inside", "* (inside | True)"),
    (tensors, tensor_parallel.ColumnParallelLinear, "forward", "copy_to(x, self.comm)", "x"),
    (tensors, differentiable, "reduce_scatter", "_reduce_scatter(x", "_scatter_to(x"),
    (pipelines, pipeline.Pipeline, "step", "group.all_reduce(p.grad.data)", "p.grad.data"),
    (pipelines, pipeline._Run, "weights", "p.grad.data += g.data", "p.grad = g"),
    (contexts, context, "_ring_attention", "out * old +", "out +"),
    (experts, expert, "route", "rank < capacity", "rank <= capacity"),
    (bubbles, schedules, "one_f_one_b", "stages - 1 - r", "stages - r"),
    (bubbles, schedules, "interleaved", "2 * (p - 1 - r)", "(p - 1 - r)"),
    (norms, clip, "exact_sum", "<< (e - 53", "<< (e - 52"),
    (norms, clip, "clip_grad_norm_", "sum(told)", "told[0]"),
    (ring, data_parallel, "flatten", "for a in arrays", "for a in reversed(list(arrays))"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "owner", "name", "old", "new"),
    MUTATIONS,
    ids=lambda v: getattr(v, "__name__", str(v)[-24:]),
)
def test_a_planted_fault_is_caught(check, owner, name, old, new, monkeypatch) -> None:
    original = getattr(owner, name)
    if hasattr(original, "__wrapped__"):  # a primitive: the rule in the table is what runs
        rule = original.__wrapped__
        source = inspect.getsource(rule).replace("@primitive\n", "")
        assert old in source, f"{name} has changed: {old!r} is not in it any more"
        space = dict(inspect.getmodule(rule).__dict__)
        exec(source.replace(old, new, 1), space)
        monkeypatch.setitem(PRIMITIVES, name.strip("_"), space[name])
    else:
        mutant = planted(owner, name, old, new)
        monkeypatch.setattr(owner, name, mutant)
        for module in (*USERS, *TESTS):  # who has imported it by name
            if getattr(module, name, None) is original:
                monkeypatch.setattr(module, name, mutant)
    with pytest.raises(Exception):  # noqa: B017
        check()


USERS = (
    clip, compression, context, data_parallel, differentiable, expert, half, local_sgd, mesh, ordered,
    parallelize, pipeline, recompute, schedules, server, shard, sharded_checkpoint, tensor_parallel, zero,
)  # fmt: skip
TESTS = (
    test_context,
    test_elastic,
    test_expert,
    test_memory,
    test_mesh,
    test_pipeline,
    test_recompute,
    test_sharded,
    test_data_parallel,
)


def test_a_forgotten_barrier_lets_a_checkpoint_be_named_before_it_is_whole(
    tmp_path, monkeypatch
) -> None:
    """Without the barrier after the files, rank 0 renames while a slow rank has still to write."""
    mutant = planted(
        sharded_checkpoint, "save_sharded",
        "safetensors.save(arrays))\n    comm.barrier()", "safetensors.save(arrays))",
    )  # fmt: skip
    monkeypatch.setattr(test_elastic, "save_sharded", mutant)
    with pytest.raises(Exception):  # noqa: B017
        test_elastic.test_the_number_of_ranks_may_grow_and_any_number_suits_stages_1_and_2(tmp_path)
    monkeypatch.undo()
    test_elastic.test_the_number_of_ranks_may_grow_and_any_number_suits_stages_1_and_2(
        tmp_path / "fine"
    )
