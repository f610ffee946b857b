"""The reader's head on a small random BERT: what it sees, what it learns, how it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmbook import data, models
from lmbook.apps import reader_training as T
from lmbook.apps import span_reader as R
from lmbook.apps import spans
from lmbook.apps.passages import Passage
from lmbook.backend import CheckpointError, manual_seed
from lmbook.training.checkpoint import save_tensors

COLOURS = ["red", "blue", "green", "white", "black", "brown", "pink", "grey"]
THINGS = ["door", "wall", "roof", "floor", "table", "chair", "lamp", "book"]


def passage(i: int) -> Passage:
    """The colours of three things, in a text."""
    draw = np.random.default_rng(i)
    things, colours = draw.permutation(THINGS)[:3], draw.permutation(COLOURS)[:3]
    text = " ".join(f"the {t} is {c} ." for t, c in zip(things, colours))
    return Passage("python", f"p{i}", "Colours", "", "", text)


PASSAGES = [passage(i) for i in range(120)]


def question(i: int) -> T.Example:
    text = PASSAGES[i].text
    thing = text.split()[1]
    start = text.index(" is ") + 4
    return T.Example(f"what colour is the {thing} ?", i, start, text.index(" .", start))


@pytest.fixture(scope="module")
def tokenizer() -> data.WordPieceTokenizer:
    words = [*COLOURS, *THINGS, "the", "is", ".", "?", "what", "colour", "colours"]
    unused = [f"[unused{i}]" for i in range(R.SPECIAL - 5)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return data.WordPieceTokenizer({w: i for i, w in enumerate([*special, *unused, *words])})


@pytest.fixture(scope="module")
def reader(tokenizer: data.WordPieceTokenizer) -> R.SpanReader:
    manual_seed(0)
    bert = models.BertModel(models.BertConfig(len(tokenizer), 32, 2, 2, 64, 64))
    return R.SpanReader(bert, R.SpanHead(R.HeadConfig(32, 16, 2, 1, 1, 0.0)), tokenizer)


def test_the_head_learns_to_find_what_is_asked(
    reader: R.SpanReader, tokenizer: data.WordPieceTokenizer
) -> None:
    """On a random encoder: the features alone say which thing was asked for."""
    chosen = [question(i) for i in range(100)]
    absent = [next(t for t in THINGS[i % 8 :] + THINGS if t not in p.text)
              for i, p in enumerate(PASSAGES)]  # fmt: skip
    wrong = [T.Example(f"what colour is the {t} ?", i, -1, -1) for i, t in enumerate(absent[:60])]
    prepared = T.prepare(reader, tokenizer, PASSAGES, chosen + wrong)
    assert [p.start == 0 for p in prepared] == [False] * 100 + [True] * 60
    T.train(reader.head, prepared, steps=200, lr=1e-2)

    def read(question: str, i: int) -> spans.Span:
        found = spans.answer(reader, tokenizer, question, "Colours\n" + PASSAGES[i].text, skip=8)
        assert found is not None
        return found

    right = margins = 0.0
    for i in range(100, 120):
        e = question(i)
        span = read(e.question, i)
        right += span.text == PASSAGES[i].text[e.start : e.stop]
        margins += span.margin > read(f"what colour is the {absent[i]} ?", i).margin
    assert right >= 17 and margins >= 13


def test_nothing_of_the_encoder_is_trained(reader: R.SpanReader) -> None:
    index = np.array([[2, 1000, 3, 1001, 3]])
    start, end = reader(index, np.array([[0, 0, 0, 1, 1]]), np.ones((1, 5), int))
    (start.sum() + end.sum()).backward()
    assert all(p.grad is None for p in reader.bert.parameters())
    assert all(p.grad is not None for p in reader.head.parameters())
    reader.zero_grad()


def test_padding_changes_nothing(reader: R.SpanReader) -> None:
    index, kinds = np.array([[2, 1000, 1004, 3, 1001, 1004, 3]]), np.array([[0, 0, 0, 0, 1, 1, 1]])
    plain = reader(index, kinds, np.ones((1, 7), int))
    padded = reader(*(np.pad(x, ((0, 0), (0, 3))) for x in (index, kinds, np.ones((1, 7), int))))
    for a, b in zip(plain, padded):
        np.testing.assert_allclose(b.data[:, :7], a.data, atol=1e-5)
        assert (b.data[:, 7:] < -5e3).all()


def test_features_by_hand() -> None:
    """[CLS] a b [SEP] b c [SEP], with vectors of which a and c are alike."""
    index, kinds = np.array([[2, 2000, 9000, 3, 9000, 5000, 3]]), np.array([[0, 0, 0, 0, 1, 1, 1]])
    vectors = np.eye(3, dtype=np.float32)[[2, 0, 1, 2, 1, 0, 2]][None]
    found = R.match(index, kinds, np.ones((1, 7), int), vectors, vectors)[0]
    same, weighed, near, words = found.T[:4]
    rare = np.log(np.array([2000, 9000, 5000]) / 1000) / np.log(30)
    assert same.tolist() == [0, 0, 1, 0, 1, 0, 0]
    np.testing.assert_allclose(weighed[[2, 4]], rare[1], rtol=1e-6)
    assert near.tolist() == [0, 1, 1, 0, 1, 1, 0]
    np.testing.assert_allclose(words, [0, rare[2], rare[1], 0, rare[1], rare[0], 0], rtol=1e-6)
    np.testing.assert_allclose(found[4, 4], 2 * rare[1] / 9, rtol=1e-6)  # two within four tokens
    np.testing.assert_allclose(found[[1, 2, 4, 5], 7], np.sqrt(0.5), rtol=1e-6)
    assert found[:, 8].tolist() == [0, 0, 0, 0, 1, 1, 0] and (found[[0, 3, 6]] == 0).all()


def test_a_head_is_kept_in_half_precision(
    reader: R.SpanReader, tokenizer: data.WordPieceTokenizer, tmp_path: Path
) -> None:
    path = R.save_head(tmp_path / "head.safetensors", reader.head, {"weights": [1, 2, 3, 4]})
    again = R.load_head(path)
    assert again.config == reader.head.config and again.metadata["weights"] == [1, 2, 3, 4]
    for name, array in again.state_dict().items():
        np.testing.assert_allclose(array, reader.head.state_dict()[name], rtol=1e-3, atol=1e-6)
    assert R.SpanReader.stored(reader.bert, tokenizer, path).head.num_parameters() == (
        reader.head.num_parameters()
    )


def test_bad_heads(
    reader: R.SpanReader, tokenizer: data.WordPieceTokenizer, tmp_path: Path
) -> None:
    path = R.save_head(tmp_path / "head.safetensors", reader.head, {})
    whole = path.read_bytes()
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(whole[:-10])
    with pytest.raises(CheckpointError, match="truncated"):
        R.load_head(bad)
    bad.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        R.load_head(bad)
    bad.write_bytes(b"\x80\x04\x95" + whole)
    with pytest.raises(CheckpointError, match="pickle"):
        R.load_head(bad)
    arrays = reader.head.state_dict()
    config = {"config": {"width": 32, "size": 16, "heads": 2, "layers": 1, "middle": 1}}
    save_tensors(bad, {**arrays, "more": np.zeros(2)}, config)
    with pytest.raises(CheckpointError, match="does not fit SpanHead"):
        R.load_head(bad)
    save_tensors(bad, {**arrays, "matched.bias": np.zeros(3)}, config)
    with pytest.raises(CheckpointError, match="does not fit SpanHead"):
        R.load_head(bad)
    save_tensors(bad, arrays, {"config": {"height": 3}})
    with pytest.raises(CheckpointError, match="does not fit SpanHead"):
        R.load_head(bad)
    save_tensors(bad, arrays)
    with pytest.raises(CheckpointError, match="holds no span head"):
        R.load_head(bad)
    with pytest.raises(
        ValueError, match=r"the head wants vectors of 384 and layer 3, the encoder has 32"
    ):
        R.SpanReader(reader.bert, R.SpanHead(R.HeadConfig()), tokenizer)


def test_examples_of_a_question_without_its_passage() -> None:
    from lmbook.apps.questions import Question

    lost = Question("x1", "What?", "python", "p0", "nowhere to be found", ("nowhere",), "fact")
    with pytest.raises(ValueError, match="no passage holds the quote and answer of x1"):
        T.examples(PASSAGES, [lost], made=0)
