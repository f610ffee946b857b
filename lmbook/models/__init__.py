"""Level 4: models, one flat file each."""

from lmbook.models.bert import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
)
from lmbook.models.deepseek import DeepSeek, DeepSeekConfig
from lmbook.models.generation import KVCache, generate, sample
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.hub import HubError
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.pretrained import Names, PretrainedModule
from lmbook.models.sentences import SentenceEncoder
from lmbook.models.t5 import T5, T5Config
from lmbook.models.transformer import Transformer, TransformerConfig

__all__ = [
    "GPT", "T5", "BertConfig", "BertForMaskedLM", "BertForPreTraining", "BertForQuestionAnswering",
    "BertForSequenceClassification", "BertModel", "DeepSeek", "DeepSeekConfig", "GPTConfig", "HubError",
    "KVCache", "Llama", "LlamaConfig", "Names", "PretrainedModule", "SentenceEncoder", "T5Config",
    "Transformer", "TransformerConfig", "generate", "sample",
]  # fmt: skip
