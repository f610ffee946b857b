"""Byte-level BPE and WordPiece give the ids of the library `tokenizers`, and lose what they say."""

import random
import unicodedata

import numpy as np
import pytest
import tokenizers as library
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from lmbook import data
from lmbook.data.tokenizers.learn import apply_merges
from lmbook.data.tokenizers.patterns import gpt2_pieces
from lmbook.data.tokenizers.wordpiece import SPECIAL, bert_words

SAMPLE = "the cat's hat sat; they're ²½Ⅷ then — 猫和帽子 naïve  \n\n\tthe_end 123 é👩‍👩‍👧 "


def their_bpe(texts, size, special=(), least=2):
    tokenizer = library.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), min_frequency=least,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def their_wordpiece(texts, size):
    tokenizer = library.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


# Characters that have had their category since Unicode 3.2: the library's tables are older than
# Python's, and no two versions agree on newer ones.
def settled(character):
    return unicodedata.ucd_3_2_0.category(character) == unicodedata.category(character) != "Cn"


old_text = st.text(
    st.characters(exclude_categories=["Cs", "Cn", "Co"]).filter(settled), max_size=60
)
any_text = st.text(st.characters(), max_size=60)  # lone surrogates, too
ours = data.ByteLevelBPE.train([SAMPLE * 3], 330, special=("<pad>", "<eos>"))
theirs = their_bpe([SAMPLE * 3], 330, special=("<pad>", "<eos>"))


def test_real_text_gives_the_ids_of_the_library(reference):
    a, b = data.ByteLevelBPE.train([reference.train], 1500), their_bpe([reference.train], 1500)
    assert a.vocab == b.get_vocab()
    assert a.encode(reference.test).tolist() == b.encode(reference.test).ids
    assert a.decode(a.encode(reference.test)) == reference.test


@pytest.mark.parametrize("seed", range(25))
def test_strings_reached_by_two_merges_are_one_token_as_in_the_library(seed):
    """Few letters and many merges: the same string is made in several ways."""
    random_ = random.Random(seed)
    letters = "abcd"[: random_.choice((2, 3, 4))] + " "
    text = "".join(random_.choices(letters, k=random_.choice((50, 400, 3000))))
    size, least = 256 + random_.choice((5, 30, 120)), random_.choice((0, 1, 2, 3))
    a, b = (
        data.ByteLevelBPE.train(text, size, min_frequency=least),
        their_bpe([text], size, (), least),
    )
    assert a.vocab == b.get_vocab()
    other = "".join(random_.choices("abcd ", k=500))
    assert a.encode(other).tolist() == b.encode(other).ids


@given(old_text)
def test_pieces_and_ids_are_those_of_the_library(text):
    pieces = [p for p, _ in pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)]
    assert len(pieces) == len(gpt2_pieces().findall(text))
    assert ours.encode(text).tolist() == theirs.encode(text).ids


@given(any_text)
@settings(max_examples=300)
def test_round_trip_of_any_text(text):
    assert ours.decode(ours.encode(text)) == text
    assert "".join(gpt2_pieces().findall(text)) == text


@given(st.binary(max_size=40))
def test_lone_bytes_decode_to_text(content):
    """What a model may write: bytes that are no UTF-8 become U+FFFD, as in Python and the library."""
    ids = [ours.vocab[data.tokenizers.byte_level.byte_characters()[b]] for b in content]
    assert ours.decode(ids) == content.decode("utf-8", errors="replace") or b"\xed" in content


def test_files_are_read_by_the_library_and_the_library_s_by_us(tmp_path):
    ours.save(tmp_path / "ours.json")
    theirs.save(str(tmp_path / "theirs.json"))
    read = library.Tokenizer.from_file(str(tmp_path / "ours.json"))
    assert read.encode(SAMPLE).ids == ours.encode(SAMPLE).tolist()
    for name in ("ours", "theirs"):
        again = data.ByteLevelBPE.load(tmp_path / f"{name}.json")
        assert (again.vocab, again.merges, again.special) == (ours.vocab, ours.merges, ours.special)


def test_special_tokens_stand_for_no_text():
    assert ours.special == {"<pad>": 0, "<eos>": 1} and len(ours) == len(ours.vocab)
    assert not {0, 1} & set(ours.encode("<eos><pad>").tolist())
    assert ours.decode([*ours.encode("<eos>"), 1]) == "<eos>"


