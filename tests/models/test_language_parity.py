"""Logits, gradients and written text of the language models against transformers', through its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tr
from proofs import Pair, close
from references import save

from lmbook import functional as F
from lmbook import models, nn, tensor

rng = np.random.default_rng(0)
INDEX = rng.integers(2, 99, (2, 40))
OTHER = rng.integers(2, 99, (2, 30))
TYPES = rng.integers(0, 2, (2, 40))
MASK = np.where(np.arange(40) < np.array([[40], [31]]), 1, 0)
BERT = {
    "vocab_size": 99, "max_position_embeddings": 64, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 48,
}  # fmt: skip
T5 = {
    "vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
}  # fmt: skip
LLAMA = {
    "vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
DEEPSEEK = LLAMA | {
    "num_key_value_heads": 4, "moe_intermediate_size": 24, "n_routed_experts": 8,
    "num_experts_per_tok": 3, "first_k_dense_replace": 1, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 12, "v_head_dim": 10, "num_hidden_layers": 3,
}  # fmt: skip
TWO_GROUPS = {"n_group": 4, "topk_group": 2, "q_lora_rank": 20}


def rope(kind: str, **rest: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, **rest}}


LLAMA3 = rope(
    "llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)
YARN = rope("yarn", original_max_position_embeddings=16)
DEEPSEEK_YARN = rope(
    "yarn", original_max_position_embeddings=16, mscale=1.0, mscale_all_dim=0.707
)  # fmt: skip
BOTH = {"token_type_ids": TYPES, "attention_mask": MASK}


@dataclass
class Case:
    """Our class, the reference's, its configuration, and the inputs under both sides' names."""

    ours: Any
    theirs: str
    config: dict[str, Any]
    inputs: dict[str, Any] = field(default_factory=dict)
    writes: bool = True


def causal(ours: Any, family: str, config: dict[str, Any], **rest: Any) -> Case:
    return Case(ours, f"{family}ForCausalLM", config | rest)


CASES: dict[str, Case] = {
    "gpt2": Case(
        models.GPT, "GPT2LMHeadModel",
        {"vocab_size": 99, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4},
    ),
    "bert": Case(models.BertModel, "BertModel", BERT, BOTH, False),
    "bert, pre-training": Case(models.BertForPreTraining, "BertForPreTraining", BERT, BOTH, False),
    "bert, masked": Case(models.BertForMaskedLM, "BertForMaskedLM", BERT, BOTH, False),
    "bert, classes": Case(
        models.BertForSequenceClassification, "BertForSequenceClassification",
        BERT | {"num_labels": 3}, BOTH, False,
    ),
    "bert, answers": Case(
        models.BertForQuestionAnswering, "BertForQuestionAnswering", BERT, BOTH, False
    ),
    "t5": Case(models.T5, "T5ForConditionalGeneration", T5, {"attention_mask": MASK}),
    "t5, gated": Case(
        models.T5, "T5ForConditionalGeneration",
        T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {"attention_mask": MASK},
    ),
    "llama": causal(models.Llama, "Llama", LLAMA),
    "llama 3": causal(models.Llama, "Llama", LLAMA | LLAMA3, tie_word_embeddings=True),
    "llama, yarn": causal(models.Llama, "Llama", LLAMA | YARN),
    "llama, linear": causal(models.Llama, "Llama", LLAMA | rope("linear")),
    "mistral": causal(models.Llama, "Mistral", LLAMA, sliding_window=7),
    "qwen2": causal(models.Llama, "Qwen2", LLAMA),
    "qwen3": causal(models.Llama, "Qwen3", LLAMA, head_dim=16),
    "mixtral": causal(
        models.Llama, "Mixtral", LLAMA, num_local_experts=4, num_experts_per_tok=2
    ),
    "deepseek v2": causal(
        models.DeepSeek, "DeepseekV2", DEEPSEEK | TWO_GROUPS | DEEPSEEK_YARN, head_dim=8,
        topk_method="group_limited_greedy", routed_scaling_factor=4.0,
    ),
    "deepseek v2, lite": causal(
        models.DeepSeek, "DeepseekV2", DEEPSEEK, head_dim=8, topk_method="greedy", q_lora_rank=None
    ),
    "deepseek v3": causal(models.DeepSeek, "DeepseekV3", DEEPSEEK | TWO_GROUPS),
    "deepseek v3, yarn": causal(
        models.DeepSeek, "DeepseekV3", DEEPSEEK | TWO_GROUPS | DEEPSEEK_YARN, n_shared_experts=2
    ),
}  # fmt: skip
ROUNDED = ("t5", "llama", "mistral", "qwen", "mixtral", "deepseek")
"""Their norms, angles or routers compute in float32, whatever the type of the model."""


def pair(case: Case, folder: Path, **options: Any) -> tuple[Any, Any]:
    kind = getattr(tr, case.theirs)
    theirs = save(kind, kind.config_class(**case.config), folder, **options)
    return case.ours.from_pretrained(folder), theirs


def proof(name: str) -> Pair:
    case = CASES[name]
    kind = getattr(tr, case.theirs).config_class.model_type
    return Pair(name, case.ours, f"transformers {case.theirs}", f"{kind} on the Hub")


def run_ours(model: Any, case: Case) -> tuple[Any, ...]:
    first = (tensor(INDEX), tensor(OTHER)) if isinstance(model, models.T5) else (tensor(INDEX),)
    out = model(*first, **case.inputs)
    return out if isinstance(out, tuple) else (out,)


def run_theirs(model: Any, case: Case) -> tuple[Any, ...]:
    inputs = {k: torch.tensor(v) for k, v in case.inputs.items()}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor(OTHER)
    out = model(torch.tensor(INDEX), **inputs, use_cache=False) if case.writes else model(
        torch.tensor(INDEX), **inputs
    )  # fmt: skip
    names = ("logits", "last_hidden_state", "prediction_logits", "seq_relationship_logits",
             "start_logits", "end_logits")  # fmt: skip
    return tuple(out[name] for name in names if out.get(name) is not None)


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    ours, theirs = pair(case, tmp_path)
    trained = {n for n, p in theirs.named_parameters() if p.requires_grad}
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters()), trained
    for dtype, limit in (
        ("float32", 1e-5),
        ("float64", 1e-6 if name.startswith(ROUNDED) else 1e-12),
    ):
        ours.to(np.dtype(dtype))
        theirs.to(getattr(torch, dtype))
        got, want = run_ours(ours, case), run_theirs(theirs, case)
        assert len(got) == len(want) > 0
        for a, b in zip(got, want, strict=True):
            assert a.shape == tuple(b.shape) and a.dtype == np.dtype(dtype)
            b = b.detach().numpy()
            assert np.abs(b).max() > 0.01
            what = "hidden states" if name == "bert" else "logits"
            close(proof(name), what, a.detach().numpy(), b, limit)
    seeds = [np.random.default_rng(1).standard_normal(a.shape) for a in got]
    sum((a * s).sum() for a, s in zip(got, seeds)).backward()
    torch.autograd.backward(want, [torch.tensor(s) for s in seeds])
    compare_gradients(ours, theirs, name, tmp_path, 1e-5 if name.startswith(ROUNDED) else 1e-11)


def compare_gradients(ours: Any, theirs: Any, name: str, folder: Path, limit: float) -> None:
    """Write the reference's gradients as a checkpoint of the same names, and read them as one."""
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(p.grad if p.grad is not None else torch.zeros_like(p))
    theirs.save_pretrained(folder / "gradients")
    want = CASES[name].ours.from_pretrained(folder / "gradients", dtype=np.float64)
    counted = 0
    for p, (_, g) in zip(ours.parameters(), want.named_parameters(), strict=True):
        got = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        scale = max(1.0, float(np.abs(g.data).max()))
        close(proof(name), "gradients", got, g.data, limit, "max(1, max |y|)", scale)
        counted += float(np.abs(g.data).max()) > 1e-6
    # that of BERT's key biases is 0, as softmax does not see them
    assert counted > 0.8 * len(list(ours.parameters()))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.writes])
