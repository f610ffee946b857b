"""The room's checks catch planted faults: wrong neighbours, missing scales, swapped tags, lost waits."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from lmbook.autograd.primitives import PRIMITIVES
from lmbook.nn import moe
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
    plans,
    randomness,
    recompute,
    schedules,
    server,
    shard,
    sharded_checkpoint,
    split_backward,
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
    test_graphs_and_buffers,
    test_llama_plan,
    test_local_sgd,
    test_memory,
    test_mesh,
    test_mixed_precision,
    test_mixture,
    test_pipeline,
    test_randomness,
    test_recompute,
    test_server,
    test_sharded,
    test_split_backward,
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


def branches() -> None:
    test_graphs_and_buffers.test_ranks_that_use_different_parts_agree_on_the_mean(
        3, {"bucket_bytes": 250}
    )


def moments() -> None:
    test_graphs_and_buffers.test_batch_norm_sees_the_whole_batch_if_asked_to(2)


def overflows() -> None:
    for kind in test_compression.KINDS:
        test_mixed_precision.test_an_overflow_on_one_rank_leaves_the_step_out_on_all(2, kind)
        test_mixed_precision.test_what_was_kept_before_an_overflow_is_kept_after_it(kind)


def zeros() -> None:
    for stage in (1, 2):
        test_sharded.test_zero_1_and_2_have_the_bits_of_data_parallel(stage, F64, 3, 200)
    test_sharded.test_zero_3_has_the_bits_of_data_parallel(F64, 3, "linear")


def again_gathered() -> None:
    test_tensor_parallel.test_gathering_again_changes_no_bit(2, 4, np.float64, True)


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


def halves() -> None:
    for name in ("mlp", "twice"):
        test_split_backward.test_both_halves_are_the_whole_to_the_bit(name, F64)
    test_split_backward.test_the_first_half_leaves_the_weights_alone_and_the_second_multiplies_once()
    test_split_backward.test_hooks_wait_for_the_second_half_and_a_gpt_waits_but_for_its_positions()
    test_split_backward.test_a_real_step_takes_the_time_of_the_zero_bubble_timeline()


def masks() -> None:
    test_randomness.test_replicated_masks_are_the_same_and_divided_ones_differ()
    for sp in (False, True):
        test_randomness.test_one_process_with_the_same_masks_has_the_same_gradients(2, sp, False)


def llamas() -> None:
    test_llama_plan.test_llama_trains_as_in_one_process(4, 2, True, 0, True)


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


def mixtures() -> None:
    test_mixture.test_meshes_with_an_expert_axis_train_as_one_process({"dp": 2, "ep": 2})


def balances() -> None:
    test_mixture.test_both_ways_of_balance_are_those_of_one_process(2)
    test_expert.test_the_bias_evens_the_load_without_a_gradient_and_alike_on_all_ranks()


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
    (experts, expert, "_average", "/ dtype.type(ranks)", "/ dtype.type(1)"),
    (pipelines, pipeline._Run, "backward", "1 / self.count", "1.0"),
    # wrong neighbour, wrong block
    (contexts, context._Ring, "__init__", "(comm.rank - 1) % comm.size", "(comm.rank - 2) % comm.size"),
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
    (ring, data_parallel, "broadcast_tensors", "t.data[...] = values", "pass"),
    (bounded, server.ParameterServer, "_serve_each", "ahead <= self", "ahead - 1 <= self"),
    (compressed, compression.Compression, "__call__", "g - sent", "sent"),
    (far_apart, local_sgd.DiLoCo, "meet", "self._put(self.anchor.data)", "pass"),
    (zeros, zero.ZeroRedundancyOptimizer, "step", "u.gather()", "pass"),
    (tensors, tensor_parallel.SequenceParallelLayerNorm, "forward", "copy_to(p, self.comm)", "p"),
    (tensors, tensor_parallel.VocabParallelEmbedding, "forward", "* inside", "* (inside | True)"),
    (tensors, tensor_parallel.ColumnParallelLinear, "forward", "copy_to(x, self.comm)", "x"),
    (again_gathered, tensor_parallel, "_gathered_linear", "all_gather(x)", "all_gather(2 * x)"),
    (tensors, differentiable, "reduce_scatter", "_reduce_scatter(x", "_scatter_to(x"),
    (pipelines, pipeline.Pipeline, "step", "group.all_reduce(p.grad.data)", "p.grad.data"),
    (pipelines, pipeline._Run, "weights", "self.later.pop(a.microbatch).backward_weight()", "pass"),
    (halves, split_backward.WeightGradients, "backward_weight", "self._kept.clear()", "pass"),
    (halves, split_backward.WeightGradients, "_postpone", "self._kept.append((pull, g, weights))", "pass"),
    (halves, split_backward, "backward_input", "node.name in SPLIT", "False"),
    (halves, pipeline._Run, "_take_time", '"BW" if whole else a.kind', '"BW"'),
    (masks, randomness, "draw_alike", "manual_seed(comm.broadcast(seed))", "manual_seed(seed)"),
    (masks, randomness.DropoutApart, "forward", "draw_apart(self.rank)", "draw_apart(0)"),
    (masks, randomness, "apart", "draw_apart(rank)", "draw_apart(0)"),
    (masks, plans, "_attend_apart", "m.attend = apart(m.attend, c.rank)", "pass"),
    (llamas, tensor_parallel.SequenceParallelRMSNorm, "forward", "copy_to(self.weight, self.comm)",
     "self.weight"),
    (llamas, tensor_parallel.ColumnParallelLinear, "forward", "copy_to(weight, self.shared)", "weight"),
    (llamas, tensor_parallel, "shared_heads", "r * n_head // ranks", "r % n_head"),
    (contexts, context, "_ring_attention", "out[..., rows, :] * old", "out[..., rows, :]"),
    (contexts, context, "visible", "theirs[0])", "theirs[-1])"),
    (contexts, context, "_ring_attention", "grads = ring.finish(coming)", "ring.finish(coming)"),
    (mixtures, expert, "_average", "if mark else None", ""),
    (mixtures, expert, "average_gradients", "(replicas, True)", "(None, True)"),
    (balances, moe, "update_bias", "counts.mean() - counts", "counts - counts.mean()"),
    (balances, expert.ExpertParallel, "forward", "self.comm.all_reduce(wanted)", "wanted"),
    (experts, expert, "route", "rank < capacity", "rank <= capacity"),
    (bubbles, schedules, "one_f_one_b", "stages - 1 - r", "stages - r"),
    (bubbles, schedules, "interleaved", "2 * (p - 1 - r)", "(p - 1 - r)"),
    (norms, clip, "exact_sum", "<< (e - 53", "<< (e - 52"),
    (norms, clip, "clip_grad_norm_", "sum(told)", "told[0]"),
    (branches, data_parallel.DistributedDataParallel, "_arrived",
     "self._missing[self._home[i]].discard(i)", "pass"),
    (branches, data_parallel.DistributedDataParallel, "_used_somewhere", '"max"', '"min"'),
    (branches, data_parallel.DistributedDataParallel, "_finish", "elif id(p) in used", "else"),
    (moments, data_parallel._Seat, "gather", "self.comm.all_gather", "(lambda v: [v])"),
    (overflows, compression.Compression, "__call__", "np.full_like(g, np.nan)", "g"),
    (overflows, compression.Compression, "__call__", "and np.isfinite(mean).all()", ""),
    (overflows, compression.PowerSGD, "exchange", "not np.isfinite(p).all()", "False"),
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
    parallelize, pipeline, plans, randomness, recompute, schedules, server, shard, sharded_checkpoint,
    split_backward, tensor_parallel, zero,
)  # fmt: skip
TESTS = (
    test_context,
    test_elastic,
    test_expert,
    test_memory,
    test_mesh,
    test_mixture,
    test_pipeline,
    test_llama_plan,
    test_randomness,
    test_recompute,
    test_sharded,
    test_split_backward,
    test_data_parallel,
)


def test_a_forgotten_barrier_lets_a_checkpoint_be_named_before_it_is_whole(
    tmp_path, monkeypatch
) -> None:
    """Without the barrier after the files, rank 0 renames while a slow rank has still to write."""
    mutant = planted(
        sharded_checkpoint, "save_sharded",
        'safetensors", data)\n    comm.barrier()', 'safetensors", data)',
    )  # fmt: skip
    monkeypatch.setattr(test_elastic, "save_sharded", mutant)
    with pytest.raises(Exception):  # noqa: B017
        test_elastic.test_the_number_of_ranks_may_grow_and_any_number_suits_stages_1_and_2(tmp_path)
    monkeypatch.undo()
    test_elastic.test_the_number_of_ranks_may_grow_and_any_number_suits_stages_1_and_2(
        tmp_path / "fine"
    )


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("_put", "final.rename(old)", "shutil.rmtree(final)"),
        ("save_sharded", "draft / f", "final / f"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_is_there_in_parts_is_caught(
    name, old, new, tmp_path, monkeypatch
) -> None:
    mutant = planted(sharded_checkpoint, name, old, new)
    for module in (sharded_checkpoint, test_elastic):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, mutant)
    with pytest.raises(Exception):  # noqa: B017
        test_elastic.test_a_stop_at_any_moment_of_saving_leaves_a_whole_checkpoint(
            True, tmp_path, monkeypatch
        )


def test_a_checksum_that_nobody_compares_is_caught(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sharded_checkpoint, "_verify", lambda path, index, comm: None)
    with pytest.raises(BaseException):  # noqa: B017
        test_elastic.test_loading_says_what_does_not_fit(tmp_path)
