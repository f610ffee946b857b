"""The reader on a small random BERT: the features it sees, what it learns, how it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmbook import data, models
from lmbook.apps import reader_training as T
from lmbook.apps import span_reader as R
from lmbook.apps.passages import Passage
from lmbook.apps.questions import Question
from lmbook.apps.span_features import SPECIAL, WHOLE, SpanFeatures, hash_of, rarity
from lmbook.apps.spans import windows
from lmbook.backend import CheckpointError, manual_seed
from lmbook.training.checkpoint import save_tensors

COLOURS = ["red", "blue", "green", "white", "black", "brown", "pink", "grey"]
THINGS = ["door", "wall", "roof", "floor", "table", "chair", "lamp", "book"]


def passage(i: int) -> Passage:
    """The colours of three things, in a text."""
    draw = np.random.default_rng(i)
    things, colours = draw.permutation(THINGS)[:3], draw.permutation(COLOURS)[:3]
    text = " ".join(f"The {t} is {c}." for t, c in zip(things, colours))
    return Passage("python", f"p{i}", "Colours", "", "", text)


PASSAGES = [passage(i) for i in range(90)]
ABSENT = [
    next(t for t in THINGS[i % 8 :] + THINGS if t not in p.text) for i, p in enumerate(PASSAGES)
]


def question(i: int) -> T.Example:
    """What the second thing's colour is."""
    text = PASSAGES[i].text
    sentence = text.split(". ")[1]
    start = text.index(sentence) + sentence.index(" is ") + 4
    return T.Example(f"What colour is the {sentence.split()[1]}?", i, start, text.index(".", start))


