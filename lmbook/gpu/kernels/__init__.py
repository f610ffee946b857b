"""The ladder: tasks of deep learning, each in numbered versions of CUDA C from naive to good."""

from lmbook.gpu.kernels.attention import (
    attention,
    attention_backward,
    flash_backward,
    flash_forward,
)
from lmbook.gpu.kernels.dense import convolution, matmul, matvec, quantise4, quantise8, transpose
from lmbook.gpu.kernels.elementwise import (
    AdamW,
    adamw,
    bias_gelu,
    copy,
    copy_offset,
    copy_strided,
)
from lmbook.gpu.kernels.ladder import Launch, Outcome, Plan, Rung, Version
from lmbook.gpu.kernels.rows import embedding, layer_norm, reduction, scan, softmax, topk

LADDER: tuple[Rung, ...] = (
    copy, transpose, reduction, softmax, layer_norm, bias_gelu, adamw, matmul, convolution, embedding,
    attention, attention_backward, matvec, scan, topk,
)  # fmt: skip
"""All rungs in the order of the book."""

__all__ = [
    "LADDER", "AdamW", "Launch", "Outcome", "Plan", "Rung", "Version", "adamw", "attention",
    "attention_backward", "bias_gelu", "convolution", "copy", "copy_offset", "copy_strided",
    "embedding", "flash_backward", "flash_forward", "layer_norm", "matmul", "matvec", "quantise4",
    "quantise8", "reduction", "scan", "softmax", "topk", "transpose",
]  # fmt: skip
