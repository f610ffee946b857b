"""Tokenizers: text to ids and back, without loss where bytes are the alphabet."""

from lmbook.data.tokenizers.base import Tokenizer
from lmbook.data.tokenizers.bpe import BPETokenizer
from lmbook.data.tokenizers.byte_level import ByteLevelBPE
from lmbook.data.tokenizers.char import CharTokenizer
from lmbook.data.tokenizers.stream import TextStream
from lmbook.data.tokenizers.wordpiece import WordPieceTokenizer

__all__ = [
    "BPETokenizer",
    "ByteLevelBPE",
    "CharTokenizer",
    "TextStream",
    "Tokenizer",
    "WordPieceTokenizer",
]