@pytest.fixture(scope="module")
def tokenizer() -> data.WordPieceTokenizer:
    words = [
        *COLOURS,
        *THINGS,
        "the",
        "is",
        ".",
        "?",
        "what",
        "colour",
        "colours",
        "##s",
        '"',
        "error",
    ]
    unused = [f"[unused{i}]" for i in range(SPECIAL - 5)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    more = [f"[more{i}]" for i in range(1500)]  # so that the words are rare
    return data.WordPieceTokenizer({w: i for i, w in enumerate([*special, *unused, *more, *words])})


@pytest.fixture(scope="module")
def reader(tokenizer: data.WordPieceTokenizer) -> R.SpanReader:
    manual_seed(0)
    bert = models.BertModel(models.BertConfig(len(tokenizer), 32, 2, 2, 64, 64))
    size = SpanFeatures(tokenizer).width(32)
    return R.SpanReader(bert, tokenizer, R.SpanScorer(R.ScorerConfig(size, 8, 1, 0.0)))


@pytest.fixture(scope="module")
def trained(reader: R.SpanReader) -> R.SpanReader:
    """On sixty passages, each with a question that it answers and one that it does not."""
    chosen = [question(i) for i in range(60)]
    wrong = [T.Example(f"What colour is the {t}?", i, -1, -1) for i, t in enumerate(ABSENT[:60])]
    samples = T.prepare(reader, PASSAGES, chosen + wrong)
    assert sorted(s.target for s in samples) == [0] * 60 + [T.SPANS] * 60
    assert T.train(reader.scorer, samples, 200, 16, lr=1e-2, weight_decay=0.0) < 0.3
    return reader


def test_it_finds_what_is_asked_in_texts_that_it_has_not_seen(trained: R.SpanReader) -> None:
    right = silent = 0
    for i in range(60, 90):
        e = question(i)
        text = "Colours\n" + PASSAGES[i].text
        span = trained.answer(e.question, text, 8)
        assert span is not None and text[span.start : span.stop] == span.text
        right += (span.start, span.stop) == (e.start + 8, e.stop + 8) and span.margin > 0
        other = trained.answer(f"What colour is the {ABSENT[i]}?", text, 8)
        assert other is not None
        silent += other.margin < 0
    assert right >= 27 and silent >= 27


def test_long_texts_are_read_in_windows(
    trained: R.SpanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(R, "MAX_LENGTH", 30)
    monkeypatch.setattr(R, "STRIDE", 8)
    e = question(60)
    text = " ".join(p.text for p in PASSAGES[61:63]) + " " + PASSAGES[60].text
    for n in (61, 62):
        text = text.replace(e.question.split()[-1][:-1], "lamp") if n == 61 else text
    assert len(windows(trained.tokenizer, e.question, text, 30, 8)) > 2
    span = trained.answer(e.question, text)
    assert span is not None and text[span.start : span.stop] == span.text
    assert trained.answer(e.question, "  ") is None
    late = trained.answer(e.question, text, len(text) - 6)
    assert late is not None and late.start >= len(text) - 6


def test_nothing_of_the_encoder_is_trained(trained: R.SpanReader) -> None:
    assert all(p.grad is None for p in trained.bert.parameters())
    assert all(p.grad is not None for p in trained.scorer.parameters())


def test_features_by_hand(tokenizer: data.WordPieceTokenizer) -> None:
    """Spans of whole words inside a sentence, and the first features of one of them."""
    features = SpanFeatures(tokenizer)
    text = 'The walls is red. The "door" is blue.'
    window = windows(tokenizer, "What is the colour?", text, 40, 4)[0]
    n = len(window.ids)
    vectors = np.eye(n, 64, dtype=np.float32)
    got = features.read(window, text, 4, vectors, vectors, vectors)
    assert got.features.shape == (len(got.first), features.width(64)) and got.whole.shape == (
        WHOLE,
    )
    found = {text[window.offsets[i, 0] : window.offsets[j, 1]] for i, j in zip(got.first, got.last)}
    assert {"walls is red", "red", '"door"', "door", 'The "door" is blue.', "blue"} <= found
    assert not {"The walls", "wall", "s is", "red. The", ".", 'door"'} & (found - {'door"'})
    assert hash_of("raised") == hash_of("raises") == hash_of("raise") != hash_of("rain")
    assert rarity(np.array([5, 1000, 30_000])).tolist() == [0, 0, 1]
    which = list(zip(got.first, got.last)).index(
        next((i, j) for i, j in zip(got.first, got.last)
             if text[window.offsets[i, 0] : window.offsets[j, 1]] == '"door"')
    )  # fmt: skip
    assert got.features[which, 12] == pytest.approx(0.3)  # three tokens, in tens


def test_a_scorer_is_kept_in_half_precision(trained: R.SpanReader, tmp_path: Path) -> None:
    path = R.save_scorer(tmp_path / "s.safetensors", trained.scorer, {"weights": [1, 2, 3, 4]})
    again = R.SpanReader.stored(trained.bert, trained.tokenizer, path)
    assert again.scorer.config == trained.scorer.config
    assert again.scorer.metadata["weights"] == [1, 2, 3, 4]
    a, b = (r.answer(question(70).question, PASSAGES[70].text) for r in (trained, again))
    assert a is not None and b is not None
    assert a.text == b.text and a.score == pytest.approx(b.score, abs=0.1)


def test_bad_scorers(trained: R.SpanReader, tmp_path: Path) -> None:
    scorer = trained.scorer
    path = R.save_scorer(tmp_path / "s.safetensors", scorer, {})
    whole, bad = path.read_bytes(), tmp_path / "bad.safetensors"
    for content, message in (
        (whole[:-10], "truncated"),
        (whole[:-1] + bytes([whole[-1] ^ 1]), "does not match its checksum"),
        (b"\x80\x04\x95" + whole, "pickle"),
    ):
        bad.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            R.load_scorer(bad)
    arrays = scorer.state_dict()
    config = {"config": {"features": scorer.config.features, "size": 8}}
    for changed, said in (
        ({**arrays, "more": np.zeros(2)}, config),
        ({**arrays, "linear.bias": np.zeros(3)}, config),
        ({k: v for k, v in arrays.items() if k != "none.bias"}, config),
        (arrays, {"config": {"height": 3}}),
    ):
        save_tensors(bad, changed, said)
        with pytest.raises(CheckpointError, match="does not fit SpanScorer"):
            R.load_scorer(bad)
    save_tensors(bad, arrays)
    with pytest.raises(CheckpointError, match="holds no span scorer"):
        R.load_scorer(bad)
    with pytest.raises(
        ValueError, match=r"wants 99 features and layer 3; this encoder gives \d+ and has 2"
    ):
        R.SpanReader(trained.bert, trained.tokenizer, R.SpanScorer(R.ScorerConfig(99)))


def test_a_question_without_its_passage() -> None:
    lost = Question("x1", "What?", "python", "p0", "nowhere to be found", ("nowhere",), "fact")
    with pytest.raises(ValueError, match="no passage holds the quote and answer of x1"):
        T.examples(PASSAGES, [lost])
