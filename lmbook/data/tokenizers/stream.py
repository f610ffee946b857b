"""Text from tokens that come one at a time: a character arrives whole, or not yet."""

import codecs
from typing import Any

from lmbook.data.errors import UnknownToken


class TextStream:
    """Decodes the tokens of a byte-level tokenizer one after the other.

    A character of two to four bytes may be spread over tokens; it is held back until its last byte is there.
    Bytes that never become a character are U+FFFD, as in `decode`.

    >>> stream = TextStream(ByteLevelBPE.train(["a"], vocab_size=256))
    >>> [stream.feed(i) for i in stream.tokenizer.encode("é!")]
    ['', 'é', '!']
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that one more token completes; may be empty. Special tokens stand for no text."""
        try:
            return self._decoder.decode(self.tokenizer.bytes_of[int(token)])
        except (KeyError, IndexError):
            if int(token) in self.tokenizer.special.values():
                return ""
            raise UnknownToken(f"TextStream: the tokenizer has no token {token}") from None

    def finish(self) -> str:
        """What is left of a character that was not completed."""
        return self._decoder.decode(b"", final=True)
