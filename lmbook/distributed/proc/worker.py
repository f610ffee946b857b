"""The process of one rank: gets its function over the line, runs it, reports."""

import io
import os
import pickle
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any

from lmbook.distributed.errors import Stopped
from lmbook.distributed.failure import rank_error
from lmbook.distributed.proc.control import Line
from lmbook.distributed.where import of_frame, of_traceback, tell

GRACE = 3.0
"""Seconds that a rank has for its `finally` blocks when it is told to stop."""


class Speech(io.TextIOBase):
    """Standard output that goes over the line, so that it appears where `run` was called."""

    def __init__(self, line: Line, stream: str) -> None:
        self.line, self.stream = line, stream

    def write(self, text: str) -> int:
        self.line.send("print", self.stream, text)
        return len(text)

    def writable(self) -> bool:
        return True


def watch(line: Line, wake: socket.socket) -> None:
    """Listen to the launcher; its silence, too, means to stop."""
    message = line.recv()
    if message == ("end",):
        wake.send(b"!")
        message = line.recv()  # the launcher hangs up when it has everything
        return
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
        return SocketTransport(rank, size, socks, wake, timeout, start)
    from lmbook.distributed.torch_backend import join_store

    return join_store(rank, size, options, wake)


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
    threading.Thread(target=watch, args=(line, wake), daemon=True).start()
    sys.stdout, sys.stderr = Speech(line, "stdout"), Speech(line, "stderr")
    transport = None
    try:
        fn, args = pickle.loads(blob)
        transport = connect(kind, rank, size, fds, ear, options)
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
    except Stopped as stopped:
        where = str(stopped)
        if transport is not None and transport.waiting:
            where = f"waiting {transport.waiting}, in {where}"
        line.send("stopped", where)
    except BaseException as error:
        line.send("error", str(rank_error(rank, error).text), tell(of_traceback(error.__traceback__)))
    finally:
        if transport is not None:
            transport.close()
    os._exit(0)


def dumps(value: Any) -> bytes:
    """Pickle, by value where `cloudpickle` is there: functions of a notebook, lambdas, closures."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value, protocol=5)
    return cloudpickle.dumps(value, protocol=5)
