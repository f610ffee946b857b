"""Level 4: models, one flat file each.

Published sizes by name, as configs: `BERTS`, `DEEPSEEKS`, `GPTS` (GPT-2 and GPT-3), `LLAMAS` (with Mistral,
Mixtral and Qwen) and `T5S`; `EFFICIENTNETS`, `RESNETS`, `VGGS` and `VITS`. Their names are the keys:

>>> with nn.shapes_only():  # no memory
...     models.GPT(models.GPTS["gpt2-xl"]).num_parameters()
1557611200
"""

from lmbook.models.alexnet import AlexNet, AlexNetConfig
from lmbook.models.audio_mae import AudioMAE, AudioMAEConfig
from lmbook.models.autoint import AutoInt, AutoIntConfig
from lmbook.models.beam import beam_search
from lmbook.models.bert import SIZES as BERTS
from lmbook.models.bert import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
)
from lmbook.models.classifier import Guess, ImageClassifier
from lmbook.models.ctc import (
    AcousticConfig,
    AcousticModel,
    beam_decode,
    greedy_decode,
)
from lmbook.models.deepseek import SIZES as DEEPSEEKS
from lmbook.models.deepseek import DeepSeek, DeepSeekConfig
from lmbook.models.efficientnet import (
    EFFICIENTNETS,
    EfficientNet,
    EfficientNetConfig,
    multiply_adds,
)
from lmbook.models.factorization_machine import DeepFM, FactorizationMachine, FieldConfig
from lmbook.models.generation import KVCache, generate, stream
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.gpt import SIZES as GPTS
from lmbook.models.gradcam import grad_cam
from lmbook.models.hub import HubError
from lmbook.models.lenet import LeNet, LeNet5, LeNetConfig
from lmbook.models.llama import SIZES as LLAMAS
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.matrix_factorization import (
    MatrixFactorization,
    fit_als,
    fit_implicit_als,
)
from lmbook.models.ncf import GMF, NCFConfig, NeuMF
from lmbook.models.pretrained import Names, PretrainedModule
from lmbook.models.resnet import RESNETS, ResNet, ResNetConfig
from lmbook.models.sampling import Sampling, probabilities, sample
from lmbook.models.sentences import SentenceEncoder
from lmbook.models.t5 import SIZES as T5S
from lmbook.models.t5 import T5, T5Config
from lmbook.models.transformer import Transformer, TransformerConfig
from lmbook.models.vgg import VGG, VGGS, VGGConfig
from lmbook.models.vit import VITS, ViT, ViTConfig
from lmbook.models.wav2vec2 import (
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)
from lmbook.models.wavenet import WaveNet, WaveNetConfig

__all__ = [
    "BERTS",
    "DEEPSEEKS",
    "EFFICIENTNETS",
    "GMF",
    "GPT",
    "GPTS",
    "LLAMAS",
    "RESNETS",
    "T5",
    "T5S",
    "VGG",
    "VGGS",
    "VITS",
    "AcousticConfig",
    "AcousticModel",
    "AlexNet",
    "AlexNetConfig",
    "AudioMAE",
    "AudioMAEConfig",
    "AutoInt",
    "AutoIntConfig",
    "BertConfig",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertModel",
    "DeepFM",
    "DeepSeek",
    "DeepSeekConfig",
    "EfficientNet",
    "EfficientNetConfig",
    "FactorizationMachine",
    "FieldConfig",
    "GPTConfig",
    "Guess",
    "HubError",
    "ImageClassifier",
    "KVCache",
    "LeNet",
    "LeNet5",
    "LeNetConfig",
    "Llama",
    "LlamaConfig",
    "MatrixFactorization",
    "NCFConfig",
    "Names",
    "NeuMF",
    "PretrainedModule",
    "ResNet",
    "ResNetConfig",
    "Sampling",
    "SentenceEncoder",
    "T5Config",
    "Transformer",
    "TransformerConfig",
    "VGGConfig",
    "ViT",
    "ViTConfig",
    "Wav2Vec2Config",
    "Wav2Vec2ForCTC",
    "Wav2Vec2ForPreTraining",
    "Wav2Vec2Model",
    "WaveNet",
    "WaveNetConfig",
    "beam_decode",
    "beam_search",
    "fit_als",
    "fit_implicit_als",
    "generate",
    "grad_cam",
    "greedy_decode",
    "multiply_adds",
    "probabilities",
    "sample",
    "stream",
]  # fmt: skip
