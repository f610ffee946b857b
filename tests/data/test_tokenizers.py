"""Nothing is lost between text and ids; what is unknown is named."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbook import data
from lmbook.data.tokenizers.bpe import PIECES, BPETokenizer

any_text = st.text(st.characters(), max_size=60)  # all of Unicode, lone surrogates too
SAMPLE = "the cat and the hat sat; then that bat — 猫和帽子 naïve  \n\n\tthe_end 123 1234"
bpe = BPETokenizer.train(SAMPLE * 3, merges=60, special=("<pad>", "<eos>"))


@given(any_text)
def test_char_round_trip(text):
    tokenizer = data.CharTokenizer(text, special=("<pad>",))
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64 and ids.shape == (len(text),)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode([*ids, tokenizer.special["<pad>"]]) == text


def test_char_names_the_unknown():
    tokenizer = data.CharTokenizer("banana")
    assert tokenizer.characters == ["a", "b", "n"] and len(tokenizer) == 3
    with pytest.raises(data.UnknownToken, match=r"'d' \(U\+0064\) at position 3"):
        tokenizer.encode("band")
    with pytest.raises(data.UnknownToken, match=r"id 3 is not in 0\.\.2"):
        tokenizer.decode([0, 3])
    with pytest.raises(data.UnknownToken):
        tokenizer.decode([-1])


@given(any_text)
@settings(max_examples=300)
def test_bpe_round_trip_of_any_text(text):
    assert bpe.decode(bpe.encode(text)) == text
    assert "".join(PIECES.findall(text)) == text


@given(st.text("ab ", max_size=80), st.integers(0, 12))
def test_bpe_learns_the_most_frequent_pair_every_time(text, merges):
    """The quick incremental training equals counting everything again for each merge."""
    pieces = Counter(PIECES.findall(text))
    words = {piece: [bytes([b]) for b in piece.encode()] for piece in pieces}
    expected = []
    while len(expected) < merges:
        counts = Counter()
        for piece, symbols in words.items():
            for pair in itertools.pairwise(symbols):
                counts[pair] += pieces[piece]
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        if counts[best] < 2:
            break
        expected.append(best)
        for symbols in words.values():
            i = 0
            while i + 1 < len(symbols):
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = [best[0] + best[1]]
                i += 1
    learned = BPETokenizer.train(text, merges)
    assert [(learned.bytes_of[a], learned.bytes_of[b]) for a, b in learned.merges] == expected
    for piece, symbols in words.items():  # and encoding ends where training ended
        assert [learned.bytes_of[i] for i in learned._encode_piece(piece)] == symbols


def test_bpe_special_tokens_come_last_and_never_from_text():
    assert bpe.special == {"<pad>": len(bpe) - 2, "<eos>": len(bpe) - 1}
    ids = bpe.encode("<eos>")
    assert not set(ids) & set(bpe.special.values())
    assert bpe.decode([*ids, bpe.special["<eos>"]]) == "<eos>"
    with pytest.raises(data.UnknownToken, match="is not in 0"):
        bpe.decode([len(bpe)])


def test_bpe_bytes_that_are_no_text_become_replacement_characters():
    assert bpe.decode([0xE7, 0x8C]) == "\ufffd"
    assert bpe.decode([0x61, 0xFF, 0x62]) == "a\ufffdb"


def test_bpe_save_and_load(tmp_path):
    bpe.save(tmp_path / "bpe.json")
    again = BPETokenizer.load(tmp_path / "bpe.json")
    assert again.merges == bpe.merges and again.special == bpe.special
    assert (again.encode(SAMPLE) == bpe.encode(SAMPLE)).all()


def test_bpe_refuses_a_merge_of_tokens_not_made_yet():
    with pytest.raises(ValueError, match=r"merge \(97, 300\)"):
        BPETokenizer([(97, 300)])
    with pytest.raises(ValueError, match="each name once"):
        BPETokenizer([], special=("<a>", "<a>"))


def test_bpe_shortens_real_text(reference):
    tokenizer = BPETokenizer.train(reference.train, merges=1000)
    ids = tokenizer.encode(reference.test)
    assert tokenizer.decode(ids) == reference.test
    assert len(reference.test) / len(ids) > 2.8
    assert " the" in [tokenizer.decode([i]) for i in range(256, 300)]