def test_text_is_the_same_with_the_cache_and_without(name: str, tmp_path: Path) -> None:
    ours, theirs = pair(CASES[name], tmp_path)
    start, options = INDEX[:, :10], {"max_new_tokens": 12, "do_sample": False}
    want = theirs.generate(torch.tensor(start), eos_token_id=-1, **options).numpy()
    greedy: dict[str, Any] = {"temperature": 0.0}
    cached = ours.generate(start, 12, **greedy)
    np.testing.assert_array_equal(cached, ours.generate(start, 12, use_cache=False, **greedy))
    np.testing.assert_array_equal(cached[:, : want.shape[1]], want[:, : cached.shape[1]])
    assert len(np.unique(cached[:, -12:])) >= 3


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.writes and "t5" not in n])
@pytest.mark.parametrize("pieces", [[1] * 9, [4, 1, 3, 1]])
def test_a_cache_changes_nothing(name: str, pieces: list[int], tmp_path: Path) -> None:
    ours, _ = pair(CASES[name], tmp_path)
    want = ours(tensor(INDEX[:, :9])).data
    cache, start, got = ours.new_cache(2, 9), 0, []
    for n in pieces:
        got.append(ours(tensor(INDEX[:, start : start + n]), cache).data)
        start += n
    np.testing.assert_allclose(np.concatenate(got, axis=1), want, atol=1e-6)


