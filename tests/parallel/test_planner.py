"""The planners against published tables; each test names its paper, and misses are stated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmbook.models.gpt import GPT, GPTConfig
from lmbook.parallel import interleaved, one_f_one_b, simulate
from lmbook.parallel.planner import (
    Cluster,
    Layout,
    Transformer,
    activation_bytes,
    daly,
    goodput,
    mfu,
    plan,
    predict,
    state_bytes,
    training_days,
    young,
)

A100 = 312e12


def test_parameters_are_those_of_the_books_gpt() -> None:
    for l, h, a in ((2, 8, 2), (3, 12, 4)):
        model = GPT(GPTConfig(vocab_size=17, block_size=6, n_layer=l, n_head=a, n_embd=h))
        # the closing norm, 2 h, is not in the paper's formula
        assert model.num_parameters() == Transformer(l, h, a, 17, 6).parameters() + 2 * h


def test_zero_paper_table_1() -> None:
    """Rajbhandari et al. 2020, Table 1: GB a device, stages 1, 2, 3."""
    rows = {
        (7.5e9, 1): (120, 120, 120), (7.5e9, 4): (52.5, 41.3, 30), (7.5e9, 64): (31.4, 16.6, 1.88),
        (1e12, 1024): (4011, 2013, 15.6),
    }  # fmt: skip
    for (parameters, n), printed in rows.items():
        for stage, gb in zip((1, 2, 3), printed):
            assert state_bytes(parameters, n, stage) / 1e9 == pytest.approx(gb, rel=0.005)
    with pytest.raises(ValueError, match="stage 4 must be 0 to 3"):
        state_bytes(1, 1, 4)


# Narayanan et al. 2021, Table 1: billions, heads, width, layers, t, p, GPUs, batch, TFLOP/s for each GPU
SC21 = [
    (1.7, 24, 2304, 24, 1, 1, 32, 512, 137),
    (3.6, 32, 3072, 30, 2, 1, 64, 512, 138),
    (7.5, 32, 4096, 36, 4, 1, 128, 512, 142),
    (18.4, 48, 6144, 40, 8, 1, 256, 1024, 135),
    (39.1, 64, 8192, 48, 8, 2, 512, 1536, 138),
    (76.1, 80, 10240, 60, 8, 4, 1024, 1792, 140),
    (145.6, 96, 12288, 80, 8, 8, 1536, 2304, 148),
    (310.1, 128, 16384, 96, 8, 16, 1920, 2160, 155),
    (529.6, 128, 20480, 105, 8, 35, 2520, 2520, 163),
    (1008.0, 160, 25600, 128, 8, 64, 3072, 3072, 163),
]


def test_megatron_sc21_table_1_parameters_and_throughput() -> None:
    """All within 0.5 %, but 1.7B (-2.8 %) and 3.6B (-1.1 %), which are rounded."""
    for billions, a, h, l, *_ in SC21:
        miss = Transformer(l, h, a).parameters() / 1e9 / billions - 1
        want = {1.7: -0.028, 3.6: -0.011}.get(billions)
        assert abs(miss) < 0.005 if want is None else miss == pytest.approx(want, abs=0.001)
    assert (
        pytest.approx(502, rel=0.003) == 163e12 * 3072 / 1e15
    )  # 500.7 against 502 PFLOP/s printed


def test_megatron_sc21_equation_4() -> None:
    assert training_days(175e9, 300e9, 1024, 140e12) == pytest.approx(34, abs=0.2)
    assert training_days(1.008e12, 450e9, 3072, 163e12) == pytest.approx(84, abs=0.2)


def test_korthikanti_table_5() -> None:
    """MFU from the iteration's time. Their HFU counts 12 s^2 h a layer for attention's recomputation, where
    the forward part alone is 4: by their formula 43.7 and so on, by ours 0.3 to 1.3 points less."""
    rows = [  # layers, width, heads, GPUs, batch, seconds, MFU, HFU
        (48, 6144, 64, 8, 4, 1.10, 41.5, 43.7),
        (96, 12288, 96, 64, 64, 13.75, 51.4, 52.8),
        (105, 20480, 128, 280, 280, 37.83, 56.0, 57.0),
        (128, 25600, 160, 512, 512, 71.49, 56.3, 57.0),
    ]
    for l, h, a, n, batch, seconds, printed, hardware in rows:
        model = Transformer(l, h, a)
        speed = batch * 2048 / seconds
        flops = model.flops_per_token()
        assert 100 * mfu(speed, flops, n, A100) == pytest.approx(printed, abs=0.2)
        theirs = flops + 12 * 2048 * h * l
        assert 100 * mfu(speed, theirs, n, A100) == pytest.approx(hardware, abs=0.2)
        ours = 100 * mfu(speed, model.flops_per_token(recompute="selective"), n, A100)
        assert printed < ours < hardware and 0.2 < hardware - ours < 1.5


def test_korthikanti_activations() -> None:
    """5 a s / h = 80, 64; selective recomputation saves 70 %, 65 %, with sequence parallelism four fifths.

    "Just under 20 %" in the paper: 18.5 % for 175B, but 20.2 % for 530B.
    """
    for (l, h, a), term, saved in (((96, 12288, 96), 80, 0.70), ((105, 20480, 128), 64, 0.65)):
        model = Transformer(l, h, a)
        assert 5 * a * 2048 / h == term
        whole, less = (activation_bytes(model, 1, recompute=r) for r in ("none", "selective"))
        assert 1 - less / whole == pytest.approx(saved, abs=0.005)
        best = activation_bytes(model, 1, 8, True, "selective")
        left = best / activation_bytes(model, 1, 8)
        assert left == pytest.approx(0.185 if term == 80 else 0.202, abs=0.001)
        assert activation_bytes(model, 1, 8, True, "full") < best


def test_palm_and_mt_nlg() -> None:
    """Chowdhery et al. 2022, section 4.1 and Table 3: MFU with and without attention."""
    for n, l, width, speed, chips, peak, printed in (
        (540.35e9, 118, 48 * 256, 238.3e3, 6144, 275e12, (46.2, 45.7)),
        (530e9, 105, 20480, 65.43e3, 2240, A100, (30.2, 29.7)),
    ):
        for extra, percent in zip((12 * l * width * 2048, 0), printed):
            assert 100 * mfu(speed, 6 * n + extra, chips, peak) == pytest.approx(percent, abs=0.1)


def test_chinchilla_table_3() -> None:
    """Hoffmann et al. 2022: 6 N D within 1 %, but for 67B, whose tokens are rounded (4.7 %)."""
    rows = {
        400e6: (8.0e9, 1.92e19), 1e9: (20.2e9, 1.21e20), 10e9: (205.1e9, 1.23e22), 67e9: (1.5e12, 5.76e23),
        175e9: (3.7e12, 3.85e24), 280e9: (5.9e12, 9.90e24),
        520e9: (11.0e12, 3.43e25), 1e12: (21.2e12, 1.27e26),
    }  # fmt: skip
    for n, (tokens, flop) in rows.items():
        miss = 6 * n * tokens / flop - 1
        assert miss == pytest.approx(0.047, abs=0.001) if n == 67e9 else abs(miss) < 0.011


def test_deepseek_v3_and_llama_3() -> None:
    assert pytest.approx(3.7, abs=0.05) == 180e3 / 2048 / 24 and pytest.approx(2664) == 180 * 14.8
    assert pytest.approx(3.8e25, rel=0.005) == 6 * 405e9 * 15.6e12
    for tflops, printed in ((430, 43), (400, 41), (380, 38)):  # 40.4 is printed as 41
        assert tflops / 989 * 100 == pytest.approx(printed, abs=0.6)
    assert pytest.approx(3.09, abs=0.01) == 54 * 24 / 419


def test_goodput_against_monte_carlo_and_llama_3s_90_percent() -> None:
    """Over 90 % wants a checkpoint under about 30 s and recovery under 5 minutes."""
    mtbf = 54 * 86400 / 419
    best = daly(30, mtbf)
    assert best == pytest.approx(young(30, mtbf), rel=0.05)
    assert goodput(best, 30, 300, mtbf) == pytest.approx(0.904, abs=0.001)
    assert goodput(daly(120, mtbf), 120, 300, mtbf) < 0.9 > goodput(daly(30, mtbf), 30, 600, mtbf)
    around = [goodput(best * f, 30, 300, mtbf) for f in (0.9, 1.0, 1.1)]
    assert max(around) == around[1]

    rng = np.random.default_rng(0)
    interval, save, restart, pieces = 900.0, 60.0, 400.0, 400_000
    # a piece succeeds with q = e^(-(t + C) / M); before that, failed tries, each with failed restarts
    m = 5000.0
    failures = rng.geometric(math.exp(-(interval + save) / m), pieces) - 1
    lost = -m * np.log1p(-rng.random(failures.sum()) * -math.expm1(-(interval + save) / m))
    tries = rng.geometric(math.exp(-restart / m), failures.sum()) - 1
    again = -m * np.log1p(-rng.random(tries.sum()) * -math.expm1(-restart / m))
    whole = pieces * (interval + save) + lost.sum() + failures.sum() * restart + again.sum()
    assert pieces * interval / whole == pytest.approx(goodput(interval, save, restart, m), abs=5e-4)
    with pytest.raises(ValueError, match="mean time between failures of 0"):
        goodput(1, 1, 1, 0)


def selene(n):
    """NVIDIA's Selene: A100 80 GB, NVLink 300 GB/s a way, and 25 GB/s of InfiniBand for each (SC21)."""
    return Cluster(n, A100, 80e9, 8, 300e9, 25e9, efficiency=0.6)


