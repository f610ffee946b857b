"""The planner's own sense: what divides, what overlaps, experts, clusters by name, that the best is found."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from lmbook.parallel.planner import (
    Cluster,
    Layout,
    Transformer,
    activation_bytes,
    data_sheets,
    expert_seconds,
    frontier,
    layouts,
    plan,
    predict,
    published,
    search,
    state_bytes,
)

SMALL = Transformer(24, 2304, 24)
MIXTURE = Transformer(
    24,
    2048,
    16,
    32000,
    4096,
    8192,
    llama=True,
    experts=64,
    top_k=8,
    shared=1,
    expert_ffn=1024,
    dense=1,
)


def selene(n: int) -> Cluster:
    """NVIDIA's Selene: A100 80 GB, NVLink 300 GB/s a way, and 25 GB/s of InfiniBand for each (SC21)."""
    return Cluster(n, 312e12, 80e9, 8, 300e9, 25e9, efficiency=0.6)


def test_plans_fit_and_explain_themselves() -> None:
    small = plan(SMALL, selene(8), 64)
    assert small.step.memory <= 0.9 * 80e9 and small.layout.accelerators == 8
    assert small.layout.pipeline == 1  # a small model needs no pipeline
    large = plan(published.GPT_3, selene(1024), 1536)
    assert (
        large.layout.tensor > 1 and large.step.memory <= 0.9 * 80e9 and 0.3 < large.step.mfu < 0.6
    )
    text = large.explain()
    for word in ("data", "pipeline", "tensor", "MFU", "memory", "too large", "why", "next"):
        assert word in text
    assert large.too_large > 0 and large.tried > large.too_large
    waste = {k: v for k, v in large.step.seconds.items() if k != "compute"}
    assert f"most time goes to {max(waste, key=lambda k: waste[k])}" in text
    with pytest.raises(
        ValueError, match=r"nothing fits 80 GB on 8 accelerators; the smallest needs \d+"
    ):
        plan(published.GPT_3, selene(8), 64)


def test_the_plan_is_the_quickest_of_all_that_fit() -> None:
    """Against a search written again, over every product of degrees, that keeps no list."""
    model, cluster, batch = Transformer(8, 1024, 8, 8000, 8192), selene(16), 32
    best, count = None, 0
    for t in (1, 2, 4, 8):
        for p in (1, 2, 4, 8):
            for c in (1, 2, 4):
                for b in (1, 2, 4, 8):
                    for v in (1, 2, 4, 8):
                        for zero in (1, 2, 3):
                            for again in ("none", "selective", "full"):
                                if 16 % (t * p * c) or p * v > 8 or (p == 1 and v > 1):
                                    continue
                                d = 16 // (t * p * c)
                                if (d * c == 1 and zero > 1) or batch % (d * b):
                                    continue
                                layout = Layout(d, p, t, c, b, zero, v, again, t > 1)
                                try:
                                    step = predict(model, cluster, layout, batch)
                                except ValueError:
                                    continue
                                count += 1
                                if step.memory <= 0.9 * cluster.memory:
                                    best = min(best or step.time, step.time)
    found = plan(model, cluster, batch)
    assert found.step.time == best and found.tried == count


