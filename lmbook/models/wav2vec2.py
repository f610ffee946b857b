"""wav2vec 2.0: speech learnt from speech alone, by guessing what was masked (Baevski et al. 2020).

Names and values of the public checkpoints. Shapes: N batch, S samples at 16 kHz, T moments of 20 ms,
E hidden_size, D the last convolution's channels, G groups of V codes each, K distractors.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.autograd.ops import cat, where
from lmbook.autograd.tensor import raw
from lmbook.backend import CheckpointError, ShapeError, default_generator
from lmbook.models.pretrained import Names, PretrainedModule, from_hub, refuse
from lmbook.models.wav2vec2_encoder import Encoder, FeatureExtractor, FeatureProjection


@dataclass
class Wav2Vec2Config:
    """Sizes, under the names of the public configuration files; the defaults are the base model's."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    feat_extract_norm: str = "group"
    do_stable_layer_norm: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    layer_norm_eps: float = 1e-5
    dropout: float = 0.1
    mask_time_prob: float = 0.065
    mask_time_length: int = 10
    num_codevectors_per_group: int = 320
    num_codevector_groups: int = 2
    codevector_dim: int = 256
    proj_codevector_dim: int = 256
    num_negatives: int = 100
    contrastive_logits_temperature: float = 0.1
    diversity_loss_weight: float = 0.1
    vocab_size: int = 32
    pad_token_id: int = 0

    @classmethod
    def large(cls) -> "Wav2Vec2Config":
        """The large model of the paper's table 1, as published with norms in every convolution (LV-60)."""
        return cls(
            1024, 24, 16, 4096, conv_bias=True, feat_extract_norm="layer", do_stable_layer_norm=True,
            codevector_dim=768, proj_codevector_dim=768,
        )  # fmt: skip

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "Wav2Vec2Config":
        """The sizes in a checkpoint's config.json."""
        refuse(
            given, hidden_act=("gelu",), feat_extract_activation=("gelu",), add_adapter=(False,),
            feat_extract_norm=("group", "layer"), adapter_attn_dim=(None,),
        )  # fmt: skip
        config: Wav2Vec2Config = from_hub(
            cls, given, ("wav2vec2",),
            "hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size conv_dim "
            "conv_kernel conv_stride num_conv_pos_embeddings num_conv_pos_embedding_groups",
            dropout="hidden_dropout",
        )  # fmt: skip
        for key in ("conv_dim", "conv_kernel", "conv_stride"):
            sizes = getattr(config, key)
            if not isinstance(sizes, list) or not all(type(n) is int and n > 0 for n in sizes):
                raise CheckpointError(
                    f"config.json: {key} is {sizes!r}, Wav2Vec2Config needs a list of positive integers"
                )
            if not 0 < len(sizes) == len(config.conv_dim) <= 100:
                raise CheckpointError(
                    f"config.json: {key} has {len(sizes)} layers, conv_dim {len(config.conv_dim)}"
                )
            setattr(config, key, tuple(sizes))
        for whole, part in (
            ("hidden_size", "num_attention_heads"),
            ("hidden_size", "num_conv_pos_embedding_groups"),
            ("codevector_dim", "num_codevector_groups"),
        ):
            a, b = getattr(config, whole), getattr(config, part)
            if b < 1 or a % b:
                raise CheckpointError(f"config.json: {whole} {a} does not divide into {part} {b}")
        return config


_OLD = (  # the two parts of the weight-normalised kernel, as older checkpoints call them
    (r"conv\.weight_g$", "conv.parametrizations.weight.original0"),
    (r"conv\.weight_v$", "conv.parametrizations.weight.original1"),
)
_INSIDE = (*_OLD, (r"^(feature_|encoder\.|masked_spec_embed$)", r"wav2vec2.\1"))
_PRE_TRAINING = r"(quantizer|project_hid|project_q)\."
_MASK = r"(wav2vec2\.)?masked_spec_embed$"  # files of models that were trained further may lack it


