"""Answers as spans: a question and a text as one sequence, windows over long texts, valid spans, the loss.

Works with any model whose forward(index, token_type_ids, attention_mask) gives logits of where an answer
begins and where it ends, such as `models.BertForQuestionAnswering`. Shapes: N windows, T tokens.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor, no_grad
from lmbook.data import WordPieceTokenizer


class Window(NamedTuple):
    """[CLS] question [SEP] part of the text [SEP], in token numbers."""

    ids: np.ndarray  # (T,)
    token_type_ids: np.ndarray  # (T,): 0 for the question, 1 for the text
    offsets: np.ndarray  # (T, 2): characters of the text; -1 where a token is not of the text


class Span(NamedTuple):
    """An answer: text[start:stop], its score, and the score of "no answer" in its place."""

    text: str
    start: int
    stop: int
    score: float
    null: float

    @property
    def margin(self) -> float:
        """How much better it is than no answer."""
        return self.score - self.null


def windows(
    tokenizer: WordPieceTokenizer,
    question: str,
    text: str,
    max_length: int = 384,
    stride: int = 128,
    max_question: int = 64,
) -> list[Window]:
    """The text in as many windows as it takes, each with the whole question in front.

    Neighbouring windows share `stride` tokens, so that an answer at a border is whole in one of them. A
    question of more than `max_question` tokens is cut. Raises `ValueError` for an empty question or
    sizes that leave no room.
    """
    asked = tokenizer.encode(question)[:max_question]
    if not len(asked):
        raise ValueError("windows: the question is empty; ask something")
    room = max_length - len(asked) - 3
    if not 0 <= stride < room:
        raise ValueError(
            f"windows: max_length {max_length} leaves {room} tokens beside a question of {len(asked)}, "
            f"and stride {stride} must be less"
        )
    first, between = (tokenizer.special[name] for name in ("[CLS]", "[SEP]"))
    ids, offsets = tokenizer.encode_offsets(text)
    found = []
    for start in range(0, max(len(ids) - stride, 1), room - stride):
        part = slice(start, start + room)
        front = len(asked) + 2
        index = np.concatenate([[first], asked, [between], ids[part], [between]])
        kinds = (np.arange(len(index)) >= front).astype(np.int64)
        places = np.full((len(index), 2), -1)
        places[front:-1] = offsets[part]
        found.append(Window(index, kinds, places))
    return found


def pad(batch: Sequence[Window], pad_id: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of several lengths as index, token_type_ids and attention_mask, (N, T) each."""
    longest = max(len(w.ids) for w in batch)
    index = np.full((len(batch), longest), pad_id, np.int64)
    kinds, mask = np.zeros_like(index), np.zeros_like(index)
    for i, w in enumerate(batch):
        n = len(w.ids)
        index[i, :n], kinds[i, :n], mask[i, :n] = w.ids, w.token_type_ids, 1
    return index, kinds, mask


def labels(window: Window, start: int, stop: int) -> tuple[int, int]:
    """The tokens of a window with the first and the last character of text[start:stop].

    (0, 0), the place of [CLS], if the window does not hold all of it: that is the label of "no answer".
    """
    begins, ends = window.offsets.T
    first = np.flatnonzero((begins >= 0) & (begins <= start) & (start < ends))
    last = np.flatnonzero((begins >= 0) & (begins < stop) & (stop <= ends))
    return (int(first[0]), int(last[-1])) if len(first) and len(last) else (0, 0)


def span_loss(start_logits: Tensor, end_logits: Tensor, start: Any, end: Any) -> Tensor:
    """(cross-entropy of the beginning + cross-entropy of the end) / 2.

    Logits (N, T), token numbers (N,). Source: Devlin et al. (2019).
    """
    return (F.cross_entropy(start_logits, start) + F.cross_entropy(end_logits, end)) * 0.5


def best_spans(
    start_logits: np.ndarray,
    end_logits: np.ndarray,
    allowed: np.ndarray,
    most: int = 30,
    count: int = 1,
) -> list[tuple[int, int, float]]:
    """The `count` pairs of tokens (first, last) of the highest sum of logits among those that are answers.

    first <= last < first + most, and both are `allowed` (T,). Fewer where there are fewer.
    """
    if most < 1:
        raise ValueError(f"best_spans: most {most} must be at least 1")
    length = len(allowed)
    begins = np.where(allowed, start_logits, -np.inf)
    ends = np.where(allowed, end_logits, -np.inf)
    sums = begins[:, None] + ends[None, :]  # (T, T)
    i, j = np.indices((length, length))
    sums = np.where((j >= i) & (j < i + most), sums, -np.inf).ravel()
    chosen = np.argsort(-sums, kind="stable")[:count]
    return [
        (int(c // length), int(c % length), float(sums[c])) for c in chosen if sums[c] > -np.inf
    ]


def answer(
    model: nn.Module,
    tokenizer: WordPieceTokenizer,
    question: str,
    text: str,
    *,
    skip: int = 0,
    max_length: int = 384,
    stride: int = 128,
    most: int = 30,
) -> Span | None:
    """The best span of a text, over all its windows; None if the text has no token.

    Characters before `skip` are read but are no answer, such as a heading. The score of "no answer" is
    that of [CLS] as beginning and end, in the window where it is lowest: one window without an answer
    says little.
    """
    return answers(model, tokenizer, question, [text], [skip], max_length=max_length,
                   stride=stride, most=most)[0]  # fmt: skip


def answers(
    model: nn.Module,
    tokenizer: WordPieceTokenizer,
    question: str,
    texts: Sequence[str],
    skips: Sequence[int] | None = None,
    *,
    max_length: int = 384,
    stride: int = 128,
    most: int = 30,
    batch_size: int = 8,
) -> list[Span | None]:
    """`answer` for several texts, a batch of windows at a time."""
    skips = [0] * len(texts) if skips is None else skips
    pairs = [
        (which, w)
        for which, text in enumerate(texts)
        for w in windows(tokenizer, question, text, max_length, stride)
    ]
    best: list[Span | None] = [None] * len(texts)
    nulls = [np.inf] * len(texts)
    was_training = model.training
    model.eval()
    for at in range(0, len(pairs), batch_size):
        batch = pairs[at : at + batch_size]
        with no_grad():
            index, kinds, mask = pad([w for _, w in batch], tokenizer.special.get("[PAD]", 0))
            starts, ends = (x.data for x in model(Tensor(index), kinds, mask))
        for (which, w), start, end in zip(batch, starts, ends):
            nulls[which] = min(nulls[which], float(start[0] + end[0]))
            n = len(w.ids)
            for i, j, score in best_spans(
                start[:n], end[:n], w.offsets[:, 0] >= skips[which], most
            ):
                held = best[which]
                if held is None or score > held.score:
                    a, b = int(w.offsets[i, 0]), int(w.offsets[j, 1])
                    best[which] = Span(texts[which][a:b], a, b, score, 0.0)
    model.train(was_training)
    return [s and s._replace(null=null) for s, null in zip(best, nulls)]
