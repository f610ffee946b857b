"""Training runs that were published, with their layouts and what was measured.

`reported` is the MFU, in 0 to 1; `source` names the bibliography entry and the place. Where a paper does not
print a part of the layout, `note` says what is assumed.
"""

from dataclasses import dataclass, replace

from lmbook.parallel.planner.cluster import Cluster
from lmbook.parallel.planner.model import Transformer
from lmbook.parallel.planner.step import Layout, Step, predict

LLAMA_8B = Transformer(32, 4096, 32, 128256, 8192, 14336, 8, True)
LLAMA_405B = Transformer(126, 16384, 128, 128256, 8192, 53248, 8, True)
PALM_540B = Transformer(118, 18432, 48, 256000, 2048, 73728, 1, True, tied=True, head=256)
MT_NLG_530B = Transformer(105, 20480, 128)
GPT_3 = Transformer(96, 12288, 96)
INTELLECT_1 = Transformer(42, 4096, 32, 128256, 8192, 14336, 8, True)

_h, _q, _kv, _a = 7168, 1536, 512, 128  # latent attention: low-rank queries, keys and values
DEEPSEEK_V3 = Transformer(
    61, _h, _a, 129280, 4096, 18432, llama=True, head=160,  # 192 for queries and keys, 128 for values
    attention=_h * _q + _q * _a * 192 + _h * (_kv + 64) + _kv * _a * 256 + _a * 128 * _h,
    experts=256, top_k=8, shared=1, expert_ffn=2048, dense=3, nodes=4,
)  # fmt: skip

# billions, heads, width, layers, tensor, pipeline, GPUs, batch, TFLOP/s for each GPU
SC21_TABLE_1 = (
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
)
"""Narayanan et al. 2021, Table 1."""


@dataclass(frozen=True)
class Run:
    """A run as published: the model, where it ran, how it was divided, and its MFU."""

    name: str
    model: Transformer
    cluster: Cluster
    layout: Layout
    batch: int
    reported: float
    source: str
    note: str = ""

    def predict(self) -> Step:
        """What the planner says of the published layout."""
        return predict(self.model, self.cluster, self.layout, self.batch)


def sc21() -> list[Run]:
    """Megatron-LM on up to 3072 A100: full recomputation, no sequence parallelism, no interleaving.

    The table prints hardware FLOP/s, by a formula with recomputation; without that the MFU is three quarters.
    """
    found = []
    for billions, a, h, l, t, p, n, batch, teraflops in SC21_TABLE_1:
        model = Transformer(l, h, a)
        useful = model.flops_per_token() / model.flops_per_token(recompute="full")
        cluster = Cluster.of("A100", n)
        layout = Layout(n // t // p, p, t, 1, 1, 0, 1, "full", False)
        found.append(
            Run(f"Megatron-LM {billions:g}B", model, cluster, layout, batch,
                teraflops * 1e12 * useful / cluster.peak, "narayanan2021, Table 1",
                "microbatch 1 and no interleaving are assumed")
        )  # fmt: skip
    return found


def llama() -> list[Run]:
    """Llama 3 405B, the three rows of Table 4; data parallel 8 in the third, where 4 is printed."""
    rows = (  # GPUs, context, data, positions, sequences, MFU
        (8192, 1, 64, 8192, 2048, 0.43),
        (16384, 1, 128, 8192, 2048, 0.41),
        (16384, 16, 8, 131072, 128, 0.38),
    )
    return [
        Run(f"Llama 3 405B, {n:,} GPUs, {s // 1024}K positions", replace(LLAMA_405B, sequence=s),
            Cluster.of("H100", n), Layout(d, 16, 8, c, 1, 1, 8, "selective"), batch, printed,
            "dubey2024, Table 4", "8 chunks for each stage are assumed")
        for n, c, d, s, batch, printed in rows
    ]  # fmt: skip


def runs() -> list[Run]:
    """All of them: Megatron-LM, Llama 3, PaLM, DeepSeek-V3, torchtitan, and one node of INTELLECT-1."""
    deepseek = 1e12 / (180e3 * 3600)  # tokens a second and GPU, from 180K GPU-hours per trillion tokens
    v3 = Cluster.of("H800", 2048, "fp8", inside=160e9)
    titan = replace(LLAMA_8B, sequence=8192)
    h100 = Cluster.of("H100", 128)
    return [
        *sc21(),
        *llama(),
        Run("PaLM 540B", PALM_540B, Cluster.of("TPU v4", 6144, per_node=6144),
            Layout(512, 1, 12, 1, 4, 3, 1, "full"), 2048, 0.462, "chowdhery2022, section 4.1 and Table 3",
            "two pods taken as one; full recomputation is assumed, theirs was less: HFU 57.8 %"),
        Run("DeepSeek-V3", DEEPSEEK_V3, v3,
            Layout(128, 16, 1, 1, 1, 1, 1, "selective", expert=64, overlap=True), 15360,
            deepseek * DEEPSEEK_V3.flops_per_token() / v3.peak, "deepseek2024v3, sections 3.2 and 4.2, Table 1",
            "of the FP8 peak; microbatch 1 and a plain 1F1B pipeline in place of DualPipe are assumed"),
        Run("torchtitan, Llama 3.1 8B, 128 GPUs", titan, h100, Layout(128, 1, 1, 1, 2, 3, 1, "selective",
            overlap=True), 256, 5605 * titan.flops_per_token() / h100.peak, "liang2024, Llama 3.1 8B on 128 GPUs",
            "cards of 500 W, slower than the H100's data sheet"),
        Run("INTELLECT-1, one node", INTELLECT_1, Cluster.of("H100", 8),
            Layout(8, 1, 1, 1, 1, 3, 1, "full", overlap=True), 128, 0.414 / 0.96,
            "jaghouar2024, abstract: 41.4 % while 96 % of the time is computation",
            "without the time for meetings"),
    ]  # fmt: skip
