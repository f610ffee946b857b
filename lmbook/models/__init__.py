"""Level 4: models, one flat file each."""

from lmbook.models.alexnet import AlexNet, AlexNetConfig
from lmbook.models.classifier import Guess, ImageClassifier
from lmbook.models.efficientnet import EFFICIENTNETS, EfficientNet, EfficientNetConfig
from lmbook.models.generation import KVCache, generate, sample
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.models.gradcam import grad_cam
from lmbook.models.lenet import LeNet, LeNet5, LeNetConfig
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.models.resnet import RESNETS, ResNet, ResNetConfig
from lmbook.models.transformer import Transformer, TransformerConfig
from lmbook.models.vgg import VGG, VGGS, VGGConfig
from lmbook.models.vit import VITS, ViT, ViTConfig

__all__ = [
    "EFFICIENTNETS", "GPT", "RESNETS", "VGG", "VGGS", "VITS", "AlexNet", "AlexNetConfig",
    "EfficientNet", "EfficientNetConfig", "GPTConfig", "Guess", "ImageClassifier", "KVCache",
    "LeNet", "LeNet5", "LeNetConfig", "Llama", "LlamaConfig", "ResNet", "ResNetConfig",
    "Transformer", "TransformerConfig", "VGGConfig", "ViT", "ViTConfig", "generate", "grad_cam",
    "sample",
]  # fmt: skip
