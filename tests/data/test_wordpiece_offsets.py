"""WordPiece of cased and uncased vocabularies: ids and offsets of the library, on hard text."""

from __future__ import annotations

import random
import sys
import unicodedata
from pathlib import Path

import pytest
import tokenizers as library
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from lmbook import data

HARD = [
    "The naïve café in ÅNGSTRÖM; İstanbul, ẞ straße ΑΣ ὈΔΥΣΣΕΎΣ.",
    "猫坐在垫子上，made in 中国 2026年。 한국어 ひらがな",
    'str.count(sub[, start[, end]]) — "__debug__" is ‘True’…',
    "\tTabs,\r\nlines\u200b, \u00ad soft\u00a0spaces \u3000 and \x07 bells \ufffd",
    "e\u0301 a\u0301\u0323 \u0301lone ﬁ ½ Ⅷ 🙂👩‍👩‍👧 ৰ\u09be क्षि",
    "x" * 101 + " " + "unbelievablyunaffable" * 3,
    "", "   ",
]  # fmt: skip
PIECES = ("the", "na", "##ï", "##i", "##ve", "un", "##aff", "##able", "Å", "##N", "a", "##ng")


def vocabulary() -> dict[str, int]:
    """Every character of the hard texts, with and without ##, but for a few; some longer pieces."""
    text = "".join(HARD)
    every = sorted(set(text + text.lower() + unicodedata.normalize("NFD", text + text.lower())))
    kept = [c for c in every if not c.isspace() and c not in "猫ৰ"]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *kept, *(f"##{c}" for c in kept)]
    return {name: i for i, name in enumerate(dict.fromkeys([*names, *PIECES]))}


VOCAB = vocabulary()


def theirs(lowercase: bool, strip: bool | None) -> library.Tokenizer:
    tokenizer = library.Tokenizer(
        models.WordPiece(VOCAB, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


WAYS = [(True, None), (False, None), (True, False), (False, True)]
PAIRS = {
    way: (data.WordPieceTokenizer(VOCAB, lowercase=way[0], strip_accents=way[1]), theirs(*way))
    for way in WAYS
}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_hard_texts_have_the_ids_and_offsets_of_the_library(way: tuple[bool, bool | None]) -> None:
    a, b = PAIRS[way]
    for text in HARD:
        ids, offsets = a.encode_offsets(text)
        wanted = b.encode(text)
        assert ids.tolist() == a.encode(text).tolist() == wanted.ids, text
        assert [tuple(o) for o in offsets.tolist()] == wanted.offsets, text


# The library's tables are older than Python's: characters that kept their category since Unicode 3.2.
def settled(character: str) -> bool:
    return unicodedata.ucd_3_2_0.category(character) == unicodedata.category(character) != "Cn"


old = st.characters(exclude_categories=["Cs", "Cn", "Co"]).filter(settled)


@given(st.text(st.one_of(old, st.sampled_from("".join(HARD))), max_size=40), st.sampled_from(WAYS))
def test_any_text_has_the_ids_and_offsets_of_the_library(
    text: str, way: tuple[bool, bool | None]
) -> None:
    a, b = PAIRS[way]
    ids, offsets = a.encode_offsets(text)
    wanted = b.encode(text)
    assert ids.tolist() == a.encode(text).tolist() == wanted.ids
    assert [tuple(o) for o in offsets.tolist()] == wanted.offsets


def test_offsets_give_the_text_back() -> None:
    tokenizer = PAIRS[True, None][0]
    text = HARD[0]
    ids, offsets = tokenizer.encode_offsets(text)
    assert text[slice(*offsets[1])] == "na" and text[slice(*offsets[2])] == "ï"
    assert len(ids) == len(offsets) and (offsets[:, 0] < offsets[:, 1]).all()


def test_a_cased_file_is_read_as_cased(tmp_path: Path) -> None:
    texts = ["Paris and paris, Åland"] * 4
    cased = data.WordPieceTokenizer.train(texts, 80, lowercase=False)
    assert cased.encode("Paris").tolist() != cased.encode("paris").tolist()
    cased.save(tmp_path / "vocab.txt")
    again = data.WordPieceTokenizer.load(tmp_path / "vocab.txt")
    assert not again.lowercase and again.decode(again.encode("Paris Åland")) == "Paris Åland"
    plain = data.WordPieceTokenizer.load(tmp_path / "vocab.txt", lowercase=True)
    assert plain.encode("Paris").tolist() == plain.encode("PARIS").tolist()


def test_every_character_alone() -> None:
    """All of Unicode that the library's older tables know alike, in both cases."""
    known = [chr(i) for i in range(sys.maxunicode + 1)]
    chosen = random.Random(0).sample([c for c in known if settled(c)], 3000)
    for lowercase in (True, False):
        ours, other = PAIRS[lowercase, None]
        for c in chosen:
            if unicodedata.category(c) not in ("Cs", "Co"):
                got = ours.encode_offsets(f"a{c}b")
                want = other.encode(f"a{c}b")
                assert got[0].tolist() == want.ids, hex(ord(c))
                assert [tuple(o) for o in got[1].tolist()] == want.offsets, hex(ord(c))