class Wav2Vec2Model(PretrainedModule):
    """Convolutions from samples to moments, spans masked, a Transformer over what is left.

    The published models want each utterance shifted and scaled to mean 0 and deviation 1.
    """

    config_class = Wav2Vec2Config
    names = Names(
        renames=(*_OLD, (r"^wav2vec2\.", "")),
        ignored=(_PRE_TRAINING, r"lm_head\."),
        fresh=(_MASK,),
    )

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        self.masked_spec_embed = nn.Parameter(nn.init.uniform_(nn.init.new(config.hidden_size)))
        self.encoder = Encoder(config)

    def output_lengths(self, lengths: Any) -> np.ndarray:
        """Moments that come out for samples that go in: floor((n - kernel) / stride) + 1 at each layer."""
        n = np.asarray(raw(lengths))
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride):
            n = (n - kernel) // stride + 1
        return n

    def forward(
        self, samples: Tensor, lengths: Any = None, mask: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Samples (N, S), their lengths (N,), moments to mask (N, T) -> hidden states (N, T, E), and the
        convolutions' normalised output (N, T, D), of which the quantiser makes targets."""
        least = _shortest(self.config)
        if samples.ndim != 2 or samples.shape[1] < least:
            raise ShapeError(
                f"Wav2Vec2: samples {samples.shape} must be (batch, samples), {least} samples or more"
            )
        x = self.feature_extractor(samples).transpose(1, 2)  # (N, T, D)
        hidden, features = self.feature_projection(x)
        t = hidden.shape[1]
        if mask is not None:
            chosen = np.asarray(raw(mask), bool)
            if chosen.shape != hidden.shape[:2]:
                raise ShapeError(f"Wav2Vec2: mask {chosen.shape} for moments {hidden.shape[:2]}")
            hidden = where(chosen[:, :, None], self.masked_spec_embed, hidden)
        inside = None
        if lengths is not None:
            inside = np.arange(t) < self.output_lengths(lengths)[:, None]
        return self.encoder(hidden, inside), features


def _shortest(config: Wav2Vec2Config) -> int:
    """Samples that one moment needs: 400, which is 25 ms, at the published sizes."""
    n = 1
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride))):
        n = (n - 1) * stride + kernel
    return n


