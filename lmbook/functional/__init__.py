"""Level 2: operations of neural networks on tensors, with hand-written derivatives."""

from lmbook.functional import ladder as _ladder  # noqa: F401 - registers the kernels of the GPU
from lmbook.functional.activation import (
    gelu,
    glu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from lmbook.functional.attention import rotary, scaled_dot_product_attention
from lmbook.functional.conv import (
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    fold,
    unfold,
)
from lmbook.functional.ctc import ctc_loss
from lmbook.functional.linear import dropout, embedding, linear
from lmbook.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
)
from lmbook.functional.norm import batch_norm, group_norm, layer_norm, normalize, rms_norm
from lmbook.functional.pool import (
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
    upsample_nearest,
)
from lmbook.functional.recurrent import gru, lstm, rnn

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "embedding",
    "fold",
    "gelu",
    "glu",
    "group_norm",
    "gru",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "lstm",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "normalize",
    "relu",
    "rms_norm",
    "rnn",
    "rotary",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
    "unfold",
    "upsample_nearest",
]
