"""The process of one rank: gets its function over the line, runs it, reports."""

import io
import linecache
import os
import pickle
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any

from lmbook.distributed.errors import Stopped
from lmbook.distributed.failure import rank_error
from lmbook.distributed.proc.control import Line
from lmbook.distributed.where import of_frame, tell

GRACE = 3.0
"""Seconds that a rank has for its `finally` blocks when it is told to stop."""


class Speech(io.TextIOBase):
    """Standard output that goes over the line, so that it appears where `run` was called."""

    def __init__(self, line: Line, stream: str) -> None:
        self.line, self.stream = line, stream

    def write(self, text: str) -> int:
        """Send a piece of text to the launcher; its length."""
        self.line.send("print", self.stream, text)
        return len(text)

    def writable(self) -> bool:
        """True: this is a stream to write to."""
        return True


def watch(line: Line, wake: socket.socket, folder: str | None) -> None:
    """Listen to the launcher; its silence, too, means to stop, and to remove the folder it left."""
    message = line.recv()
    if message == ("end",):
        wake.send(b"!")
        message = line.recv()  # the launcher hangs up when it has everything
        return
    if message is None and folder:
        shutil.rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(71)


def stop(number: int, frame: FrameType | None) -> None:
    """Handler of the signal: end the rank function where it stands."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped(tell(of_frame(frame)))


def connect(kind: str, rank: int, size: int, fds: dict[int, int], wake: Any, options: dict) -> Any:
    """The transport of a backend."""
    timeout, start = options["timeout"], options["start"]
    if kind == "proc":
        from lmbook.distributed.proc.sockets import SocketTransport

        socks = {q: socket.socket(fileno=fd) for q, fd in fds.items()}
        return SocketTransport(rank, size, socks, wake, timeout, start, options["memory"])
    from lmbook.distributed.engines.torch import join_store

    return join_store(rank, size, options["store"], timeout, start, wake)


def main(control: int, rank: int, size: int, fds: dict[int, int]) -> None:
    """Be rank `rank`; `control` and `fds` are inherited sockets, to the launcher and to the other ranks."""
    import numpy as np

    from lmbook.backend.random import using
    from lmbook.distributed.communicator import Communicator

    line = Line(socket.socket(fileno=control))
    started = line.recv()
    if started is None:
        os._exit(71)
    kind, blob, seed, options = started
    ear, wake = socket.socketpair()
    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=watch, args=(line, wake, options.get("folder")), daemon=True).start()
    sys.stdout, sys.stderr = Speech(line, "stdout"), Speech(line, "stderr")
    transport, begun = None, False
    try:
        fn, args = pickle.loads(blob)
        name_source(fn, options["source"])
        transport = connect(kind, rank, size, fds, ear, options)
        begun = True
        with using(np.random.default_rng([seed, rank])):
            value = fn(Communicator(transport), *args)
        transport.finish()
        try:
            result = dumps(value)
        except Exception as error:
            raise TypeError(
                f"the result of rank {rank} cannot be sent back ({error}); return arrays, numbers or text"
            ) from error
        line.send("result", result, transport.report())
        transport.drain(time.monotonic() + 10 * options["timeout"])
        line.send("left", transport.unreceived())
        transport.close()
    except Stopped as stopped:
        doing = (
            "" if transport is None or not transport.waiting else f"waiting {transport.waiting}, "
        )
        line.send("stopped", f"{doing}in {stopped}" if begun else "before its function began")
    except BaseException as error:
        with suppress(Stopped):  # a stop that comes while this rank fails by itself changes nothing
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        line.send("error", rank_error(rank, error).text)
    os._exit(0)


def name_source(fn: Any, source: tuple[str, list[str]]) -> None:
    """Give functions that travelled by value the name of their file again, and its lines, for tracebacks."""
    name, lines = source
    if lines:
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    around = getattr(fn, "__globals__", {})
    if around.get("__name__") == getattr(fn, "__module__", None):
        for f in [fn, *around.values()]:
            if getattr(getattr(f, "__code__", None), "co_filename", "") == "<dynamic-code>":
                f.__code__ = _renamed(f.__code__, name)


def _renamed(code: CodeType, name: str) -> CodeType:
    inner = tuple(_renamed(c, name) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_filename=name, co_consts=inner)


def dumps(value: Any) -> bytes:
    """Pickle, by value where `cloudpickle` is there: functions of a notebook, lambdas, closures."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value, protocol=5)
    return cloudpickle.dumps(value, protocol=5)