class Quantizer(nn.Module):
    """One of V codes in each of G groups, chosen by Gumbel's trick, joined (Jang et al. 2016)."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.groups, self.codes = config.num_codevector_groups, config.num_codevectors_per_group
        if config.codevector_dim % self.groups:
            raise ShapeError(
                f"Quantizer: codevector_dim {config.codevector_dim} does not divide into {self.groups} groups"
            )
        width = config.codevector_dim // self.groups
        self.codevectors = nn.Parameter(
            nn.init.uniform_(nn.init.new(1, self.groups * self.codes, width))
        )
        self.weight_proj = nn.Linear(config.conv_dim[-1], self.groups * self.codes)
        nn.init.normal_(self.weight_proj.weight, std=1.0)
        nn.init.zeros_(self.weight_proj.bias)
        self.temperature = 2.0
        """Lowered from 2 by 0.999995 a step to 0.5 in the paper; the trainer's business."""

    def forward(
        self, features: Tensor, mask: Any = None, generator: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features (N, T, D) -> codes' vectors (N, T, codevector_dim), and the perplexity of their use.

        Perplexity: sum over groups of exp(entropy of the mean choice at masked moments), at most G V. In
        training the choice is a draw, and passes its gradient as the softmax; else the likeliest code.
        """
        n, t, _ = features.shape
        logits = self.weight_proj(features).reshape(n * t, self.groups, self.codes)
        if self.training:
            choice = gumbel_softmax(logits, self.temperature, generator)
            usage = F.softmax(logits)
        else:
            choice = usage = Tensor(_one_hot(logits.data))
        vectors = self.codevectors.reshape(self.groups, self.codes, -1)
        picked = (choice.transpose(0, 1) @ vectors).transpose(0, 1).reshape(n, t, -1)
        if mask is not None:
            usage = usage[np.flatnonzero(np.asarray(raw(mask)))]
        p = usage.mean(0)
        return picked, (-(p * (p + 1e-7).log()).sum(-1)).exp().sum()


def gumbel_softmax(
    logits: Tensor, temperature: float, generator: np.random.Generator | None = None
) -> Tensor:
    """A one-hot draw from softmax(logits), with the gradient of softmax((logits + Gumbel) / temperature)."""
    noise = (generator or default_generator()).gumbel(size=logits.shape).astype(logits.dtype)
    soft = F.softmax((logits + noise) / temperature)
    return soft + Tensor(_one_hot(soft.data) - soft.data)


def _one_hot(x: np.ndarray) -> np.ndarray:
    return (np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None]).astype(x.dtype)


class PreTraining(NamedTuple):
    """`loss` is the other two's sum, the second weighted; `accuracy`, how often the right target is the
    likeliest; `masked`, how many moments all this is about."""

    loss: Tensor
    contrastive: Tensor
    diversity: Tensor
    accuracy: float
    masked: int


class Wav2Vec2ForPreTraining(PretrainedModule):
    """At each masked moment, which of K + 1 quantised features is the one that was masked?"""

    config_class = Wav2Vec2Config
    names = Names(_INSIDE, ignored=(r"lm_head\.",))

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.config = config
        self.wav2vec2 = Wav2Vec2Model(config)
        self.dropout_features = nn.Dropout(config.dropout)
        self.quantizer = Quantizer(config)
        self.project_hid = nn.Linear(config.hidden_size, config.proj_codevector_dim)
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)

    def forward(
        self, samples: Tensor, mask: Any, negatives: Any, lengths: Any = None,
        generator: np.random.Generator | None = None,
    ) -> PreTraining:  # fmt: skip
        """Samples (N, S), masked moments (N, T), and K others for each, as numbers into N T: (N, T, K).

        contrastive = sum over masked t of -log softmax(cos(c_t, [q_t; q of the others]) / 0.1)[0]
        diversity   = (1 - perplexity / (G V)) * masked moments
        """
        mask, negatives = np.asarray(raw(mask), bool), np.asarray(raw(negatives))
        hidden, features = self.wav2vec2(samples, lengths, mask)
        codes, perplexity = self.quantizer(self.dropout_features(features), mask, generator)
        where_masked = np.flatnonzero(mask)
        c = self.project_hid(hidden).reshape(mask.size, -1)[where_masked]
        q = self.project_q(codes).reshape(mask.size, -1)
        others = negatives.reshape(mask.size, -1)[where_masked]
        targets = cat([q[where_masked].unsqueeze(1), q[others]], dim=1)  # (M, K + 1, P)
        cosine = (F.normalize(c).unsqueeze(1) * F.normalize(targets)).sum(-1)
        logits = cosine / self.config.contrastive_logits_temperature
        same = (targets.data[:, 1:] == targets.data[:, :1]).all(
            axis=-1
        )  # the target itself is no rival
        logits = logits.masked_fill(np.pad(same, ((0, 0), (1, 0))), -1e9)
        right = np.zeros(len(where_masked), np.int64)
        contrastive = F.cross_entropy(logits, Tensor(right), reduction="sum")
        most = self.config.num_codevector_groups * self.config.num_codevectors_per_group
        diversity = (1 - perplexity / most) * len(where_masked)
        loss = contrastive + self.config.diversity_loss_weight * diversity
        accuracy = float((logits.data.argmax(axis=1) == 0).mean()) if len(right) else math.nan
        return PreTraining(loss, contrastive, diversity, accuracy, len(where_masked))


class Wav2Vec2ForCTC(PretrainedModule):
    """Letters from the hidden states, for the CTC loss; the blank is `config.pad_token_id`.

    `Wav2Vec2ForCTC.from_pretrained("facebook/wav2vec2-base-960h")` reads English at 16 kHz.
    """

    config_class = Wav2Vec2Config
    names = Names(_INSIDE, ignored=(_PRE_TRAINING,), fresh=(_MASK, r"lm_head\."))

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.config = config
        self.wav2vec2 = Wav2Vec2Model(config)
        self.dropout = nn.Dropout(config.dropout)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)

    def output_lengths(self, lengths: Any) -> np.ndarray:
        """Moments that come out for samples that go in."""
        return self.wav2vec2.output_lengths(lengths)

    def forward(self, samples: Tensor, lengths: Any = None) -> Tensor:
        """Samples (N, S) -> logits (N, T, vocab_size)."""
        return self.lm_head(self.dropout(self.wav2vec2(samples, lengths)[0]))


def span_mask(
    shape: tuple[int, int], probability: float = 0.065, length: int = 10,
    generator: np.random.Generator | None = None, lengths: Any = None,
) -> np.ndarray:  # fmt: skip
    """Masked moments (N, T): a share `probability` of moments starts a span of `length`; spans may overlap.

    About 1 - (1 - probability)^length of the moments are masked, 49 % as published. At least one span a
    row; none reaches behind the row's length. Source: Baevski et al. 2020, section 3.1.
    """
    generator = generator or default_generator()
    n, t = shape
    ends = np.full(n, t) if lengths is None else np.asarray(raw(lengths))
    mask = np.zeros(shape, bool)
    for row, end in enumerate(ends):
        if end < length:
            raise ShapeError(f"span_mask: row {row} has {end} moments, a span takes {length}")
        starts = end - length + 1
        count = min(max(1, int(probability * end + generator.random())), starts)
        chosen = generator.choice(starts, count, replace=False)
        mask[row, (chosen[:, None] + np.arange(length)).reshape(-1)] = True
    return mask


def sample_negatives(
    mask: np.ndarray, count: int, generator: np.random.Generator | None = None
) -> np.ndarray:
    """For each masked moment, K = `count` other masked ones of its row, as numbers into N T: (N, T, K)."""
    generator = generator or default_generator()
    n, t = mask.shape
    negatives = np.zeros((n, t, count), np.int64)
    for row in range(n):
        places = np.flatnonzero(mask[row])
        if len(places) < 2:
            raise ShapeError(
                f"sample_negatives: row {row} has {len(places)} masked moments, 2 are needed"
            )
        drawn = generator.integers(0, len(places) - 1, (len(places), count))
        drawn += drawn >= np.arange(len(places))[:, None]  # never itself
        negatives[row, places] = row * t + places[drawn]
    return negatives
