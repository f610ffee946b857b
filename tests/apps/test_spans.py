"""Windows as the library cuts them, valid spans by brute force, the loss of two ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import BertProcessing

from lmbook import data, models
from lmbook.apps import spans as S
from lmbook.autograd import Tensor

QUESTION = "Where does the naïve cat sit?"
TEXT = "A cat sat on the mat. " * 6 + "Ångström measured 0.1 nm, 猫 slept; the dog didn't. " * 3


@pytest.fixture(scope="module")
def tokenizer() -> data.WordPieceTokenizer:
    return data.WordPieceTokenizer.train([QUESTION, TEXT], 120, min_frequency=1)


@pytest.mark.parametrize(("longest", "stride"), [(40, 10), (64, 0), (500, 128), (33, 5)])
def test_windows_are_the_librarys(
    tokenizer: data.WordPieceTokenizer, tmp_path: Path, longest: int, stride: int
) -> None:
    tokenizer.save(tmp_path / "vocab.txt")
    theirs = tokenizers.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"))
    ends = [(name, tokenizer.special[name]) for name in ("[SEP]", "[CLS]")]
    theirs._tokenizer.post_processor = BertProcessing(*ends)
    theirs.enable_truncation(longest, stride=stride, strategy="only_second")
    first = theirs.encode(QUESTION, TEXT)
    ours = S.windows(tokenizer, QUESTION, TEXT, longest, stride)
    assert len(ours) == 1 + len(first.overflowing)
    for a, b in zip(ours, [first, *first.overflowing]):
        assert a.ids.tolist() == b.ids and a.token_type_ids.tolist() == b.type_ids
        inside = a.offsets[:, 0] >= 0
        assert inside.tolist() == [s == 1 for s in b.sequence_ids]
        assert [tuple(o) for o in a.offsets[inside]] == [
            o for o, s in zip(b.offsets, b.sequence_ids) if s == 1
        ]


def test_labels_find_the_answer_or_say_none(tokenizer: data.WordPieceTokenizer) -> None:
    start = TEXT.index("Ångström measured")
    stop = start + len("Ångström")
    held = 0
    for w in S.windows(tokenizer, QUESTION, TEXT, 40, 10):
        i, j = S.labels(w, start, stop)
        if i:
            held += 1
            assert TEXT[w.offsets[i, 0] : w.offsets[j, 1]] == "Ångström"
        else:
            assert j == 0
    assert held >= 1


def test_window_errors(tokenizer: data.WordPieceTokenizer) -> None:
    with pytest.raises(ValueError, match="the question is empty"):
        S.windows(tokenizer, " \t", TEXT)
    with pytest.raises(ValueError, match=r"max_length 14 leaves \d tokens beside a question"):
        S.windows(tokenizer, QUESTION, TEXT, 14, 8)
    asked = S.windows(tokenizer, "cat " * 500, TEXT, 100, 8)[0]
    assert asked.token_type_ids.argmax() == 66


numbers = st.floats(-5, 5, width=32)


@given(st.integers(1, 14), st.integers(1, 6), st.data())
@settings(max_examples=60, deadline=None)
def test_the_best_spans_are_those_of_a_search_by_hand(length: int, most: int, draw: Any) -> None:
    start = np.array(draw.draw(st.lists(numbers, min_size=length, max_size=length)))
    end = np.array(draw.draw(st.lists(numbers, min_size=length, max_size=length)))
    allowed = np.array(draw.draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    valid = [
        (start[i] + end[j], i, j)
        for i in range(length)
        for j in range(i, min(length, i + most))
        if allowed[i] and allowed[j]
    ]
    found = S.best_spans(start, end, allowed, most, count=3)
    assert [round(s, 9) for *_, s in found] == [round(s, 9) for s, *_ in sorted(valid)[::-1][:3]]
    for i, j, score in found:
        assert allowed[i] and allowed[j] and i <= j < i + most
        assert score == start[i] + end[j]


def test_best_spans_error() -> None:
    with pytest.raises(ValueError, match="most 0 must be at least 1"):
        S.best_spans(np.zeros(2), np.zeros(2), np.ones(2, bool), 0)


def test_the_loss_is_the_mean_of_two_as_in_transformers() -> None:
    """Against the loss that BertForQuestionAnswering computes itself."""
    transformers.logging.set_verbosity_error()
    config: Any = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=20,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.BertForQuestionAnswering(config).eval()
    index, start, end = (
        torch.randint(5, 50, (3, 12)),
        torch.tensor([0, 3, 5]),
        torch.tensor([0, 4, 11]),
    )
    out = model(index, start_positions=start, end_positions=end)
    ours = S.span_loss(
        Tensor(out.start_logits.detach().numpy()), Tensor(out.end_logits.detach().numpy()),
        start.numpy(), end.numpy(),
    )  # fmt: skip
    assert float(ours.data) == pytest.approx(out.loss.item(), abs=1e-6)


class Pointing(models.BertForQuestionAnswering):
    """Logits that point at one token, wherever it is."""

    def __init__(self, wanted: int) -> None:
        super().__init__(models.BertConfig(60, 4, 1, 1, 4))
        self.wanted = wanted

    def forward(self, index: Any, token_type_ids: Any = None, attention_mask: Any = None) -> Any:
        found = Tensor((index.data == self.wanted) * 3.0 + (token_type_ids == 0))
        return found, found


def test_an_answer_over_several_windows(tokenizer: data.WordPieceTokenizer) -> None:
    wanted = int(tokenizer.encode("nm")[-1])
    model = Pointing(wanted)
    span = S.answer(model, tokenizer, QUESTION, TEXT, max_length=40, stride=10, most=1)
    assert span is not None and TEXT[span.start : span.stop] == span.text
    assert tokenizer.encode(span.text).tolist()[-1] == wanted
    assert (span.score, span.null, span.margin) == (6, 2, 4)
    late = TEXT.rindex("nm") - 2
    skipped = S.answer(
        model, tokenizer, QUESTION, TEXT, skip=late, max_length=40, stride=10, most=1
    )
    assert skipped is not None and skipped.start >= late
    assert S.answer(model, tokenizer, QUESTION, "  ") is None
    several = S.answers(model, tokenizer, QUESTION, [TEXT, "", TEXT], [0, 0, late],
                        max_length=40, stride=10, most=1, batch_size=3)  # fmt: skip
    assert several == [span, None, skipped]
