"""Cleaning changes what it says and nothing else; each rule is broken by a text made for it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbook import data

START = "the cat that lives with me wants to be fed at dawn and I have often wondered why"
GOOD = " ".join([START, *(f"because{letter}" for letter in "abcdefghijklmnopqrstuvwxyzαβγδεζηθικ")])
names = st.text(st.characters(), max_size=60)


@given(names, st.sampled_from(["NFC", "NFKC"]))
def test_normalising_twice_is_normalising_once(text, form):
    once = data.normalise_text(text, form)
    assert data.normalise_text(once, form) == once
    assert unicodedata.is_normalized(form, once)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in once)


def test_normalise_text():
    assert data.normalise_text("e\u0301") == "\u00e9"
    assert data.normalise_text("a\r\nb\rc\x00\x1b\ufeff\u200bd\t\ufdd0\ud800") == "a\nb\ncd\t"
    assert data.normalise_text("ﬁ 2⁵") == "ﬁ 2⁵"
    assert data.normalise_text("ﬁ 2⁵ ①", "NFKC") == "fi 25 1"
    family = "👩\u200d👧"
    assert data.normalise_text(family) == family
    assert data.normalise_text("Don't, stop: 猫。") == "Don't, stop: 猫。"


def test_boilerplate_goes_and_the_rest_stays():
    pages = [f"Home | About\n\npage {i} says {i * i}\n  © 2024  Someone " for i in range(20)]
    assert data.drop_boilerplate(pages) == [f"\npage {i} says {i * i}" for i in range(20)]
    assert data.drop_boilerplate(pages[:2]) == pages[:2]  # twice is no menu
    ten = ["a\nb"] * 2 + ["c"] * 18
    assert (
        data.drop_boilerplate(ten, most=0.1, least=2)[:2] == ["a\nb"] * 2
    )  # not more than a tenth
    with pytest.raises(ValueError, match="most=0 must be a share"):
        data.drop_boilerplate(pages, most=0)


def words(n, length=5):
    return " ".join(f"{i:0{length}}x" for i in range(n))


BREAKS = {
    "words": "the cat and the dog",
    "word_length": GOOD + " " + "y" * 900,
    "symbols_per_word": GOOD.replace("because", "#because #"),
    "alphabetic_words": GOOD + " " + " ".join(str(i**3) for i in range(40)),
    "bullet_lines": "\n".join("- " + word for word in GOOD.split()),
    "ellipsis_lines": "\n".join(word + " …" for word in (GOOD + " end").split()[::4]) + "\n" + GOOD,
    "common_words": " ".join(f"because{i}x" for i in range(60)),
    "duplicate_lines": GOOD + "\nyes\nno" + "\nyes" * 3,
    "duplicate_line_characters": GOOD + "\n" + GOOD,
    "top_ngram": GOOD + " of cats" * 18,
    "duplicate_ngram": GOOD + "\nthen " + " ".join(GOOD.split()[:30]),
}


def test_a_good_text_is_kept():
    assert data.QualityFilter().why(GOOD) == []
    assert data.QualityFilter()(GOOD)


@pytest.mark.parametrize("rule", BREAKS)
def test_each_rule_is_broken_by_its_text(rule):
    assert rule in data.QualityFilter().why(BREAKS[rule])
    assert not data.QualityFilter()(BREAKS[rule])


def test_statistics_by_hand():
    s = data.statistics_of("the the cat ...\nthe the cat ...\n* 12 b#")
    assert s.words == 11 and s.duplicate_lines == 1 / 3 and s.bullet_lines == 1 / 3
    assert s.ellipsis_lines == 2 / 3 and s.symbols_per_word == 3 / 11 and s.common_words == 1
    assert s.alphabetic_words == 7 / 11
    characters = 2 * 12 + 1 + 2 + 2
    assert s.mean_word_length == characters / 11
    assert (
        s.top_ngram_characters[2] == 2 * 6 / characters
    )  # "the the", "the cat" or "cat ...", twice
    assert s.duplicate_ngram_characters[5] == 0
    s = data.statistics_of("a b c d e a b c d e f")
    assert s.duplicate_ngram_characters[5] == 5 / 11 and s.duplicate_ngram_characters[6] == 0
    assert data.statistics_of("").words == 0


def test_the_filter_wants_stop_words_that_the_source_takes_out():
    text = GOOD + " " + " ".join(f"word{c}" for c in "abcdefghij")
    common = ["the", "be", "to", "of", "and", "that", "have", "with"]
    stopped = " ".join(word for word in text.split() if word not in common)
    assert data.QualityFilter().why(text) == []
    assert data.QualityFilter().why(stopped) == ["common_words"]


def test_keep_sentences_and_sift():
    page = "Menu\nThis is a sentence.\nToo short.\nNo end here at all\n这是 一 句。"
    assert data.keep_sentences(page) == "This is a sentence.\n这是 一 句。"
    assert data.sift(["a", "bb", "c"], lambda t: len(t) == 1) == (["a", "c"], ["bb"])
