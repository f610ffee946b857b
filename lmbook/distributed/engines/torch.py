"""Frames over `torch.distributed` (gloo), under torchrun or in processes that `run` starts.

gloo's sends wait for the receiver, and its receives cannot be polled. So sends are copied and left to
themselves, and a thread for each peer receives. Arrays are NumPy's, so frames always go over gloo; the
algorithm "native" of `all_reduce` uses NCCL where there are GPUs.
"""

import os
import queue
import threading
import time
from datetime import timedelta
from typing import Any

import numpy as np

from lmbook.backend.errors import require
from lmbook.distributed.errors import CommError
from lmbook.distributed.wire import WireTransport

HEAD = 1024
"""Bytes of the first tensor of a frame, which holds two lengths, and the header if it fits."""
ROOM = HEAD - 16
LONG = timedelta(days=7)


def torch_distributed() -> tuple[Any, Any]:
    """The modules torch and torch.distributed."""
    torch = require("torch", "torch", "the backend 'torch'")
    return torch, require("torch.distributed", "torch", "the backend 'torch'")


def launched() -> bool:
    """Whether this process was started by torchrun."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def join_torchrun(timeout: float) -> "TorchTransport":
    """Join the group that torchrun's environment names, unless the program has done so."""
    torch, dist = torch_distributed()
    if not dist.is_initialized():
        both = torch.cuda.is_available() and dist.is_nccl_available()
        if both:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo", timeout=LONG)
    return TorchTransport(timeout)


def join_store(
    rank: int, size: int, store: str, timeout: float, start: float | None = None, wake: Any = None
) -> "TorchTransport":
    """Join a group over gloo by an address: `file:///...` or `tcp://host:port`."""
    _, dist = torch_distributed()
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size, timeout=LONG)
    return TorchTransport(timeout, start, wake)


class TorchTransport(WireTransport):
    """One rank of a `torch.distributed` process group."""

    copies = True

    def __init__(self, timeout: float, start: float | None = None, wake: Any = None) -> None:
        self.torch, self.dist = torch_distributed()
        super().__init__(self.dist.get_rank(), self.dist.get_world_size(), timeout, start)
        self.wake = wake
        self._sent: list[Any] = []  # works and their tensors; each is waited for once
        self._frames: queue.SimpleQueue = queue.SimpleQueue()
        self._ears = [
            threading.Thread(target=self._listen, args=(q,), daemon=True)
            for q in range(self.size)
            if q != self.rank
        ]
        for ear in self._ears:
            ear.start()

    def _tensor(self, data: np.ndarray) -> Any:
        return self.torch.from_numpy(data)

    def _push(self, dst: int, header: bytes, body: memoryview) -> None:
        head = np.zeros(HEAD, np.uint8)
        head[:16].view(np.int64)[:] = len(header), len(body)
        parts = [head]
        if len(header) <= ROOM:
            head[16 : 16 + len(header)] = np.frombuffer(header, np.uint8)
        else:
            parts.append(np.frombuffer(header, np.uint8).copy())
        if len(body):
            parts.append(np.array(body, dtype=np.uint8))
        for part in parts:
            tensor = self._tensor(part)
            self._sent.append((self.dist.isend(tensor, dst), tensor))
        if len(self._sent) > 64:
            self._sent = [s for s in self._sent if not s[0].is_completed()]

    def _flush(self, handle: Any, limit: float) -> bool:
        return True

    def _receive(self, src: int, n: int) -> np.ndarray:
        data = np.empty(n, np.uint8)
        if n:
            self.dist.recv(self._tensor(data), src)
        return data

    def _listen(self, src: int) -> None:
        """Take the frames of one rank until it says goodbye, or is gone."""
        while True:
            try:
                head = self._receive(src, HEAD)
                h, n = (int(k) for k in head[:16].view(np.int64))
                if not h:
                    return
                header = head[16 : 16 + h] if h <= ROOM else self._receive(src, h)
                self._frames.put((src, header.tobytes(), self._receive(src, n)))
            except RuntimeError as error:
                self._frames.put((src, None, str(error)))
                return

    def _progress(self, src: int | None, limit: float) -> bool:
        wait = max(0.0, limit - time.monotonic()) if limit else 0.0
        try:
            sender, header, body = (
                self._frames.get(timeout=wait) if wait else self._frames.get_nowait()
            )
        except queue.Empty:
            return False
        if header is None:
            if self.wake is not None:  # the launcher knows better who died; it will stop this rank
                return True
            raise CommError(f"rank {self.rank} lost the connection to rank {sender}: {body}")
        self._deliver(sender, header, body)
        return True

    def native_all_reduce(self, x: np.ndarray, op: str) -> np.ndarray:
        """PyTorch's own all-reduce over all ranks, on the GPU where NCCL is there."""
        kinds = {"sum": "SUM", "prod": "PRODUCT", "max": "MAX", "min": "MIN", "mean": "SUM"}
        t = self._tensor(x.copy())
        gpu = "nccl" in str(self.dist.get_backend_config())
        t = t.cuda() if gpu else t
        self.dist.all_reduce(t, getattr(self.dist.ReduceOp, kinds[op]))
        return t.cpu().numpy()

    def close(self) -> None:
        """Say goodbye to every rank, and wait for the threads that listen and for what was sent."""
        goodbye = self._tensor(np.zeros(HEAD, np.uint8))
        for q in range(self.size):
            if q != self.rank:
                self._sent.append((self.dist.isend(goodbye, q), goodbye))
        for ear in self._ears:
            ear.join()
        for work, _ in self._sent:
            if not work.is_completed():  # a second wait would never return
                work.wait()
        self._sent = []
