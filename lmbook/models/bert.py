"""BERT: an encoder that reads a text in both directions, and its heads (Devlin et al. 2019).

Names are the public checkpoints', but for `attention.self` and `attention.output`, both `attention` here.
Shapes: N batch, T length, E width (hidden_size), H heads, V vocabulary.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.autograd.tensor import raw
from lmbook.backend import ShapeError, asarray
from lmbook.models.pretrained import Names, PretrainedModule, from_hub, refuse


@dataclass
class BertConfig:
    """Sizes, under the names of the public configuration files; the defaults are BERT-base's."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    num_labels: int = 2

    @classmethod
    def from_hub(cls, given: dict[str, Any]) -> "BertConfig":
        """The sizes in a checkpoint's config.json."""
        refuse(
            given, hidden_act=("gelu",), position_embedding_type=("absolute",), is_decoder=(False,),
            tie_word_embeddings=(True,),
        )  # fmt: skip
        labels = len(given.get("id2label") or (0, 1))
        needed = "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size"
        return from_hub(cls, {"num_labels": labels, **given}, ("bert",), needed)


def _sized(layers: int, width: int) -> BertConfig:
    return BertConfig(
        num_hidden_layers=layers, hidden_size=width, num_attention_heads=width // 64,
        intermediate_size=4 * width,
    )  # fmt: skip


SIZES = {
    "bert-tiny": _sized(2, 128),  # Turc et al. 2019, 24 in all: 2 to 12 layers, width 128 to 768
    "bert-mini": _sized(4, 256),
    "bert-small": _sized(4, 512),
    "bert-medium": _sized(8, 512),
    "bert-base-uncased": _sized(12, 768),
    "bert-base-cased": replace(_sized(12, 768), vocab_size=28996),
    "bert-base-chinese": replace(_sized(12, 768), vocab_size=21128),
    "bert-base-multilingual-cased": replace(_sized(12, 768), vocab_size=119547),
    "bert-large-uncased": _sized(24, 1024),
    "bert-large-cased": replace(_sized(24, 1024), vocab_size=28996),
    "all-MiniLM-L6-v2": replace(_sized(6, 384), num_attention_heads=12),
}
"""Published sizes by name."""


class BertEmbeddings(nn.Module):
    """The sum of three vectors, for the token, its position and its segment; then a norm."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, index: Tensor, token_type_ids: Tensor) -> Tensor:
        """(N, T) -> (N, T, E)."""
        length, longest = index.shape[1], self.position_embeddings.num_embeddings
        if length > longest:
            raise ShapeError(
                f"BERT: {length} positions, but max_position_embeddings is {longest}; shorten the input"
            )
        x = self.word_embeddings(index) + self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(x + self.position_embeddings.weight[:length]))


class BertAttention(nn.Module):
    """Attention of all positions to all, then a residual connection and a norm."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads, self.p = config.num_attention_heads, config.attention_probs_dropout_prob
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, mask: np.ndarray | None) -> Tensor:
        """(N, T, E) -> (N, T, E); the mask (N, 1, 1 or T, T) is true where there is something to see."""
        n, t, width = x.shape
        q, k, v = (
            project(x).reshape(n, t, self.heads, -1).transpose(1, 2)  # (N, H, T, E / H)
            for project in (self.query, self.key, self.value)
        )
        p = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, mask, p)
        y = self.dense(y.transpose(1, 2).reshape(n, t, width))
        return self.LayerNorm(x + self.dropout(y))


class BertIntermediate(nn.Module):
    """The first half of the feed-forward network."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, T, 4E)."""
        return F.gelu(self.dense(x))


class BertOutput(nn.Module):
    """The second half, a residual connection and a norm."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """(N, T, 4E) and what came before the first half -> (N, T, E)."""
        return self.LayerNorm(x + self.dropout(self.dense(y)))


class BertLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + feed-forward(x)): the norm comes after, as in 2017."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config)

    def forward(self, x: Tensor, mask: np.ndarray | None) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, mask: np.ndarray | None) -> Tensor:
        """(N, T, E) -> (N, T, E)."""
        for layer in self.layer:
            x = layer(x, mask)
        return x


class BertPooler(nn.Module):
    """tanh(W x + b) of the first position: one vector for a text."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, E) -> (N, E)."""
        return self.dense(x[:, 0]).tanh()


_OLD = ((r"gamma$", "weight"), (r"beta$", "bias"), (r"attention\.(self|output)\.", "attention."))
_INSIDE = (*_OLD, (r"^(embeddings|encoder|pooler)\.", r"bert.\1."))
_POSITIONS = r"(bert\.)?embeddings\.position_ids$"


