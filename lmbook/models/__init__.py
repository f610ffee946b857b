"""Level 4: models, one flat file each."""

from lmbook.models.generation import KVCache, generate, sample
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.transformer import Transformer, TransformerConfig

__all__ = [
    "GPT", "GPTConfig", "KVCache", "Llama", "LlamaConfig", "Transformer", "TransformerConfig",
    "generate", "sample",
]  # fmt: skip