def test_predictions_for_megatron_sc21_table_1() -> None:
    """TFLOP/s for each GPU against those printed, with nothing fitted but the efficiency, 0.6.

    Within 6 % from 145B on; 10 % up to 76B; +24 % and +17 % for the two smallest models, whose matrices are
    too small to reach that efficiency.
    """
    misses = {}
    for billions, a, h, l, t, p, n, batch, printed in SC21:
        model = Transformer(l, h, a)
        layout = Layout(n // t // p, p, t, 1, 1, 0, 1, "full", False)
        step = predict(model, selene(n), layout, batch)
        hardware = model.flops_per_token(recompute="full") * step.tokens_per_second / n / 1e12
        misses[billions] = hardware / printed - 1
        assert step.memory < 80e9
    for billions, miss in misses.items():
        assert abs(miss) < (0.25 if billions < 7 else 0.105 if billions < 100 else 0.06), misses


def test_plans_fit_explain_themselves_and_are_the_best_of_all() -> None:
    small = plan(Transformer(24, 2304, 24), selene(8), 64)
    assert small.step.memory <= 0.9 * 80e9 and small.layout.accelerators == 8
    assert small.layout.pipeline == 1  # a small model needs no pipeline
    large = plan(Transformer(96, 12288, 96), selene(1024), 1536)
    assert (
        large.layout.tensor > 1 and large.step.memory <= 0.9 * 80e9 and 0.3 < large.step.mfu < 0.6
    )
    text = large.explain()
    for word in ("data", "pipeline", "tensor", "MFU", "memory", "too large", "next"):
        assert word in text
    assert all(s.time >= large.step.time for _, s in large.others) and large.too_large > 0
    huge = plan(
        Transformer(128, 25600, 160), Cluster(98304, 989e12, 80e9, 8, 450e9, 50e9), 98304 // 8
    )
    assert huge.layout.accelerators == 98304
    with pytest.raises(
        ValueError, match=r"nothing fits 80 GB on 8 accelerators; the smallest needs \d+"
    ):
        plan(Transformer(96, 12288, 96), selene(8), 64)


def test_predict_refuses_what_does_not_divide() -> None:
    model = Transformer(24, 2304, 24)
    for layout, match in (
        (Layout(data=3), "64 sequences by data x microbatch = 3"),
        (Layout(context=3), "2048 positions by twice context = 6"),
        (Layout(tensor=7), "24 heads by tensor = 7"),
        (Layout(pipeline=3, chunks=2), "64 microbatches are no multiple of 3"),
    ):
        with pytest.raises(ValueError, match=match):
            predict(model, selene(8), layout, 64)


LLAMA = {"vocab": 128256, "ffn": 53248, "kv_heads": 8, "llama": True}


def test_llama_3_parameters_and_table_4() -> None:
    """Dubey et al. 2024, Table 4: BF16 MFU 43, 41, 38 %. Their chunks a rank are not printed; 8 is assumed.

    With the same efficiency as for A100s, 0.6, the model is 5 to 7 % too fast. It counts 95 GB, where they
    fit 80 by means that it does not know.
    """
    assert Transformer(126, 16384, 128, **LLAMA).parameters() == pytest.approx(405.9e9, rel=1e-3)
    assert (
        Transformer(32, 4096, 32, 128256, ffn=14336, kv_heads=8, llama=True).parameters()
        == 8_030_261_248
    )
    rows = [  # GPUs, tensor, context, pipeline, data, positions, sequences, MFU; data 8, not 4, in the third
        (8192, 8, 1, 16, 64, 8192, 2048, 0.43),
        (16384, 8, 1, 16, 128, 8192, 2048, 0.41),
        (16384, 8, 16, 16, 8, 131072, 128, 0.38),
    ]
    for n, t, c, p, d, positions, batch, printed in rows:
        model = Transformer(126, 16384, 128, sequence=positions, **LLAMA)
        cluster = Cluster(n, 989e12, 80e9, 8, 450e9, 50e9)
        layout = Layout(d, p, t, c, 1, 1, 8, "selective")
        assert layout.accelerators == n
        step = predict(model, cluster, layout, batch)
        assert 0.04 < step.mfu / printed - 1 < 0.08
        assert step.memory == pytest.approx(95e9, rel=0.01)


def test_long_sequences_are_divided() -> None:
    model = Transformer(32, 4096, 32, 128256, 131072, ffn=14336, kv_heads=8, llama=True)
    found = plan(model, Cluster(64, 989e12, 80e9, 8, 450e9, 50e9), 64)
    assert found.layout.context > 1 and "context" in found.explain()
    short = plan(Transformer(32, 4096, 32, 128256, 2048, ffn=14336, llama=True), selene(64), 1024)
    assert short.layout.context == 1


def test_torchtitan_is_a_limit_of_the_bubble() -> None:
    """Liang et al. 2024: 405B with 8 stages, from 1F1B 100 to interleaved 128 tokens/s for each GPU.

    With 32 microbatches and two chunks, which are assumed, the bubble explains a factor of 1.10 of the 1.28.
    """
    plain, woven = simulate(one_f_one_b(8, 32)), simulate(interleaved(8, 32, 2))
    assert plain.time / woven.time == pytest.approx(1.10, abs=0.005)
