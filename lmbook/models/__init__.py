"""Level 4: models, one flat file each."""

from lmbook.models.alexnet import AlexNet, AlexNetConfig
from lmbook.models.bert import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
)
from lmbook.models.classifier import Guess, ImageClassifier
from lmbook.models.deepseek import DeepSeek, DeepSeekConfig
from lmbook.models.efficientnet import EFFICIENTNETS, EfficientNet, EfficientNetConfig
from lmbook.models.generation import KVCache, generate, sample
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.gradcam import grad_cam
from lmbook.models.hub import HubError
from lmbook.models.lenet import LeNet, LeNet5, LeNetConfig
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.pretrained import Names, PretrainedModule
from lmbook.models.resnet import RESNETS, ResNet, ResNetConfig
from lmbook.models.sentences import SentenceEncoder
from lmbook.models.t5 import T5, T5Config
from lmbook.models.transformer import Transformer, TransformerConfig
from lmbook.models.vgg import VGG, VGGS, VGGConfig
from lmbook.models.vit import VITS, ViT, ViTConfig

__all__ = [
    "EFFICIENTNETS", "GPT", "RESNETS", "T5", "VGG", "VGGS", "VITS", "AlexNet", "AlexNetConfig",
    "BertConfig", "BertForMaskedLM", "BertForPreTraining", "BertForQuestionAnswering",
    "BertForSequenceClassification", "BertModel", "DeepSeek", "DeepSeekConfig", "EfficientNet",
    "EfficientNetConfig", "GPTConfig", "Guess", "HubError", "ImageClassifier", "KVCache", "LeNet",
    "LeNet5", "LeNetConfig", "Llama", "LlamaConfig", "Names", "PretrainedModule", "ResNet",
    "ResNetConfig", "SentenceEncoder", "T5Config", "Transformer", "TransformerConfig", "VGGConfig",
    "ViT", "ViTConfig", "generate", "grad_cam", "sample",
]  # fmt: skip
