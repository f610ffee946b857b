"""Plans that divide the book's models among the ranks of a group, for `parallelize_module`."""

from collections.abc import Callable
from typing import Any

from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.parallel.differentiable import copy_to, gather_sum, scatter_to
from lmbook.parallel.parallelize import Plan
from lmbook.parallel.randomness import DropoutApart, apart
from lmbook.parallel.tensor_parallel import (
    ColumnParallelLinear,
    Parts,
    RowParallelLinear,
    SequenceParallelLayerNorm,
    SequenceParallelRMSNorm,
    VocabParallelEmbedding,
    heads,
    shared_heads,
)

Make = Callable[[Any, Communicator], Module | None]


def _column(
    sp: bool, parts: Callable[[Any, int], Parts] | None = None, again: bool = False
) -> Make:
    """Column-parallel; `parts` says the rows of a layer for a number of ranks."""
    return lambda m, c: ColumnParallelLinear(
        m, c, parts(m, c.size) if parts else None, sequence_parallel=sp, gather_again=again
    )


def _row(sp: bool, parts: Callable[[Any, int], Parts] | None = None) -> Make:
    """Row-parallel, likewise."""
    return lambda m, c: RowParallelLinear(
        m, c, parts(m, c.size) if parts else None, sequence_parallel=sp
    )


def _before_logits(sp: bool) -> Make:
    """What goes into a divided output layer without a module of its own (tied weights)."""

    def hook(m: Module, c: Communicator) -> None:
        m.register_forward_hook(lambda _m, _x, y: gather_sum(y, c, 1) if sp else copy_to(y, c))

    return hook


def _divide_sequence(m: Module, c: Communicator) -> None:
    """From the output of this module on, each rank has some of the positions."""
    m.register_forward_hook(lambda _m, _x, y: scatter_to(y, c, 1))


def _attend_apart(m: Any, c: Communicator) -> None:
    """Dropout of attention weights belongs to a rank's own heads."""
    if m.dropout:
        m.attend = apart(m.attend, c.rank)


def gpt_plan(n_head: int, sequence_parallel: bool = False, gather_again: bool = False) -> Plan:
    """The plan for `lmbook.models.gpt.GPT`: attention by heads, MLP by columns and rows, vocabulary by rows.

    The output layer shares the embedding's rows, so logits stay divided: use
    `vocab_parallel_cross_entropy`. Each block takes 4 all-reduces of (N, T, E), two forwards, two backwards;
    under sequence parallelism these are 8 halves, and 10 with `gather_again`, which keeps the inputs of the
    blocks' column-parallel layers divided as well. Dropout draws alike where ranks have the same, apart in
    attention, and in what is divided along the sequence.
    """
    sp, again = sequence_parallel, gather_again

    def by_head(m: Any, ranks: int) -> Parts:
        return heads(3, n_head, m.out_features // 3 // n_head, ranks)

    plan: Plan = {
        "wte": VocabParallelEmbedding,
        "h.*.attn.c_attn": _column(sp, by_head, again),
        "h.*.attn.c_proj": _row(sp),
        "h.*.attn": _attend_apart,
        "h.*.mlp.c_fc": _column(sp, again=again),
        "h.*.mlp.c_proj": _row(sp),
    }
    if sp:
        plan |= {"drop": _divide_sequence, "h.*.drop": DropoutApart}
        plan |= {"h.*.ln_?": SequenceParallelLayerNorm, "ln_f": SequenceParallelLayerNorm}
    return plan | {"ln_f*": _before_logits(sp)}


def llama_plan(config: Any, sequence_parallel: bool = False) -> Plan:
    """The plan for `lmbook.models.llama.Llama`: RMSNorm, rotary positions, grouped queries, SwiGLU.

    Query heads are divided, and key heads with them; where there are fewer key heads than ranks, neighbours
    have the same one and add its gradients. Logits stay divided, whether the output layer is tied to the
    embedding or not. A mixture of experts stays whole on every rank; with `sequence_parallel` it
    raises `ValueError`.
    """
    sp, c = sequence_parallel, config
    if sp and c.num_experts:
        raise ValueError(
            "llama_plan: experts under sequence parallelism would each see a part of the tokens; use "
            "sequence_parallel=False, or ExpertParallel"
        )
    width = c.hidden_size // c.num_attention_heads

    def queries(m: Any, ranks: int) -> Parts:
        return heads(1, c.num_attention_heads, width, ranks)

    def keys(m: Any, ranks: int) -> Parts:
        return shared_heads(c.num_key_value_heads, width, ranks)

    def embedding(m: Any, comm: Communicator) -> Module:
        table = VocabParallelEmbedding(m, comm)
        if sp:
            _divide_sequence(table, comm)
        return table

    layer = "model.layers.*."
    plan: Plan = {
        "model.embed_tokens": embedding,
        layer + "self_attn.q_proj": _column(sp, queries),
        layer + "self_attn.[kv]_proj": _column(sp, keys),
        layer + "self_attn.o_proj": _row(sp, queries),
    }
    if not c.num_experts:
        plan |= {
            layer + "mlp.gate_proj": _column(sp),
            layer + "mlp.up_proj": _column(sp),
            layer + "mlp.down_proj": _row(sp),
        }
    if sp:
        plan |= {layer + "*_layernorm": SequenceParallelRMSNorm}
        plan |= {"model.norm": SequenceParallelRMSNorm}
    if c.tie_word_embeddings:
        return plan | {"model.norm*": _before_logits(sp)}
    return plan | {"lm_head": _column(sp)}
