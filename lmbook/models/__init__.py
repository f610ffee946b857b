"""Level 4: models, one flat file each."""

from lmbook.models.autoint import AutoInt, AutoIntConfig
from lmbook.models.factorization_machine import DeepFM, FactorizationMachine, FieldConfig
from lmbook.models.generation import KVCache, generate, sample
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.matrix_factorization import (
    MatrixFactorization,
    fit_als,
    fit_implicit_als,
)
from lmbook.models.ncf import GMF, MLP, NCFConfig, NeuMF
from lmbook.models.transformer import Transformer, TransformerConfig

__all__ = [
    "GMF", "GPT", "MLP", "AutoInt", "AutoIntConfig", "DeepFM", "FactorizationMachine", "FieldConfig",
    "GPTConfig", "KVCache", "Llama", "LlamaConfig", "MatrixFactorization", "NCFConfig", "NeuMF",
    "Transformer", "TransformerConfig", "fit_als", "fit_implicit_als", "generate", "sample",
]  # fmt: skip