def test_a_hundred_thousand_accelerators_need_few_trials() -> None:
    """From 8 to 98,304: work counted, not timed; a trial is some twenty microseconds."""
    model = published.SC21_1T
    for n in (3072, 12288, 98304):
        cluster = Cluster.of("H100", n)
        found = plan(model, cluster, max(3072, n // 8), overlap=True)
        assert found.layout.accelerators == n and found.tried < 10_000
    sizes = [8 * 2**k for k in range(14)]  # to 65,536
    speeds = []
    for n in sizes:
        speeds.append(plan(published.LLAMA_8B, Cluster.of("H100", n), 65536).step.tokens_per_second)
    for few, many in pairwise(speeds):
        assert few < many <= 2.01 * few  # faster with more, never more than in proportion


def test_predict_refuses_what_does_not_divide() -> None:
    for model, layout, match in (
        (SMALL, Layout(data=3), "64 sequences by data x microbatch = 3"),
        (SMALL, Layout(context=3), "2048 positions by twice context = 6"),
        (SMALL, Layout(tensor=7), "24 heads by tensor = 7"),
        (SMALL, Layout(pipeline=3, chunks=2), "64 microbatches are no multiple of 3"),
        (SMALL, Layout(data=2, expert=2), "1 experts by expert = 2"),
        (MIXTURE, Layout(data=4, expert=8), "4 data x context ranks by expert = 8"),
    ):
        with pytest.raises(ValueError, match=match):
            predict(model, selene(8), layout, 64)
    with pytest.raises(
        ValueError, match="4 experts need a top_k of 1 to 4 and an expert_ffn above 0"
    ):
        Transformer(2, 8, 2, experts=4, top_k=5, expert_ffn=8)


def test_long_sequences_are_divided() -> None:
    model = dataclasses.replace(published.LLAMA_8B, sequence=131072)
    found = plan(model, Cluster.of("H100", 64), 64)
    assert found.layout.context > 1 and "context" in found.explain()
    short = dataclasses.replace(published.LLAMA_8B, sequence=2048)
    assert plan(short, selene(64), 1024).layout.context == 1


def test_a_mixture_counts_what_works_and_what_is_there() -> None:
    h, f, e, k = 2048, 1024, 64, 8
    one = 3 * h * f
    attention = 4 * h * h
    dense = attention + 3 * h * 8192
    mixed = attention + h * e + 9 * one
    outside = 2 * 24 * h + 2 * 32000 * h + h
    assert MIXTURE.active_parameters() == dense + 23 * mixed + outside
    assert MIXTURE.parameters() == MIXTURE.active_parameters() + 23 * (e - k) * one
    assert MIXTURE.routed() == 23 * e * one
    # 6 FLOP a weight that works; the embedding of the input is a look-up
    weights = MIXTURE.active_parameters() - 32000 * h - (2 * 24 + 1) * h
    assert MIXTURE.flops_per_token(attention=False) == 6 * weights
    everyone = dataclasses.replace(MIXTURE, top_k=64)
    assert everyone.parameters() == everyone.active_parameters() == MIXTURE.parameters()


def test_one_expert_that_serves_all_is_a_dense_model() -> None:
    dense = Transformer(4, 512, 8, 1000, 1024, 2048, llama=True)
    single = dataclasses.replace(dense, experts=1, top_k=1, expert_ffn=2048)
    assert single.parameters() - dense.parameters() == 4 * 512  # a router with one output
    step, same = (predict(m, selene(8), Layout(data=8), 64) for m in (dense, single))
    assert same.time == pytest.approx(step.time, rel=1e-3)
    extra = activation_bytes(single, 1, recompute="selective") - activation_bytes(
        dense, 1, recompute="selective"
    )
    assert extra == 2 * 1024 * 512  # the copy that is sent to the expert


def test_experts_are_divided_and_pay_for_it() -> None:
    cluster = Cluster.of("H100", 64)
    alone, shared = (predict(MIXTURE, cluster, Layout(data=64, expert=e), 256) for e in (1, 64))
    routed, common = MIXTURE.routed(), MIXTURE.parameters() - MIXTURE.routed()
    assert alone.bytes["state"] == state_bytes(common + routed, 64, 1)
    assert shared.bytes["state"] == state_bytes(common, 64, 1) + state_bytes(routed / 64, 1, 1)
    assert alone.seconds["expert"] == 0 < shared.seconds["expert"]
    # 4096 positions, 8 copies, 7 of 8 nodes away, 16 bits, 50 GB/s; then 63 latencies
    one = expert_seconds(MIXTURE, cluster, Layout(data=64, expert=64))
    assert one == pytest.approx(4096 * 8 * 7 / 8 * 2 * 2048 / 50e9 + 63 * 5e-6)
    assert shared.seconds["expert"] == pytest.approx(
        4 * 4 * 23 * one
    )  # 4 microbatches, 23 mixtures
    near = expert_seconds(MIXTURE, cluster, Layout(data=64, expert=8))
    assert near == pytest.approx(4096 * 8 * 7 / 8 * 2 * 2048 / 450e9 + 7 * 5e-6)  # inside a node
    few = dataclasses.replace(MIXTURE, nodes=2)
    assert expert_seconds(few, cluster, Layout(data=64, expert=64)) == pytest.approx(
        (one - 63 * 5e-6) / 4 + 63 * 5e-6
    )
    full = predict(MIXTURE, cluster, Layout(data=64, expert=64, recompute="full"), 256)
    assert full.seconds["expert"] == pytest.approx(6 / 4 * shared.seconds["expert"])


def test_the_search_divides_experts_where_memory_asks_for_it() -> None:
    run = next(r for r in published.runs() if r.name == "DeepSeek-V3")
    tried = {l.expert for l in layouts(run.model, run.cluster, run.batch)}
    assert {1, 2, 64, 256} <= tried
    found = plan(run.model, run.cluster, run.batch, overlap=True)
    assert found.layout.expert > 1 and f"experts over {found.layout.expert}" in found.explain()
    one = dataclasses.replace(found.layout, expert=1)
    assert predict(run.model, run.cluster, one, run.batch).memory > 80e9


def test_overlap_hides_time_and_loses_none() -> None:
    for model, layout in (
        (SMALL, Layout(data=32)),
        (SMALL, Layout(data=32, microbatch=2, zero=2)),
        (SMALL, Layout(data=32, zero=3, recompute="full")),
        (MIXTURE, Layout(data=16, pipeline=2, expert=16)),
        (MIXTURE, Layout(data=32, expert=32)),
    ):
        cluster = selene(32)
        plain = predict(model, cluster, layout, 256)
        hides = predict(model, cluster, dataclasses.replace(layout, overlap=True), 256)
        assert hides.hidden > 0 and hides.time < plain.time
        for part in ("compute", "tensor", "pipeline"):
            assert hides.seconds[part] == plain.seconds[part]
        less = plain.seconds["bubble"] - hides.seconds["bubble"]  # a shorter slot is idle for less
        assert (less > 0) == (layout.pipeline > 1)
        assert hides.time + hides.hidden + less == pytest.approx(plain.time)
    # behind the backward pass of the last of 8 microbatches there is room for a twelfth of the computation
    slow = dataclasses.replace(selene(32), between=1e8)
    plain, hides = (predict(SMALL, slow, Layout(data=32, overlap=on), 256) for on in (False, True))
    assert hides.hidden == pytest.approx(plain.seconds["compute"] * 2 / 3 / 8)


def test_zero_pays_for_every_microbatch_what_it_does_not_keep() -> None:
    times = {}
    for zero in (1, 2, 3):
        for m in (1, 4):
            layout = Layout(data=32, zero=zero, microbatch=4 // m)
            times[zero, m] = predict(SMALL, selene(32), layout, 128).seconds["data"]
    unit = times[1, 1] / 2
    assert times == pytest.approx(
        {(1, 1): 2 * unit, (1, 4): 2 * unit, (2, 1): 2 * unit, (2, 4): 5 * unit, (3, 1): 3 * unit,
         (3, 4): 12 * unit}
    )  # fmt: skip


def test_zero_3_has_room_for_a_gathered_layer() -> None:
    """Weights and gradient of one layer, whole for a moment: 4 bytes a parameter."""
    plain, sharded = (
        predict(SMALL, selene(32), Layout(data=32, zero=z), 128).bytes["working"] for z in (2, 3)
    )
    assert sharded - plain == pytest.approx(4 * SMALL.parameters() / 24)


def test_the_reserve_is_left_free() -> None:
    tight, loose = (plan(published.GPT_3, selene(256), 512, reserve=r) for r in (0.6, 0.0))
    assert tight.step.memory <= 32e9 < loose.step.memory <= 80e9
    assert loose.step.time < tight.step.time
    sizes = [s.memory for _, s in search(published.GPT_3, selene(256), 512)]
    assert tight.too_large == sum(size > 32e9 for size in sizes)


def test_the_frontier_is_not_beaten_and_beats_the_rest() -> None:
    every = search(SMALL, selene(64), 512)
    best = frontier(every)
    assert [s.time for _, s in every] == sorted(s.time for _, s in every)
    assert 2 < len(best) < len(every) / 10
    for one in every:
        beaten = [f for f in best if f[1].time <= one[1].time and f[1].memory <= one[1].memory]
        assert beaten
    for a, b in pairwise(best):
        assert a[1].time < b[1].time and a[1].memory > b[1].memory


def test_clusters_by_name() -> None:
    """Data sheet: H100 SXM, 989.4 TFLOP/s dense in 16 bits, 1979 in 8, 80 GB, NVLink 900 GB/s both ways."""
    h100 = Cluster.of("H100 SXM", 16384)
    assert (h100.accelerators, h100.peak, h100.memory, h100.inside, h100.between, h100.watts) == (
        16384, 989.4e12, 80e9, 450e9, 50e9, 700,
    )  # fmt: skip
    assert h100.rent == (2.99, 12.29) and h100.name == "H100 SXM5"
    assert Cluster.of("H800", 8, "fp8").peak == 1979e12 and Cluster.of("A100", 8).between == 25e9
    assert Cluster.of("GB200", 144).per_node == 72 and Cluster.of("TPU v4", 64).per_node == 4096
    own = Cluster.of("H100", 8, between=100e9, efficiency=0.5)
    assert (own.between, own.efficiency) == (100e9, 0.5)
    with pytest.raises(KeyError, match="'H101' is not in the table; choose from"):
        Cluster.of("H101", 8)
    with pytest.raises(ValueError, match="A100 has no peak for 'fp8'; take 'bf16'"):
        Cluster.of("A100", 8, "fp8")


def test_every_row_of_the_table_is_whole_and_says_where_it_is_from() -> None:
    rows = {one.name: one for one in data_sheets().values()}
    assert len(rows) == 24
    for one in rows.values():
        assert 1e14 < one.bf16 < 3e15 and (one.fp8 == 0 or one.bf16 <= one.fp8 <= 5e15), one
        assert 1e10 < one.memory < 3e11 and 1e11 < one.link < 1e12 and one.per_node >= 8, one
        assert one.watts == 0 or 250 <= one.watts <= 1500, one
        assert one.source and bool(one.rent) == bool(one.rent_source), one
        assert list(one.rent) == sorted(one.rent), one
