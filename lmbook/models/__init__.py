"""Level 4: models, one flat file each."""

from lmbook.models.audio_mae import AudioMAE, AudioMAEConfig
from lmbook.models.autoint import AutoInt, AutoIntConfig
from lmbook.models.ctc import (
    AcousticConfig,
    AcousticModel,
    beam_decode,
    greedy_decode,
)
from lmbook.models.factorization_machine import DeepFM, FactorizationMachine, FieldConfig
from lmbook.models.generation import KVCache, generate, sample
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.matrix_factorization import (
    MatrixFactorization,
    fit_als,
    fit_implicit_als,
)
from lmbook.models.ncf import GMF, NCFConfig, NeuMF
from lmbook.models.transformer import Transformer, TransformerConfig
from lmbook.models.wav2vec2 import (
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)
from lmbook.models.wavenet import WaveNet, WaveNetConfig

__all__ = [
    "GMF",
    "GPT",
    "AcousticConfig",
    "AcousticModel",
    "AudioMAE",
    "AudioMAEConfig",
    "AutoInt",
    "AutoIntConfig",
    "DeepFM",
    "FactorizationMachine",
    "FieldConfig",
    "GPTConfig",
    "KVCache",
    "Llama",
    "LlamaConfig",
    "MatrixFactorization",
    "NCFConfig",
    "NeuMF",
    "Transformer",
    "TransformerConfig",
    "Wav2Vec2Config",
    "Wav2Vec2ForCTC",
    "Wav2Vec2ForPreTraining",
    "Wav2Vec2Model",
    "WaveNet",
    "WaveNetConfig",
    "beam_decode",
    "fit_als",
    "fit_implicit_als",
    "generate",
    "greedy_decode",
    "sample",
]  # fmt: skip
