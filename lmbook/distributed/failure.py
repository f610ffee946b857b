"""A rank's exception in words: its traceback without the lines that started it."""

import traceback

from lmbook.distributed.errors import RankError
from lmbook.distributed.where import HOME


def rank_error(rank: int, error: BaseException) -> RankError:
    """The error that ends a run because a rank raised `error`; it keeps it as its cause."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(HOME) and tb.tb_next:
        tb = tb.tb_next
    text = "".join(traceback.format_exception(type(error), error, tb))
    failed = RankError(rank, text)
    failed.__cause__ = error
    return failed
