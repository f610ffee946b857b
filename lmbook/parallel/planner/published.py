"""Training runs that were published, with their layouts and what was measured.

`reported` is the MFU, in 0 to 1, and `derived` says from what it was computed, if it is not printed; `source`
names the bibliography entry and the place. Where a paper does not print a part of the layout, `note` says
what is assumed.
"""

from dataclasses import dataclass, replace

from lmbook.parallel.planner.cluster import Cluster
from lmbook.parallel.planner.model import Transformer
from lmbook.parallel.planner.step import Layout, Step, predict
from lmbook.parallel.planner.tables import LLAMA_3_TABLE_4, SC21_TABLE_1

LLAMA_8B = Transformer(32, 4096, 32, 128256, 8192, 14336, 8, True)
LLAMA_405B = Transformer(126, 16384, 128, 128256, 8192, 53248, 8, True)
PALM_540B = Transformer(118, 18432, 48, 256000, 2048, 73728, 1, True, tied=True, head=256)
MT_NLG_530B = Transformer(105, 20480, 128)
GPT_3 = Transformer(96, 12288, 96)
SC21_1T = Transformer(128, 25600, 160)
INTELLECT_1 = Transformer(42, 4096, 32, 128256, 8192, 14336, 8, True)

_h, _q, _kv, _a = 7168, 1536, 512, 128  # latent attention: low-rank queries, keys and values
DEEPSEEK_V3 = Transformer(
    61, _h, _a, 129280, 4096, 18432, llama=True, head=160,  # 192 for queries and keys, 128 for values
    attention=_h * _q + _q * _a * 192 + _h * (_kv + 64) + _kv * _a * 256 + _a * 128 * _h,
    experts=256, top_k=8, shared=1, expert_ffn=2048, dense=3, nodes=4,
)  # fmt: skip


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
    derived: str = ""

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
                "microbatch 1 and no interleaving are assumed", "TFLOP/s")
        )  # fmt: skip
    return found


def llama() -> list[Run]:
    """Llama 3 405B, the three rows of Table 4; data parallel 8 in the third, where 4 is printed."""
    found = []
    for n, t, c, p, _, s, each, _, percent in LLAMA_3_TABLE_4:
        d = n // (t * c * p)
        found.append(
            Run(f"Llama 3 405B, {n:,} GPUs, {s // 1024}K positions", replace(LLAMA_405B, sequence=s),
                Cluster.of("H100", n), Layout(d, p, t, c, 1, 1, 8, "selective"), d * each,
                percent / 100, "dubey2024, Table 4", "8 chunks for each stage are assumed")
        )  # fmt: skip
    return found


def runs() -> list[Run]:
    """All of them: Megatron-LM, Llama 3, PaLM, DeepSeek-V3, torchtitan, and one node of INTELLECT-1."""
    deepseek = 1e12 / (
        180e3 * 3600
    )  # tokens a second and GPU, from 180K GPU-hours per trillion tokens
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
            deepseek * DEEPSEEK_V3.flops_per_token() / v3.peak, "deepseek2024, section 3.2, Table 1",
            "of the FP8 peak; microbatch 1 and a plain 1F1B pipeline in place of DualPipe are assumed",
            "hours"),
        Run("torchtitan, Llama 3.1 8B, 128 GPUs", titan, h100,
            Layout(128, 1, 1, 1, 2, 3, 1, "selective", overlap=True), 256,
            6514 * titan.flops_per_token() / h100.peak, "torchtitan2024, Table 3, compiled",
            "cards of 500 W, slower than the H100's data sheet", "tokens a second"),
        Run("INTELLECT-1, one node", INTELLECT_1, Cluster.of("H100", 8),
            Layout(8, 1, 1, 1, 1, 3, 1, "full", overlap=True), 128, 0.433,
            "jaghouar2024, Table 2, without meetings", "layout from the run's configuration file"),
    ]  # fmt: skip
