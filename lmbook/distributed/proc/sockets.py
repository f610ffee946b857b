"""Frames over one stream socket for each pair of ranks. Whoever sends also takes in what comes, so that
two ranks that send to each other never block, whatever the size. Large bodies lie in shared memory, where
there is some, and the socket says where."""

import select
import socket
import struct
import time
from collections import deque
from typing import Any

import numpy as np

from lmbook.distributed.proc.shelf import LEAST, Shelf
from lmbook.distributed.wire import WireTransport

PREFIX = struct.Struct("!?IQ")
"""Before each frame: whether the body says where in shared memory it lies; lengths of header and body."""
PLACE = struct.Struct("!IQQ")
"""Slot, first byte and length of a body in shared memory."""
CHUNK = 1 << 18
BUFFER = 1 << 22
"""Bytes that the kernel may hold of a socket; it takes as much of this as it is allowed to."""


class Peer:
    """The socket to one rank, what waits to be written, and what has been read of a frame."""

    def __init__(self, rank: int, sock: socket.socket) -> None:
        self.rank, self.sock = rank, sock
        self.out: deque[memoryview] = deque()
        self.queued = self.written = 0
        self.buffer = bytearray()
        self.header: bytes = b""
        self.body: memoryview | None = None
        self.array: Any = None
        self.at = 0


class SocketTransport(WireTransport):
    """A mesh of sockets; `wake` is readable when the launcher has something to say."""

    def __init__(
        self, rank: int, size: int, socks: dict[int, socket.socket], wake: socket.socket,
        timeout: float, start: float, memory: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(rank, size, timeout, start)
        self.memory = memory
        self._shelves: dict[tuple[int, int], Shelf] = {}
        self.peers = {q: Peer(q, s) for q, s in socks.items()}
        self._poll = select.poll()
        self._by_fd = {}
        for peer in self.peers.values():
            peer.sock.setblocking(False)
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            self._by_fd[peer.sock.fileno()] = peer
            self._poll.register(peer.sock, select.POLLIN)
        self.wake: socket.socket = wake
        self.woken = False
        self._poll.register(wake, select.POLLIN)

    # --- Out -----------------------------------------------------------------------------------

    def _push(self, dst: int, header: bytes, body: memoryview) -> Any:
        peer = self.peers[dst]
        shelved = self.memory is not None and len(body) >= LEAST
        place = self._shelf(self.rank, dst).put(body) if shelved else None
        if place is not None:
            body = memoryview(PLACE.pack(*place, len(body)))
        head = PREFIX.pack(place is not None, len(header), len(body)) + header
        if len(body) <= 4096:  # one call of the kernel for a small message
            peer.out.append(memoryview(head + body))
        else:
            peer.out.append(memoryview(head))
            peer.out.append(body)
        peer.queued += len(head) + len(body)
        self._write(peer)
        return peer, peer.queued

    def _shelf(self, src: int, dst: int) -> Shelf:
        """The shared memory from one rank to another; at least one of them is this one."""
        shelf = self._shelves.get((src, dst))
        if shelf is None:
            assert self.memory is not None
            shelf = self._shelves[src, dst] = Shelf(self.memory, self.size, src, dst)
        return shelf

    def _write(self, peer: Peer) -> None:
        """Write as much as the kernel takes."""
        try:
            while peer.out:
                n = peer.sock.send(peer.out[0])
                peer.written += n
                if n < len(peer.out[0]):
                    peer.out[0] = peer.out[0][n:]
                else:
                    peer.out.popleft()
        except BlockingIOError:
            pass
        except OSError:  # its process is gone; the launcher will say so
            self._lose(peer)
        if peer.sock.fileno() >= 0:
            wish = select.POLLIN | (select.POLLOUT if peer.out else 0)
            self._poll.modify(peer.sock, wish)

    def _lose(self, peer: Peer) -> None:
        if peer.sock.fileno() >= 0:
            self._poll.unregister(peer.sock)
            del self._by_fd[peer.sock.fileno()]
            peer.sock.close()
        peer.out.clear()
        peer.written = peer.queued

    def _flush(self, handle: Any, limit: float) -> bool:
        peer, goal = handle
        while peer.written < goal:
            if not self._pump(limit) and (limit == 0 or time.monotonic() >= limit):
                return False
        return True

    # --- In ------------------------------------------------------------------------------------

    def _progress(self, src: int | None, limit: float) -> bool:
        return self._pump(limit)

    def _pump(self, limit: float) -> bool:
        """Read and write where it is possible; wait until it is possible somewhere, or for the limit."""
        wait = max(0.0, limit - time.monotonic()) * 1000 if limit else 0
        events = self._poll.poll(wait)
        for fd, event in events:
            peer = self._by_fd.get(fd)
            if peer is None:
                self.wake.recv(64)
                self.woken = True
                continue
            if event & select.POLLOUT:
                self._write(peer)
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read(peer)
        return bool(events)

    def _read(self, peer: Peer) -> None:
        """Read what is there."""
        try:
            if peer.body is None:
                data = peer.sock.recv(CHUNK)
                if not data:
                    return self._lose(peer)
                peer.buffer += data
                self._frames(peer)
            while peer.body is not None:
                n = peer.sock.recv_into(peer.body[peer.at :])
                if not n:
                    return self._lose(peer)
                peer.at += n
                if peer.at == len(peer.body):
                    peer.body = None
                    self._deliver(peer.rank, peer.header, peer.array)
        except BlockingIOError:
            pass
        except OSError:
            self._lose(peer)

    def _frames(self, peer: Peer) -> None:
        """Deliver the frames that the buffer holds; go on with the last body where it belongs."""
        buffer, at = peer.buffer, 0
        while len(buffer) - at >= PREFIX.size:
            shelved, h, n = PREFIX.unpack_from(buffer, at)
            first = at + PREFIX.size + h
            if len(buffer) < first + (n if shelved else 0):
                break
            peer.header = bytes(buffer[at + PREFIX.size : first])
            if shelved:
                shelf = self._shelf(peer.rank, self.rank)
                found = shelf.get(*PLACE.unpack_from(buffer, first))
                at = first + n
                self._deliver(peer.rank, peer.header, found)
                continue
            array = np.empty(n, np.uint8)
            have = min(n, len(buffer) - first)
            array[:have] = np.frombuffer(buffer, np.uint8, have, first) if have else 0
            at = first + have
            if have < n:
                peer.array, peer.body, peer.at = array, array.data, have
                break
            self._deliver(peer.rank, peer.header, array)
        del buffer[:at]

    def finish(self) -> None:
        """Write all that waits to be written; `timeout` is the limit for each peer."""
        limit = time.monotonic() + self.timeout
        for peer in self.peers.values():
            self._flush((peer, peer.queued), limit)

    def close(self) -> None:
        """Close the sockets to the other ranks."""
        for peer in self.peers.values():
            self._lose(peer)

    def drain(self, until: float) -> None:
        """Take in what comes until the launcher speaks."""
        while not self.woken and time.monotonic() < until:
            self._pump(until)
        while self._pump(0.0):
            pass