class BertModel(PretrainedModule):
    """Token numbers (N, T) in, a vector for each position (N, T, E) out.

    `token_type_ids` (N, T) says 0 for the first text and 1 for the second, `attention_mask` (N, T) 1 for a
    token and 0 for padding; one of (N, T, T) says for each position which others it sees. `pool` makes one
    vector of a text, where the model has a pooler.
    """

    config_class = BertConfig
    names = Names(
        renames=(*_OLD, (r"^bert\.", "")),
        ignored=(r"(cls|classifier|qa_outputs)\.", _POSITIONS),
        fresh=(r"pooler\.",),
    )

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        _initialise(self, config)

    def forward(
        self, index: Tensor, token_type_ids: Any = None, attention_mask: Any = None
    ) -> Tensor:
        """(N, T) -> (N, T, E)."""
        if token_type_ids is None:
            token_type_ids = np.zeros(index.shape, np.int64)
        mask = None
        if attention_mask is not None:
            seen = asarray(raw(attention_mask)).astype(bool)
            mask = seen[:, None] if seen.ndim == 3 else seen[:, None, None, :]
        return self.encoder(self.embeddings(index, token_type_ids), mask)

    def pool(self, hidden: Tensor) -> Tensor:
        """(N, T, E) -> (N, E)."""
        if self.pooler is None:
            raise ValueError("pool: the model was built with add_pooling_layer=False")
        return self.pooler(hidden)


class BertHeads(nn.Module):
    """What pre-training asks: the hidden tokens (MLM), and whether B follows A (NSP)."""

    seq_relationship: Any

    def __init__(self, config: BertConfig, next_sentence: bool) -> None:
        super().__init__()
        self.predictions = BertPredictions(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2) if next_sentence else None


class BertPredictions(nn.Module):
    """Hidden vectors -> logits of the token at each position; the last map is the token embedding."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = nn.ModuleDict(
            {
                "dense": nn.Linear(config.hidden_size, config.hidden_size),
                "LayerNorm": nn.LayerNorm(config.hidden_size, config.layer_norm_eps),
            }
        )
        self.bias = nn.Parameter(nn.init.new(config.vocab_size))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(N, T, E) and the embedding (V, E) -> (N, T, V)."""
        x = self.transform["LayerNorm"](F.gelu(self.transform["dense"](x)))
        return F.linear(x, embedding, self.bias)


class BertForPreTraining(PretrainedModule):
    """Logits of the hidden tokens (N, T, V), and of "B follows A" against "it does not" (N, 2)."""

    config_class = BertConfig
    names = Names(_INSIDE, (r"cls\.predictions\.decoder\.", _POSITIONS))

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.cls = BertHeads(config, next_sentence=True)
        _initialise(self.cls, config)

    def forward(
        self, index: Tensor, token_type_ids: Any = None, attention_mask: Any = None
    ) -> tuple[Tensor, Tensor]:
        """(N, T) -> (N, T, V), (N, 2)."""
        x = self.bert(index, token_type_ids, attention_mask)
        words = self.cls.predictions(x, self.bert.embeddings.word_embeddings.weight)
        return words, self.cls.seq_relationship(self.bert.pool(x))


class BertForMaskedLM(PretrainedModule):
    """Logits of the token at each position (N, T, V): for those hidden behind [MASK], a guess."""

    config_class = BertConfig
    names = Names(
        _INSIDE,
        (r"cls\.predictions\.decoder\.", r"cls\.seq_relationship\.", r"bert\.pooler\.", _POSITIONS),
    )

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = BertHeads(config, next_sentence=False)
        _initialise(self.cls, config)

    def forward(
        self, index: Tensor, token_type_ids: Any = None, attention_mask: Any = None
    ) -> Tensor:
        """(N, T) -> (N, T, V)."""
        x = self.bert(index, token_type_ids, attention_mask)
        return self.cls.predictions(x, self.bert.embeddings.word_embeddings.weight)


class BertForSequenceClassification(PretrainedModule):
    """Logits of the classes of a text, or of a pair (N, num_labels)."""

    config_class = BertConfig
    names = Names(_INSIDE, (r"cls\.", r"qa_outputs\.", _POSITIONS), fresh=(r"classifier\.",))

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        _initialise(self.classifier, config)

    def forward(
        self, index: Tensor, token_type_ids: Any = None, attention_mask: Any = None
    ) -> Tensor:
        """(N, T) -> (N, num_labels)."""
        x = self.bert(index, token_type_ids, attention_mask)
        return self.classifier(self.dropout(self.bert.pool(x)))


class BertForQuestionAnswering(PretrainedModule):
    """Logits of where the answer begins and where it ends: (N, T) each."""

    config_class = BertConfig
    names = Names(
        _INSIDE,
        (r"cls\.", r"classifier\.", r"bert\.pooler\.", _POSITIONS),
        fresh=(r"qa_outputs\.",),
    )

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        _initialise(self.qa_outputs, config)

    def forward(
        self, index: Tensor, token_type_ids: Any = None, attention_mask: Any = None
    ) -> tuple[Tensor, Tensor]:
        """(N, T) -> (N, T), (N, T)."""
        both = self.qa_outputs(self.bert(index, token_type_ids, attention_mask))
        return both[:, :, 0], both[:, :, 1]


def _initialise(part: nn.Module, config: BertConfig) -> None:
    """Normal weights of standard deviation `initializer_range`, zero biases."""
    for module in reversed(list(part.modules())):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
