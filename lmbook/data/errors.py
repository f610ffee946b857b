"""What goes wrong with data: missing, damaged, unknown."""


class DataError(RuntimeError):
    """Data that cannot be had or cannot be trusted; the message says what to do."""


class UnknownDataset(DataError, KeyError):
    """A name that is not in the registry."""

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownToken(DataError, ValueError):
    """A character or a token id that a tokenizer does not know."""
