"""Every published size, built as shapes only, has as many parameters as transformers' own build of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from proofs import sized
from references import (
    bert_reference,
    deepseek_reference,
    gpt_reference,
    llama_reference,
    t5_reference,
)

from lmbook import models, nn
from lmbook.models import bert, deepseek, gpt, llama, t5

FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "gpt": (models.GPT, gpt_reference, gpt.SIZES),
    "bert": (models.BertForPreTraining, bert_reference, bert.SIZES),
    "t5": (models.T5, t5_reference, t5.SIZES),
    "llama": (models.Llama, llama_reference, llama.SIZES),
    "deepseek": (models.DeepSeek, deepseek_reference, deepseek.SIZES),
}
ALL = [(family, name) for family, (_, _, sizes) in FAMILIES.items() for name in sizes]
PRINTED = {  # in the papers and on the pages of the checkpoints
    "gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200, "gpt3-175b": 174_604_259_328, "t5-small": 60_506_624,
    "t5-base": 222_903_552, "t5-large": 737_668_096, "t5-3b": 2_851_598_336,
    "t5-11b": 11_307_321_344, "t5-v1_1-small": 76_961_152, "t5-v1_1-base": 247_577_856,
    "t5-v1_1-large": 783_150_080, "t5-v1_1-xl": 2_849_757_184, "t5-v1_1-xxl": 11_135_332_352,
    "bert-base-uncased": 110_106_428, "llama-2-7b": 6_738_415_616, "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192, "llama-3-8b": 8_030_261_248, "llama-3-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800, "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824, "mistral-7b": 7_241_732_096, "mixtral-8x7b": 46_702_792_704,
    "qwen2.5-0.5b": 494_032_768, "qwen2.5-7b": 7_615_616_512, "qwen2.5-72b": 72_706_203_648,
    "qwen3-0.6b": 596_049_920, "qwen3-8b": 8_190_735_360, "qwen3-32b": 32_762_123_264,
    "deepseek-v2-lite": 15_706_484_224, "deepseek-v3": 671_026_404_352,
}  # fmt: skip
TABLE = {  # table 2.1 of Brown et al. 2020
    "gpt3-small": 125e6, "gpt3-medium": 350e6, "gpt3-large": 760e6, "gpt3-xl": 1.3e9,
    "gpt3-2.7b": 2.7e9, "gpt3-6.7b": 6.7e9, "gpt3-13b": 13e9, "gpt3-175b": 175e9,
}  # fmt: skip


@cache
def ours(family: str, name: str) -> dict[str, int]:
    build, _, sizes = FAMILIES[family]
    with nn.shapes_only():
        model = build(sizes[name])
    return {
        "count": model.num_parameters(),
        "bytes": model.num_bytes() - 4 * sum(b.numel() for _, b in model.named_buffers()),
        "active": model.active_parameters() if family == "deepseek" else 0,
    }


@pytest.mark.parametrize(("family", "name"), ALL, ids=[name for _, name in ALL])
def test_as_many_as_the_reference_has(family: str, name: str) -> None:
    _, reference, sizes = FAMILIES[family]
    kind, config = reference(sizes[name])
    with torch.device("meta"):
        theirs = kind(config)
    want = sum(p.numel() for p in theirs.parameters())
    if family == "t5" and not sizes[name].tie_word_embeddings:
        assert theirs.lm_head.weight is theirs.shared.weight  # built so, untied as it loads
        want += theirs.shared.weight.numel()
    assert want == PRINTED.get(name, want)
    kind = FAMILIES[family][0]
    sized(name, kind, ours(family, name)["count"], want, f"transformers {type(theirs).__name__}")
    if name in PRINTED:
        sized(name, kind, ours(family, name)["count"], PRINTED[name], "pinned")
    assert ours(family, name)["bytes"] == 4 * want


def test_gpt_3s_table() -> None:
    for name, count in TABLE.items():
        sized(
            name, models.GPT, ours("gpt", name)["count"], count, "table 2.1 of brown2020", within=0.02
        )  # fmt: skip


def test_llamas_formula() -> None:
    for name, config in llama.SIZES.items():
        assert llama.parameter_count(config) == ours("llama", name)["count"]


def test_active_parameters_of_deepseek() -> None:
    """21B of V2's 236B and 37B of V3's 671B, as the reports say (they leave the embedding out)."""
    for name, count, source in (
        ("deepseek-v2", 21e9, "DeepSeek-V2's report"), ("deepseek-v3", 37e9, "deepseek2024"),
    ):  # fmt: skip
        active = ours("deepseek", name)["active"]
        sized(name, models.DeepSeek, active, count, source, within=0.02, counted="active")
