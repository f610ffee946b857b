"""Published figures beside the planner's: the rows of the page that `book.tools.plans` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmbook.parallel import gpipe, interleaved, one_f_one_b, simulate
from lmbook.parallel.planner import (
    BESIROGLU,
    HOFFMANN,
    Cluster,
    Regions,
    Transformer,
    activation_bytes,
    bill,
    daly,
    goodput,
    mfu,
    predict,
    published,
    state_bytes,
    tables,
    training_days,
)


@dataclass(frozen=True)
class Check:
    """A published figure, or several, and the planner's."""

    number: str
    what: str
    pairs: Sequence[tuple[float, float]]
    """(Reported, model)."""
    form: str
    """Format of one figure, with its unit."""
    why: str

    def miss(self) -> str:
        """In per cent: one figure, or the least and the largest."""
        misses = sorted(
            {percent(model / reported - 1) for reported, model in self.pairs}, key=float
        )
        text = misses[0] if len(misses) == 1 else f"{misses[0]} to {misses[-1]}"
        return f"{text} %".replace("-", "\N{MINUS SIGN}")

    def cells(self) -> list[str]:
        """The cells of a row."""
        shown = list(self.pairs) if len(self.pairs) <= 4 else [self.pairs[0], self.pairs[-1]]
        gap = " / " if len(self.pairs) <= 4 else f" … {len(self.pairs)} figures … "
        texts = [gap.join(self.form.format(pair[i]) for pair in shown) for i in (0, 1)]
        return [self.what, *texts, self.miss(), self.why]


def percent(x: float) -> str:
    """With a sign and one digit; zero has no sign."""
    return f"{100 * x + 0.0:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")


def checks() -> list[Check]:
    """All comparisons of figures that follow from sizes, in the order of their subjects' numbers."""
    every = [*_memory(), *_arithmetic(), *_pipelines(), *_runs(), *_regions()]
    return sorted(every, key=lambda one: int(one.number or 99))


def _memory() -> list[Check]:
    zero = [
        Check(
            "1",
            f"GB for {n / 1e9:g}B on {ranks}, ZeRO-1/2/3, {{cite}}`rajbhandari2020`, Table 1",
            [
                (gb, state_bytes(n, ranks, z) / 1e9)
                for z, gb in zip((1, 2, 3), printed, strict=True)
            ],
            "{:.4g}",
            "rounding",
        )
        for n, ranks, printed in tables.ZERO_TABLE_1[1:]
    ]
    saved, left = [], []
    for model, share in ((published.GPT_3, 0.70), (published.MT_NLG_530B, 0.65)):
        whole, less = (activation_bytes(model, 1, recompute=r) for r in ("none", "selective"))
        saved.append((100 * share, 100 * (1 - less / whole)))
        best = activation_bytes(model, 1, 8, True, "selective")
        left.append((20, 100 * best / activation_bytes(model, 1, 8)))
    return [
        *zero,
        Check(
            "5",
            "% saved by selective recomputation, 175B, 530B, {cite}`korthikanti2022`",
            saved,
            "{:.1f}",
            "rounding",
        ),
        Check(
            "5",
            '% that sequence parallelism and it leave; "just under 20"',
            left,
            "{:.1f}",
            "530B is just over",
        ),
    ]


