"""Tokenizers: text to ids and back, without loss."""

from lmbook.data.tokenizers.base import Tokenizer
from lmbook.data.tokenizers.bpe import BPETokenizer
from lmbook.data.tokenizers.char import CharTokenizer

__all__ = ["BPETokenizer", "CharTokenizer", "Tokenizer"]
