"""A reader for little data: MiniLM as it is, and on top of it a small network that learned where answers stand.

MiniLM reads [CLS] question [SEP] text [SEP] as one sequence, and nothing of it is trained. The small network sees
for each token the vectors of a middle and of the last layer, and how the token matches the other text; its output
is that of `models.BertForQuestionAnswering`, so `spans.answer` takes either.
Shapes: N windows, T tokens, E width of MiniLM, S width of the head, K features.
"""

from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmbook import nn
from lmbook.autograd import Tensor, no_grad
from lmbook.autograd.tensor import raw
from lmbook.backend import CheckpointError
from lmbook.data import WordPieceTokenizer
from lmbook.models.bert import BertModel
from lmbook.training.checkpoint import load_tensors, save_tensors

SPECIAL = 1000  # BERT's vocabulary begins with [PAD], [CLS], [SEP], [MASK] and unused places
WINDOWS = (4, 12)
MATCHES = 10
_SIGNS = ('"', "“‘'", "”’", ".;:!?", ",", "([{", ")]}", "*$")
_SMALL = (
    "a an the of to in on at by for from with as and or but nor that which who whose it its this these those they "
    "is are was were be been being has have had do does did can could may might must will would shall should not "
    "if when then than so such each any all both one"
)
_ASKED = (
    "how", "many much", "long often far large", "who whom whose", "when year version", "why", "where",
    "which", "error exception raised raise", "is are does do can may",
)  # fmt: skip
LEXICAL = 3 + len(_SIGNS)
FEATURES = MATCHES + 3 * LEXICAL + len(_ASKED)


@dataclass(frozen=True)
class HeadConfig:
    """Sizes of the trained part. `middle` is the layer, from 1, whose output it sees beside the last one's."""

    width: int = 384
    size: int = 64
    heads: int = 4
    layers: int = 1
    middle: int = 3
    dropout: float = 0.2


class States(NamedTuple):
    """What the head sees of N windows; nothing in it depends on what is trained."""

    middle: np.ndarray  # (N, T, E)
    last: np.ndarray  # (N, T, E)
    features: np.ndarray  # (N, T, K)
    mask: np.ndarray  # (N, T)


def rarity(index: np.ndarray) -> np.ndarray:
    """From 0 for signs to 1 for the rarest words: BERT's vocabulary is ordered by frequency, about."""
    return np.clip(np.log(np.maximum(index, 1) / 1000) / np.log(30), 0, 1)


class Lexicon:
    """What is known of a token without any network: kinds of signs, digits, small words, and words that ask.

    Spans begin and end beside such tokens, and a question that asks "how many" wants a number.
    """

    def __init__(self, tokenizer: WordPieceTokenizer) -> None:
        size = max(tokenizer.names) + 1
        self.kinds = np.zeros((size, LEXICAL), np.float32)
        self.asks = np.zeros((size, len(_ASKED)), np.float32)
        small = set(_SMALL.split())
        for i, name in tokenizer.names.items():
            if name in tokenizer.special:
                continue
            word = name.removeprefix("##")
            signs = [word in signs for signs in _SIGNS]
            self.kinds[i] = [name != word, word[:1].isdigit(), word in small, *signs]
            self.asks[i] = [name in words.split() for words in _ASKED]

    def features(self, index: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Of each token, the one before and the one after; and of the question as a whole (N, T, L)."""
        own = self.kinds[index]
        before, after = np.zeros_like(own), np.zeros_like(own)
        before[:, 1:], after[:, :-1] = own[:, :-1], own[:, 1:]
        asked = (self.asks[index] * (kinds == 0)[:, :, None]).max(1, keepdims=True)
        return np.concatenate([own, before, after, np.repeat(asked, index.shape[1], 1)], 2)


def match(
    index: np.ndarray, kinds: np.ndarray, mask: np.ndarray, last: np.ndarray, words: np.ndarray
) -> np.ndarray:
    """How each token matches those of the other text (N, T) -> (N, T, 10).

    Of the question for a token of the text, and the other way round: whether it stands there, as it is and
    weighed by rarity, the cosine with the nearest vector of the last layer and with the nearest word vector
    (`words`, (N, T, E)), means of these over the tokens around, the cosine with the other text's mean, which
    text it is in, and its rarity. Special tokens match nothing.
    """
    rare = rarity(index)
    real = (mask > 0) & (index >= SPECIAL)
    cross = real[:, :, None] & real[:, None, :] & (kinds[:, :, None] != kinds[:, None, :])
    same = (cross & (index[:, :, None] == index[:, None, :])).any(2).astype(np.float32)
    near = [_nearest(vectors, cross, weight) for vectors, weight in ((last, None), (words, rare))]
    weighed = same * rare
    around = [_around(weighed, w) for w in WINDOWS] + [_around(near[0], WINDOWS[-1])]
    found = [same, weighed, *near, *around, _to_mean(last, real, kinds), kinds, rare]
    return np.stack(found, 2).astype(np.float32) * real[:, :, None]


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


def _nearest(vectors: np.ndarray, cross: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The largest cosine with a token of the other text, weighed by that token."""
    unit = _unit(vectors)
    cosines = unit @ unit.swapaxes(1, 2)
    if weight is not None:
        cosines = cosines * weight[:, None, :]
    return np.where(cross, cosines, 0).max(2)


def _around(x: np.ndarray, reach: int) -> np.ndarray:
    """Means over the tokens at most `reach` away (N, T)."""
    padded = np.pad(x, ((0, 0), (reach + 1, reach)))
    sums = padded.cumsum(1)
    return (sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1]) / (2 * reach + 1)