def _arithmetic() -> list[Check]:
    sizes = [(b, Transformer(l, h, a).parameters() / 1e9) for b, a, h, l, *_ in tables.SC21_TABLE_1]
    useful, hardware = [], []
    for l, h, a, n, batch, seconds, m, f in tables.KORTHIKANTI_TABLE_5:
        model, peak = Transformer(l, h, a), Cluster.of("A100", 1).peak
        for found, printed, again in ((useful, m, "none"), (hardware, f, "selective")):
            flops = model.flops_per_token(recompute=again)
            found.append((printed, 100 * mfu(batch * 2048 / seconds, flops, n, peak)))
    palm = []
    for big, speed, chips, name, printed in (
        (published.PALM_540B, 238.3e3, 6144, "TPU v4", (46.2, 45.7)),
        (published.MT_NLG_530B, 65.43e3, 2240, "A100", (30.2, 29.7)),
    ):
        inside = big.flops_per_token() - big.flops_per_token(attention=False)
        for percent, extra in zip(printed, (inside, 0.0), strict=True):
            flops, peak = 6 * big.parameters() + extra, Cluster.of(name, 1).peak
            palm.append((percent, 100 * mfu(speed, flops, chips, peak)))
    pass_ = [(flop, 6 * n * d) for n, d, flop in tables.CHINCHILLA_TABLE_3]
    budget = 6 * 70e9 * 1.4e12
    ratios = [
        (r, d / n) for r, law in ((93, HOFFMANN), (18, BESIROGLU)) for n, d in [law.optimum(budget)]
    ]
    days = [
        (34, training_days(175e9, 300e9, 1024, 140e12)),
        (84, training_days(1.008e12, 450e9, 3072, 163e12)),
    ]
    return [
        Check(
            "2",
            "billions of parameters, {cite}`narayanan2021`, Table 1",
            sizes,
            "{:.1f}",
            "1.7B and 3.6B are rounded; the others are within 0.5 %",
        ),
        Check(
            "2",
            "PFLOP/s of 3072 GPUs at 163 TFLOP/s, Table 1",
            [(502, 163 * 3072 / 1e3)],
            "{:.1f}",
            "rounding",
        ),
        Check("3", "days for GPT-3 and for 1T, equation 4", days, "{:.1f}", "rounding"),
        Check(
            "4",
            "MFU in % from the time of a step, {cite}`korthikanti2022`, Table 5",
            useful,
            "{:.1f}",
            "rounding",
        ),
        Check(
            "4",
            "HFU in %, the same table",
            hardware,
            "{:.1f}",
            "they count attention's recomputation as 12 s² h a layer; its forward part is 4",
        ),
        Check(
            "8",
            "MFU in % with and without attention, PaLM, then MT-NLG, {cite}`chowdhery2022`, Table 3",
            palm,
            "{:.1f}",
            "rounding",
        ),
        Check(
            "9",
            "FLOP as 6 N D, {cite}`hoffmann2022`, Table 3",
            pass_,
            "{:.3g}",
            "67B has rounded tokens",
        ),
        Check(
            "9",
            "tokens a parameter at Chinchilla's budget, old fit and new, {cite}`besiroglu2024`",
            ratios,
            "{:.0f}",
            "rounding; the two fits differ by a factor of five",
        ),
    ]


def _pipelines() -> list[Check]:
    p, m = 8, 32
    idle = [
        ((p - 1) / (m + p - 1), simulate(gpipe(p, m)).idle),
        ((p - 1) / (m + p - 1), simulate(one_f_one_b(p, m)).idle),
        ((p - 1) / (2 * m + p - 1), simulate(interleaved(p, m, 2)).idle),
    ]
    kept = [(1 + (p - 1) / (p * v), simulate(interleaved(p, m, v)).peak[0] / v / p) for v in (2, 4)]
    titan = simulate(one_f_one_b(p, m)).time / simulate(interleaved(p, m, 2)).time
    return [
        Check(
            "6",
            "activations of interleaving over 1F1B's, 2 and 4 chunks, {cite}`korthikanti2022`",
            kept,
            "{:.3f}",
            "the simulated schedule is exact for more microbatches than stages",
        ),
        Check(
            "7",
            "idle share: GPipe, 1F1B, interleaved by 2; 8 stages, {cite}`narayanan2021`",
            idle,
            "{:.4f}",
            "the simulated schedules are exact",
        ),
        Check(
            "15",
            "interleaved over 1F1B, Llama 3.1 405B on 512 GPUs, {cite}`torchtitan2024`, Table 5",
            [(128 / 100, titan)],
            "{:.2f}",
            "the bubble alone; microbatches of 1 and 2 chunks are assumed, overlap of messages is left out",
        ),
    ]


