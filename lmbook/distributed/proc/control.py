"""The line between the launcher and a rank's process: pickled messages with their length before them."""

import pickle
import socket
import struct
import threading
from typing import Any

LENGTH = struct.Struct("!Q")


class Line:
    """One end of the line. `send` may be called from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.Lock()

    def send(self, *message: Any) -> None:
        """Send a message; nothing happens if the other end is gone."""
        data = pickle.dumps(message, protocol=5)
        try:
            with self._lock:
                self.sock.sendall(LENGTH.pack(len(data)) + data)
        except OSError:
            pass

    def recv(self) -> tuple[Any, ...] | None:
        """The next message; None when the other end is gone."""
        head = self._exactly(LENGTH.size)
        data = None if head is None else self._exactly(LENGTH.unpack(head)[0])
        return None if data is None else pickle.loads(data)

    def _exactly(self, n: int) -> bytearray | None:
        data = bytearray(n)
        view, at = memoryview(data), 0
        while at < n:
            try:
                got = self.sock.recv_into(view[at:])
            except OSError:
                return None
            if not got:
                return None
            at += got
        return data

    def close(self) -> None:
        """Hang up."""
        self.sock.close()