def _to_mean(last: np.ndarray, real: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """The cosine of each token with the mean of the other text."""
    found = np.zeros(real.shape, np.float32)
    for kind in (0, 1):
        members = real & (kinds == kind)
        total = np.einsum("nte,nt->ne", last, members.astype(last.dtype))
        cosines = np.einsum("nte,ne->nt", _unit(last), _unit(total))
        found = np.where(kinds == kind, found, cosines)
    return found


class SpanHead(nn.Module):
    """The trained part: two projections and the features, two small Transformer layers, two logits a token."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        size = config.size
        self.config = config
        self.metadata: dict[str, Any] = {}
        self.middle, self.last = (nn.Linear(config.width, size) for _ in range(2))
        self.matched = nn.Linear(FEATURES, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            size, config.heads, 2 * size, config.dropout, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers)
        self.qa_outputs = nn.Linear(size, 2)

    def forward(self, states: States) -> tuple[Tensor, Tensor]:
        """Logits of the beginning and of the end, (N, T) each; padding has -1e4."""
        x = self.middle(Tensor(states.middle)) + self.last(Tensor(states.last))
        x = self.dropout(self.norm(x + self.matched(Tensor(states.features))))
        both = self.qa_outputs(self.encoder(x, src_key_padding_mask=states.mask == 0))
        hidden = Tensor(np.where(states.mask > 0, 0, -1e4).astype(np.float32))
        return both[:, :, 0] + hidden, both[:, :, 1] + hidden


class SpanReader(nn.Module):
    """MiniLM and the trained head; forward as `models.BertForQuestionAnswering` has it.

    >>> reader = SpanReader.stored(encoder.model, encoder.tokenizer)
    >>> spans.answer(reader, encoder.tokenizer, "How many eyes has a cat?", "A cat has two eyes.").text
    """

    def __init__(self, bert: BertModel, head: SpanHead, tokenizer: WordPieceTokenizer) -> None:
        super().__init__()
        self.lexicon = Lexicon(tokenizer)
        layers = bert.config.num_hidden_layers
        if head.config.width != bert.config.hidden_size or not 1 <= head.config.middle <= layers:
            raise ValueError(
                f"SpanReader: the head wants vectors of {head.config.width} and layer {head.config.middle}, "
                f"the encoder has {bert.config.hidden_size} and {layers} layers"
            )
        self.bert, self.head = bert, head

    def states(self, index: Any, token_type_ids: Any, attention_mask: Any) -> States:
        """What the head sees, without a graph."""
        ids, kinds, mask = (np.asarray(raw(x)) for x in (index, token_type_ids, attention_mask))
        self.bert.eval()
        with no_grad():
            x = self.bert.embeddings(Tensor(ids), kinds)
            seen = mask.astype(bool)[:, None, None, :]
            for number, layer in enumerate(self.bert.encoder.layer, 1):
                x = layer(x, seen)
                if number == self.head.config.middle:
                    middle = x.data
        words = self.bert.embeddings.word_embeddings.weight.data[ids]
        matched = match(ids, kinds, mask, x.data, words)
        features = np.concatenate([matched, self.lexicon.features(ids, kinds)], 2)
        return States(middle, x.data, features * (mask > 0)[:, :, None], mask)

    def forward(
        self, index: Any, token_type_ids: Any, attention_mask: Any
    ) -> tuple[Tensor, Tensor]:
        """(N, T) -> (N, T), (N, T)."""
        return self.head(self.states(index, token_type_ids, attention_mask))

    @classmethod
    def stored(
        cls, bert: BertModel, tokenizer: WordPieceTokenizer, path: str | Path | None = None
    ) -> "SpanReader":
        """With the head that comes with the package, or the one in a file."""
        if path is not None:
            return cls(bert, load_head(path), tokenizer)
        with as_file(files("lmbook.apps") / "span_reader.safetensors") as packed:
            return cls(bert, load_head(packed), tokenizer)


def save_head(path: str | Path, head: SpanHead, metadata: dict[str, Any]) -> Path:
    """Write a head in half precision, with its sizes and what else is to be known."""
    arrays = {name: array.astype(np.float16) for name, array in head.state_dict().items()}
    return save_tensors(path, arrays, {"config": asdict(head.config)} | metadata)


def load_head(path: str | Path) -> SpanHead:
    """A head, with its `metadata`. Raises `CheckpointError` for a file that is damaged or of something else."""
    arrays, metadata = load_tensors(path)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("config"), dict):
        raise CheckpointError(
            f"checkpoint {path} holds no span head; train one, or reinstall lmbook"
        )
    try:
        head = SpanHead(HeadConfig(**metadata["config"]))
        head.load_state_dict({name: array.astype(np.float32) for name, array in arrays.items()})
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"checkpoint {path} does not fit SpanHead: {error}") from None
    head.metadata = metadata
    return head.eval()
