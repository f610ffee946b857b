"""A reader for little data: MiniLM as it is, and a small network that learned which span of a text answers.

MiniLM reads [CLS] question [SEP] text [SEP] as one sequence, and nothing of it is trained. Every span of
whole words gets features (`span_features`), and the network a score for each and for "no answer".
Shapes: N windows, S spans, K features of a span, G features of a window.
"""

from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.apps.span_features import LONGEST, WHOLE, Reading, SpanFeatures
from lmbook.apps.spans import Span, Window, pad, windows
from lmbook.autograd import Tensor, no_grad
from lmbook.autograd.ops import cat
from lmbook.backend import CheckpointError
from lmbook.data import WordPieceTokenizer
from lmbook.models.bert import BertModel
from lmbook.training.checkpoint import load_tensors, save_tensors

MAX_LENGTH, STRIDE = 256, 64  # tokens of a window, and those that two of them share


@dataclass(frozen=True)
class ScorerConfig:
    """Sizes of the trained part. `middle` is the layer, from 1, whose vectors it sees beside the last
    one's.
    """

    features: int
    size: int = 16
    middle: int = 3
    dropout: float = 0.3


class SpanScorer(nn.Module):
    """The trained part: a linear map of the features plus a small hidden layer; a score for "no answer"."""

    def __init__(self, config: ScorerConfig) -> None:
        super().__init__()
        self.config = config
        self.metadata: dict[str, Any] = {}
        self.linear = nn.Linear(config.features, 1)
        self.inner = nn.Linear(config.features, config.size)
        self.dropout = nn.Dropout(config.dropout)
        self.outer = nn.Linear(config.size, 1)
        self.none = nn.Linear(WHOLE, 1)

    def forward(self, features: Tensor, whole: Tensor) -> Tensor:
        """(N, S, K), (N, G) -> (N, S + 1): a score for each span, and the last for none of them."""
        hidden = self.dropout(F.relu(self.inner(features)))
        return cat([(self.linear(features) + self.outer(hidden))[:, :, 0], self.none(whole)], 1)


class SpanReader:
    """MiniLM, its tokenizer, and the trained scorer.

    >>> reader = SpanReader.stored(encoder.model, encoder.tokenizer)
    >>> reader.answer("How many eyes has a cat?", "A cat has two eyes.").text
    """

    def __init__(self, bert: BertModel, tokenizer: WordPieceTokenizer, scorer: SpanScorer) -> None:
        self.bert, self.tokenizer, self.scorer = bert.eval(), tokenizer, scorer
        self.features = SpanFeatures(tokenizer)
        wanted, layers = self.features.width(bert.config.hidden_size), bert.config.num_hidden_layers
        if scorer.config.features != wanted or not 1 <= scorer.config.middle <= layers:
            raise ValueError(
                f"SpanReader: the scorer wants {scorer.config.features} features and layer "
                f"{scorer.config.middle}; this encoder gives {wanted} and has {layers} layers"
            )

    @classmethod
    def stored(
        cls, bert: BertModel, tokenizer: WordPieceTokenizer, path: str | Path | None = None
    ) -> "SpanReader":
        """With the scorer that comes with the package, or the one in a file."""
        if path is not None:
            return cls(bert, tokenizer, load_scorer(path))
        with as_file(files("lmbook.apps") / "span_reader.safetensors") as packed:
            return cls(bert, tokenizer, load_scorer(packed))

    def readings(self, cut: list[Window], texts: list[str], skips: list[int]) -> list[Reading]:
        """The spans of windows, each of a text of which the first `skip` characters are no answer."""
        ids, kinds, mask = pad(cut)
        with no_grad():
            x = self.bert.embeddings(Tensor(ids), kinds)
            seen = mask.astype(bool)[:, None, None, :]
            for number, layer in enumerate(self.bert.encoder.layer, 1):
                x = layer(x, seen)
                if number == self.scorer.config.middle:
                    middle = x.data
        table = self.bert.embeddings.word_embeddings.weight.data
        return [
            self.features.read(w, text, skip, middle[n, : len(w.ids)], x.data[n, : len(w.ids)], table[w.ids])
            for n, (w, text, skip) in enumerate(zip(cut, texts, skips))
        ]  # fmt: skip

    def answer(self, question: str, text: str, skip: int = 0) -> Span | None:
        """The best span of a text over all its windows; None if there is none.

        Characters before `skip` are read but are no answer, such as a heading. The score of "no answer" is
        the lowest of all windows: one window without an answer says little.
        """
        cut = windows(self.tokenizer, question, text, MAX_LENGTH, STRIDE)
        best: Span | None = None
        null = np.inf
        self.scorer.eval()
        for w, reading in zip(cut, self.readings(cut, [text] * len(cut), [skip] * len(cut))):
            if not len(reading.first):
                continue
            with no_grad():
                scores = self.scorer(
                    Tensor(reading.features[None]), Tensor(reading.whole[None])
                ).data[0]
            null = min(null, float(scores[-1]))
            which = int(scores[:-1].argmax())
            if best is None or scores[which] > best.score:
                start = int(w.offsets[reading.first[which], 0])
                stop = int(w.offsets[reading.last[which], 1])
                best = Span(text[start:stop], start, stop, float(scores[which]), 0.0)
        return best and best._replace(null=null)


def save_scorer(path: str | Path, scorer: SpanScorer, metadata: dict[str, Any]) -> Path:
    """Write a scorer in half precision, with its sizes and what else is to be known."""
    arrays = {name: array.astype(np.float16) for name, array in scorer.state_dict().items()}
    return save_tensors(path, arrays, {"config": asdict(scorer.config)} | metadata)


def load_scorer(path: str | Path) -> SpanScorer:
    """A scorer, with its `metadata`. Raises `CheckpointError` for a file that is damaged or of something
    else.
    """
    arrays, metadata = load_tensors(path)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("config"), dict):
        raise CheckpointError(
            f"checkpoint {path} holds no span scorer; train one, or reinstall lmbook"
        )
    try:
        scorer = SpanScorer(ScorerConfig(**metadata["config"]))
        scorer.load_state_dict({name: array.astype(np.float32) for name, array in arrays.items()})
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"checkpoint {path} does not fit SpanScorer: {error}") from None
    scorer.metadata = metadata
    scorer.eval()
    return scorer


__all__ = ["LONGEST", "ScorerConfig", "SpanReader", "SpanScorer", "load_scorer", "save_scorer"]