def test_a_latent_cache_is_small() -> None:
    """DeepSeek-V3: 576 numbers a position and layer, where 128 heads would have 128 * (192 + 128)."""
    c = replace(models.deepseek.SIZES["deepseek-v3"], n_routed_experts=8)
    with nn.shapes_only():
        cache = models.DeepSeek(c).new_cache(1, 10)
    assert cache.nbytes == 4 * 61 * 10 * (512 + 64)
    assert 128 * (192 + 128) / 576 > 70


def test_files_in_pieces(tmp_path: Path) -> None:
    ours, theirs = pair(CASES["llama"], tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    got, want = run_ours(ours, CASES["llama"])[0], run_theirs(theirs, CASES["llama"])[0]
    pair_of = replace(proof("llama"), name="llama, files in pieces")
    close(pair_of, "logits", got.detach().numpy(), want.detach().numpy(), 1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bits_are_widened(dtype: str, tmp_path: Path) -> None:
    kind = tr.Qwen2ForCausalLM
    save(kind, kind.config_class(**LLAMA), tmp_path).to(getattr(torch, dtype)).save_pretrained(
        tmp_path
    )
    theirs = kind.from_pretrained(tmp_path, dtype=torch.float32)  # its angles were rounded, too
    ours = models.Llama.from_pretrained(tmp_path)
    got, want = ours(tensor(INDEX)).data, theirs(torch.tensor(INDEX)).logits.detach()
    close(replace(proof("qwen2"), name=f"qwen2, {dtype} file"), "logits", got, want.numpy(), 1e-5)
    half = models.Llama.from_pretrained(tmp_path, dtype=np.float16)
    assert half.num_bytes() * 2 == ours.num_bytes()


def test_the_bias_evens_the_load() -> None:
    config = models.DeepSeekConfig(
        50, 16, 24, 8, 2, 2, 1, 8, 2, 0, sigmoid_scores=True, norm_topk_prob=True, kv_lora_rank=8,
        qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=4,
    )  # fmt: skip
    router = models.deepseek.Router(config)
    x = tensor(np.random.default_rng(0).standard_normal((400, 16)).astype("f4") + 1)
    spread = []
    for _ in range(300):
        router(x)
        spread.append(router.counts.max() / router.counts.mean())
        router.update_bias(0.0005)
    assert spread[0] > 1.2 and spread[-1] < 1.05
    assert router(x)[1].sum(1).data == pytest.approx(np.full(400, 1.0), abs=1e-5)


def test_losses_of_the_heads_go_down() -> None:
    """Each head learns a tiny task of its own in a few steps."""
    from lmbook import manual_seed, optim

    manual_seed(0)
    config = models.BertConfig(30, 16, 1, 2, 32, 12, num_labels=3)
    index = rng.integers(5, 30, (8, 12))
    tasks: list[tuple[Any, Callable[[Any], Any]]] = [
        (models.BertForMaskedLM, lambda y: F.cross_entropy(y.reshape(-1, 30), tensor(index.reshape(-1)))),
        (models.BertForSequenceClassification, lambda y: F.cross_entropy(y, tensor(index[:, 0] % 3))),
        (models.BertForQuestionAnswering, lambda y: F.cross_entropy(y[0], tensor(index.argmax(1)))
         + F.cross_entropy(y[1], tensor(index.argmin(1)))),
        (models.BertForPreTraining, lambda y: F.cross_entropy(y[1], tensor(index[:, 1] % 2))),
    ]  # fmt: skip
    for kind, loss_of in tasks:
        model = kind(config)
        optimizer = optim.AdamW(model.parameters(), lr=1e-2)
        losses = []
        for _ in range(25):
            loss = loss_of(model(tensor(index)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.6 * losses[0], kind
