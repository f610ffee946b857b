"""Level 3: layers, as modules with parameters."""

from lmbook.nn import init
from lmbook.nn.activation import (
    GELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SwiGLU,
    Tanh,
)
from lmbook.nn.attention import MultiheadAttention
from lmbook.nn.container import Dropout, ModuleDict, ModuleList, Sequential
from lmbook.nn.conv import Conv1d, Conv2d, Conv2dSame, ConvTranspose1d, ConvTranspose2d
from lmbook.nn.embedding import (
    Embedding,
    LearnedPositionalEmbedding,
    SinusoidalPositionalEncoding,
)
from lmbook.nn.init import shapes_only
from lmbook.nn.linear import Identity, Linear
from lmbook.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    CTCLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
)
from lmbook.nn.module import Module, Parameter
from lmbook.nn.moe import MixtureOfExperts
from lmbook.nn.norm import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from lmbook.nn.pool import (
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    Flatten,
    MaxPool1d,
    MaxPool2d,
    Upsample,
)
from lmbook.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from lmbook.nn.rotary import RotaryEmbedding
from lmbook.nn.transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from lmbook.nn.utils import clip_grad_norm_, clip_grad_value_
from lmbook.nn.vision import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "CTCLoss",
    "Conv1d",
    "Conv2d",
    "Conv2dNormActivation",
    "Conv2dSame",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositionalEmbedding",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MixtureOfExperts",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "ReLU6",
    "RotaryEmbedding",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositionalEncoding",
    "Softmax",
    "Softplus",
    "SqueezeExcitation",
    "StochasticDepth",
    "SwiGLU",
    "Tanh",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Upsample",
    "clip_grad_norm_",
    "clip_grad_value_",
    "init",
    "shapes_only",
]