def test_a_long_piece_takes_as_many_steps_as_it_has_bytes():
    tokenizer = data.ByteLevelBPE.train(["a" * 4096, "b " * 9], 400)

    class Counting(dict):
        asked = 0

        def get(self, key, default=None):
            Counting.asked += 1
            return super().get(key, default)

    rank = Counting(tokenizer._rank)
    a = tokenizer.vocab["a"]
    ids = apply_merges([a] * 100_000, rank)
    assert "".join(tokenizer.decode([i]) for i in ids) == "a" * 100_000
    assert Counting.asked < 3 * 100_000


def test_bpe_errors(tmp_path):
    with pytest.raises(data.DataError, match="the corpus is empty"):
        data.ByteLevelBPE.train([], 300)
    with pytest.raises(data.DataError, match="the corpus is empty"):
        data.ByteLevelBPE.train([""], 300)
    with pytest.raises(ValueError, match=r"vocab_size 256 is too small .* at least 257"):
        data.ByteLevelBPE.train("text", 256, special=["<pad>"])
    with pytest.raises(ValueError, match="each name once"):
        data.ByteLevelBPE.train("text", 300, special=["<a>", "<a>"])
    with pytest.raises(ValueError, match="token 'xy' is not in the vocabulary"):
        data.ByteLevelBPE(ours.vocab, [("x", "y")])
    with pytest.raises(data.UnknownToken, match=r"id 9999 is not in 0\.\."):
        ours.decode([9999])
    (tmp_path / "other.json").write_text('{"model": {"type": "Unigram"}}', encoding="utf-8")
    with pytest.raises(data.DataError, match="holds model Unigram"):
        data.ByteLevelBPE.load(tmp_path / "other.json")


def test_wordpiece_trains_and_encodes_as_the_library(reference):
    b = their_wordpiece([reference.train, SAMPLE], 1200)
    vocab = b.get_vocab()
    # the library numbers the characters inside words in the order of a hash table, anew each run
    inner = [t for t in sorted(vocab, key=vocab.get) if t.startswith("##") and len(t) == 3]
    a = data.WordPieceTokenizer.train([reference.train, SAMPLE], 1200, alphabet=inner)
    assert a.vocab == vocab
    text = reference.test + SAMPLE + "zzząß" + "x" * 101
    assert a.encode(text).tolist() == b.encode(text, add_special_tokens=False).ids
    assert "[UNK]" in a.tokens(a.encode("ж" + "x" * 101))


@given(old_text)
def test_words_are_cut_as_bert_cuts_them(text):
    normal = normalizers.BertNormalizer().normalize_str(text)
    assert bert_words(text) == [
        w for w, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normal)
    ]


def test_wordpiece_loses_case_and_spaces_and_keeps_its_file(tmp_path):
    tokenizer = data.WordPieceTokenizer.train([SAMPLE * 3], 120)
    assert tokenizer.decode(tokenizer.encode("The  CAT sat")) == "the cat sat"
    tokenizer.save(tmp_path / "vocab.txt")
    again = data.WordPieceTokenizer.load(tmp_path / "vocab.txt")
    assert again.vocab == tokenizer.vocab
    assert again.encode(SAMPLE).dtype == np.int64


def test_wordpiece_errors():
    with pytest.raises(data.DataError, match="the corpus is empty"):
        data.WordPieceTokenizer.train(["  "], 100)
    with pytest.raises(ValueError, match="vocab_size 6 is too small"):
        data.WordPieceTokenizer.train(["some text"], 6)
    with pytest.raises(ValueError, match="alphabet must be"):
        data.WordPieceTokenizer.train(["ab"], 60, alphabet=["##c"])
    with pytest.raises(ValueError, match=r"no \[UNK\]"):
        data.WordPieceTokenizer({"a": 0})
    with pytest.raises(data.UnknownToken, match="id 77"):
        data.WordPieceTokenizer({"[UNK]": 0}).decode([77])


def test_what_is_remembered_stays_bounded(monkeypatch):
    wordpiece = data.WordPieceTokenizer.train([SAMPLE * 3], 120)
    text = "the cat sat then the hat sat " + SAMPLE
    for tokenizer in (ours, wordpiece):
        tokenizer._known.clear()
        whole = tokenizer.encode(text).tolist()
        module = data.tokenizers.byte_level if tokenizer is ours else data.tokenizers.wordpiece
        monkeypatch.setattr(module, "MOST_KNOWN", 3)
        tokenizer._known.clear()
        assert tokenizer.encode(text).tolist() == whole
        assert len(tokenizer._known) <= 3
