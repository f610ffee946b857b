"""Ctrl-C waits for the end of a step, so that no weight is left half updated."""

import signal
import threading
from types import FrameType
from typing import Any


class Deferred:
    """Inside the block, the first Ctrl-C sets `asked`; a second one interrupts at once.

    Only Python's main thread receives signals; elsewhere the block does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None
        self._on = False

    def __enter__(self) -> "Deferred":
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before, self._on = signal.signal(signal.SIGINT, self._note), True
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *error: Any) -> None:
        if self._on:
            signal.signal(signal.SIGINT, self._before)
            self._on = False