def _runs() -> list[Check]:
    h800, h100 = Cluster.of("H800", 2048), Cluster.of("H100", 16384)
    speed = 1e12 / (180e3 * 3600) * 2048
    whole = bill(h800, speed, 14.8e12)
    v3 = next(r for r in published.runs() if r.name == "DeepSeek-V3")
    parts = predict(v3.model, v3.cluster, replace(v3.layout, overlap=False), v3.batch).seconds
    model = published.LLAMA_405B
    shares = [
        (percent, 100 * mfu(teraflops * 1e12, 1, 1, h100.peak))
        for *_, teraflops, percent in tables.LLAMA_3_TABLE_4
    ]
    failures = sum(count for count, _ in tables.LLAMA_3_TABLE_5.values())
    mtbf = 54 * 86400 / failures
    flops = published.LLAMA_8B.flops_per_token()
    small = [(p, 100 * mfu(8 * s, flops, 8, h100.peak)) for s, p in ((5762, 33), (6667, 39))]
    rate = 0.41 * h100.peak * h100.accelerators / model.flops_per_token()
    rent = bill(h100, rate, 15.6e12, goodput=0.9).rent
    return [
        Check(
            "10",
            "days for 10¹² tokens on 2048 GPUs, DeepSeek-V3, {cite}`deepseek2024`, Table 1",
            [(3.7, bill(h800, speed, 1e12).days)],
            "{:.2f}",
            "rounding",
        ),
        Check(
            "10",
            "thousand GPU-hours for 14.8 × 10¹² tokens",
            [(2664, whole.hours / 1e3)],
            "{:.0f}",
            "",
        ),
        Check(
            "10",
            "million dollars at 2 an hour, for 2.788M hours",
            [(5.576, 2.788 * h800.rent[0])],
            "{:.3f}",
            "",
        ),
        Check(
            "10",
            "billions of parameters, all and active",
            [(671, v3.model.parameters() / 1e9), (37, v3.model.active_parameters() / 1e9)],
            "{:.1f}",
            "with the embedding; without it 36.6 are active",
        ),
        Check(
            "10",
            'computation over the experts\' all-to-all, before overlap; "approximately 1:1"',
            [(1, parts["compute"] / parts["expert"])],
            "{:.2f}",
            "0.6 of the FP8 peak, messages of 16 bits; the ratio goes with 1 / 0.6, so 0.5 makes 1.16",
        ),
        Check(
            "11",
            "MFU in % of 430, 400, 380 TFLOP/s, Llama 3, {cite}`dubey2024`, Table 4",
            shares,
            "{:.1f}",
            "rounding; 40.4 is printed as 41",
        ),
        Check(
            "12",
            "FLOP for 405B on 15.6 × 10¹² tokens",
            [(3.8e25, model.flops_per_token(attention=False) * 15.6e12)],
            "{:.3g}",
            "rounding",
        ),
        Check(
            "13",
            "unexpected interruptions in 54 days, Table 5, whose rows are added up here",
            [(419, failures)],
            "{:.0f}",
            f"one in {mtbf / 3600:.2f} hours",
        ),
        Check(
            "",
            "million dollars of rent, {cite}`cottier2024`; the model has 2.99 and 12.29 an hour",
            [(170, rent[0] / 1e6), (170, rent[1] / 1e6)],
            "{:.0f}",
            "rent on demand differed by a factor of four in one month of 2025",
        ),
        Check(
            "",
            "MFU in % of 8B on 8 GPUs, without and with a compiler, {cite}`torchtitan2024`",
            small,
            "{:.1f}",
            "rounding",
        ),
    ]


def kept_work() -> float:
    """Llama 3's share of time that is kept, with 30 s (chosen) a checkpoint and 5 minutes a restart."""
    mtbf = 54 * 86400 / sum(count for count, _ in tables.LLAMA_3_TABLE_5.values())
    return goodput(daly(30, mtbf), 30, 300, mtbf)


def _regions() -> list[Check]:
    model, n = published.INTELLECT_1, published.INTELLECT_1.parameters()
    peak = Cluster.of("H100", 8).peak
    minutes = 100 * 128 * 8192 * model.flops_per_token() / (8 * peak * 0.433) / 60
    share, used = [], []
    for _, seconds, percent, printed in tables.INTELLECT_TABLE_2:
        link = Regions(n, 14).bytes_per_step() * 100 / seconds
        kept = Regions(n, 14, bandwidth=link).utilisation(38 * 60 / 100)
        share.append((percent, 100 * kept))
        used.append((printed, 43.3 * kept))
    return [
        Check(
            "16",
            "times less traffic than data parallelism, INTELLECT-1, {cite}`jaghouar2024`",
            [(400, Regions(n, 14, every=100, width=1).reduction(4))],
            "{:.0f}",
            "100 steps, and 8 bits for 32; against 16-bit gradients it is 200",
        ),
        Check(
            "16",
            "minutes for 100 steps of a node at 43.3 % MFU, Table 2",
            [(38, minutes)],
            "{:.1f}",
            "128 sequences of 8192 tokens, from the run's configuration; rounding",
        ),
        Check(
            "16",
            "% of time that is computation: USA, USA and Europe, global, Table 2",
            share,
            "{:.1f}",
            "from the printed 38 minutes and 103, 382, 469 s",
        ),
        Check("16", "MFU in %, the same", used, "{:.1f}", "rounding"),
    ]
