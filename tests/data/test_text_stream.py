"""Text that comes token by token: characters whole, and the same text in the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbook import data
from lmbook.data.errors import UnknownToken
from lmbook.data.tokenizers import ByteLevelBPE, TextStream

BYTES = ByteLevelBPE.train(["a"], 257, special=["<|endoftext|>"])
WORDS = ByteLevelBPE.train(["naïve 猫和帽子 naïve 猫和帽子 👩‍👩‍👧 👩‍👩‍👧"], 300)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_pieces_are_whole_characters_and_join_to_the_text(text: str) -> None:
    for tokenizer in (BYTES, WORDS):
        stream = TextStream(tokenizer)
        pieces = [stream.feed(i) for i in tokenizer.encode(text)] + [stream.finish()]
        assert "".join(pieces) == text and "\ufffd" not in "".join(pieces).replace(text, "")
        if tokenizer is BYTES:
            assert [p for p in pieces if p] == list(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=20))
def test_bytes_that_are_no_character_become_the_replacement(raw: bytes) -> None:
    ids = [BYTES._of_byte[b] for b in raw]
    stream = TextStream(BYTES)
    text = "".join(stream.feed(i) for i in ids) + stream.finish()
    assert text == raw.decode("utf-8", errors="replace")


def test_special_tokens_are_no_text_and_unknown_ones_an_error() -> None:
    stream = TextStream(BYTES)
    assert stream.feed(np.int64(BYTES.special["<|endoftext|>"])) == ""
    with pytest.raises(UnknownToken, match="no token 999"):
        stream.feed(999)
    plain = data.BPETokenizer.train("low lower", 2, special=["<end>"])
    stream = TextStream(plain)
    assert stream.feed(plain.special["<end>"]) == ""
    assert "".join(map(stream.feed, plain.encode("lower"))) == "lower"
