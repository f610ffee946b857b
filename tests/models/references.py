"""transformers' models: with the configuration of each of ours, and saved with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from lmbook.models import bert, deepseek, gpt, llama, t5

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
Reference = tuple[type[PreTrainedModel], PreTrainedConfig]


def save(
    kind: type[PreTrainedModel], config: PreTrainedConfig, folder: Path, **options: Any
) -> Any:
    """A reference with random weights, written to `folder`, ready to evaluate."""
    torch.manual_seed(0)
    config._experts_implementation = "eager"  # the other one has no float64
    reference: Any = kind(config).eval()
    with torch.no_grad():
        for p in reference.parameters():
            p.normal_(0, 0.25)
        for name, b in reference.named_buffers():
            if name.endswith("e_score_correction_bias"):
                b.normal_(0, 0.1)
    reference.save_pretrained(folder, **options)
    return reference


def gpt_reference(c: gpt.GPTConfig) -> Reference:
    sizes = {
        "n_positions": c.block_size,
        "n_embd": c.n_embd,
        "n_layer": c.n_layer,
        "n_head": c.n_head,
    }
    return transformers.GPT2LMHeadModel, transformers.GPT2Config(vocab_size=c.vocab_size, **sizes)


def bert_reference(c: bert.BertConfig) -> Reference:
    return transformers.BertForPreTraining, transformers.BertConfig(**vars(c))


def t5_reference(c: t5.T5Config) -> Reference:
    kind = "gated-gelu" if c.gated else "relu"
    sizes = {k: v for k, v in vars(c).items() if k not in ("gated", "num_decoder_layers")}
    return (
        transformers.T5ForConditionalGeneration,
        transformers.T5Config(feed_forward_proj=kind, **sizes),
    )


def llama_reference(c: llama.LlamaConfig) -> Reference:
    sizes = dict(vars(c))
    rope = {"rope_type": "default", **(sizes.pop("rope_scaling") or {})}
    sizes["rope_parameters"] = rope | {"rope_theta": sizes.pop("rope_theta")}
    sizes["head_dim"] = c.head_width
    experts, bias, norm = (sizes.pop(k) for k in ("num_experts", "qkv_bias", "qk_norm"))
    if not c.sliding_window:
        sizes.pop("sliding_window")
    if experts:
        sizes["num_local_experts"] = experts
    name = "Mixtral" if experts else "Qwen2" if bias else "Qwen3" if norm else "Llama"
    if name == "Llama" and c.sliding_window:
        name = "Mistral"
    return _causal(name, sizes)


def deepseek_reference(
    c: deepseek.DeepSeekConfig,
) -> Reference:
    sizes = dict(vars(c), num_key_value_heads=c.num_attention_heads)
    sizes["q_lora_rank"] = c.q_lora_rank or None
    rope = {"rope_type": "default", **(sizes.pop("rope_scaling") or {})}
    sizes["rope_parameters"] = rope | {"rope_theta": sizes.pop("rope_theta")}
    v3 = sizes.pop("sigmoid_scores")
    if v3:
        return _causal("DeepseekV3", sizes)
    sizes["topk_method"] = "group_limited_greedy" if c.n_group > 1 else "greedy"
    return _causal("DeepseekV2", sizes | {"head_dim": c.qk_rope_head_dim})


def _causal(name: str, sizes: dict[str, Any]) -> Reference:
    config = getattr(transformers, f"{name}Config")(**sizes)
    return getattr(transformers, f"{name}ForCausalLM"), config
