"""The communicator that a rank function gets: who I am, messages, groups, and the collectives."""

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from lmbook.distributed.collectives import Call, all_reduce, broadcast, exchange, gather, reduce
from lmbook.distributed.collectives.operators import operator
from lmbook.distributed.errors import CommError
from lmbook.distributed.payload import describe, snapshot
from lmbook.distributed.transport import Transport

FEW_BYTES = 1 << 19
"""Where the algorithm "auto" of `all_reduce` changes, by `python -m benchmarks.communication`."""
COLLECTIVE = -1
"""The tag of messages inside collectives; tags of your own count from 0."""


def _some(ranks: Sequence[int]) -> tuple[tuple[int, ...], dict[int, int]]:
    """Ranks, and where each stands among them."""
    members = tuple(ranks)
    return members, {r: i for i, r in enumerate(members)}


@lru_cache(maxsize=8)
def _all(size: int) -> tuple[tuple[int, ...], dict[int, int]]:
    """The same for all ranks of a run: thousands of simulated ones share it."""
    return _some(range(size))


@lru_cache(maxsize=4096)
def _short(key: Hashable) -> str:
    """16 digits that stand for a group's members, or for what else it is made for."""
    return blake2b(repr(key).encode(), digest_size=8).hexdigest()


class Request:
    """A message on its way, from `isend` or `irecv`."""

    def __init__(self, comm: "Communicator", handle: Any) -> None:
        self._comm, self._handle = comm, handle
        self._done, self._value = False, None

    def wait(self) -> Any:
        """Wait until it is through. The value of an `irecv`, None for an `isend`; again if asked again."""
        if not self._done:
            parcel = self._comm.transport.wait(self._handle)
            self._value = None if parcel is None else self._comm._opened(parcel)
            self._done = True
        return self._value

    def test(self) -> bool:
        """Whether `wait` would return at once."""
        return self._done or self._comm.transport.ready(self._handle)


class Work:
    """Something that runs beside the rank function, from `background`."""

    def __init__(self, comm: "Communicator", handle: Any) -> None:
        self._comm, self._handle = comm, handle

    def wait(self) -> Any:
        """Wait for it and return its value."""
        return self._comm.transport.join(self._handle)


class Communicator:
    """A group of ranks that exchange messages; `rank` is mine, from 0 to `size` - 1.

    Every collective is a method that all ranks of the group call, in the same order, and is written in
    `lmbook.distributed.collectives` on nothing but messages. Values are copied on the way; results are new.
    `algorithm` chooses among several ways, where there are.
    """

    def __init__(
        self, transport: Transport, ranks: Sequence[int] | None = None, context: str = ""
    ) -> None:
        self.transport, self.context = transport, context
        self.ranks, self._index = _all(transport.size) if ranks is None else _some(ranks)
        """The members, as ranks of the whole run."""
        self.rank, self.size = self._index[transport.rank], len(self.ranks)
        self._groups: Counter[Hashable] = Counter()
        self._calls = 0

    def __repr__(self) -> str:
        return f"<communicator: rank {self.rank} of {self.size}>"

    # --- Messages ------------------------------------------------------------------------------

    def _peer(self, what: str, rank: Any) -> int:
        if not isinstance(rank, (int, np.integer)) or not 0 <= rank < self.size:
            raise CommError(
                f"{what}: there is no rank {rank!r} here; the {self.size} ranks are 0 to {self.size - 1}"
            )
        if rank == self.rank:
            raise CommError(f"{what}: rank {rank} and itself; a value of its own needs no message")
        return self.ranks[int(rank)]

    def _channel(self, what: str, tag: Any) -> tuple[str, int]:
        if not isinstance(tag, (int, np.integer)) or tag < 0:
            raise CommError(f"{what}: tag {tag!r}; a tag is a whole number from 0")
        return self.context, int(tag)

    def _opened(self, parcel: Any) -> Any:
        return parcel[2]

    def isend(self, value: Any, dst: int, tag: int = 0) -> Request:
        """Start to send an array, or anything that can be pickled, to rank `dst`; go on at once."""
        to, channel = self._peer("isend", dst), self._channel("isend", tag)
        if not self.transport.copies:
            value = snapshot(value)[0]
        return Request(self, self.transport.post_send(to, channel, None, value))

    def irecv(self, src: int | None = None, tag: int = 0) -> Request:
        """Ask for a message of rank `src`, or of whichever comes first (None); go on at once."""
        source = None if src is None else self._peer("irecv", src)
        return Request(self, self.transport.post_recv(source, self._channel("irecv", tag)))

    def send(self, value: Any, dst: int, tag: int = 0) -> None:
        """Send to rank `dst`. Returns when the value may be changed, which can be before it has arrived:
        do not rely on that, since with rendezvous it waits for the receiver."""
        to, channel = self._peer("send", dst), self._channel("send", tag)
        self.transport.wait(self.transport.post_send(to, channel, None, value))

    def recv(self, src: int, tag: int = 0) -> Any:
        """Wait for the next message of rank `src` with this tag, and return its value."""
        source, channel = self._peer("recv", src), self._channel("recv", tag)
        return self._opened(self.transport.wait(self.transport.post_recv(source, channel)))

    def recv_any(self, tag: int = 0) -> tuple[int, Any]:
        """Wait for whichever message with this tag comes first: (its sender, its value)."""
        handle = self.transport.post_recv(None, self._channel("recv_any", tag))
        parcel = self.transport.wait(handle)
        assert parcel is not None
        return self.ranks.index(parcel[0]), self._opened(parcel)

    def sendrecv(self, value: Any, dst: int, src: int, tag: int = 0) -> Any:
        """Send to `dst` and receive from `src` at the same time; never a deadlock by itself."""
        to, channel = self._peer("sendrecv", dst), self._channel("sendrecv", tag)
        sent = self.transport.post_send(to, channel, None, value)
        got = self.transport.wait(self.transport.post_recv(self._peer("sendrecv", src), channel))
        self.transport.wait(sent)
        return self._opened(got)

    # --- Time ----------------------------------------------------------------------------------

    @property
    def clock(self) -> float:
        """Seconds since the start, in the simulator virtual ones."""
        return self.transport.now()

    def compute(self, seconds: float, label: str = "") -> None:
        """Say that a computation takes so long. Only a simulator takes notice."""
        if not seconds >= 0:
            raise ValueError(f"compute: {seconds} seconds; time does not run backwards")
        self.transport.compute(seconds, label)

    def mark(self, label: str) -> None:
        """Note this moment in the log."""
        self.transport.mark(label)

    def background(self, fn: Callable[..., Any], *args: Any) -> Work:
        """Start `fn(comm, *args)` beside the rank function, with a communicator of the same ranks.

        Works of one rank run one after the other. So all ranks must start theirs in the same order. In the
        simulator they overlap with computation; the other backends run them at once, before this returns.
        """
        context = self._context("background")

        def work(transport: Transport) -> Any:
            return fn(Communicator(transport, self.ranks, context), *args)

        return Work(self, self.transport.spawn(work))

    # --- Groups --------------------------------------------------------------------------------

    def _context(self, key: Hashable) -> str:
        """A context of its own for the n-th group with this key, the same on every member.

        It is a short text, since it travels with every message and is looked up at every step.
        """
        self._groups[key] += 1
        return sys.intern(f"{self.context}/{_short(key)}.{self._groups[key]}")

    def group(self, ranks: Sequence[int]) -> "Communicator":
        """The communicator of some of my ranks, in this order, without any message.

        Every member calls it with the same list; who is not in it does not call it.
        """
        members = tuple(int(r) for r in ranks)
        if len(set(members)) != len(members) or not all(0 <= r < self.size for r in members):
            raise CommError(f"group: {list(ranks)} are not different ranks of 0 to {self.size - 1}")
        if self.rank not in members:
            raise CommError(
                f"group: rank {self.rank} is not in {list(ranks)}; only members call it"
            )
        return Communicator(
            self.transport, [self.ranks[r] for r in members], self._context(members)
        )

    def split(self, color: Any, key: int | None = None) -> "Communicator | None":
        """One group for each `color`; its ranks in the order of `key`, then of their old rank.

        All ranks call it. None as the color: in no group. The colors go round with an all-gather of
        small messages.
        """
        told = self.all_gather((color, self.rank if key is None else key))
        if color is None:
            return None
        order = sorted((k, r) for r, (c, k) in enumerate(told) if c == color)
        return self.group([r for _, r in order])

    # --- Collectives ---------------------------------------------------------------------------

    def _call(self, name: str, x: Any = None, **agreed: Any) -> Call:
        """The messages of one collective, which carry what all ranks must agree on."""
        self._calls += 1
        root = agreed.get("root")
        if root is not None and (
            not isinstance(root, (int, np.integer)) or not 0 <= root < self.size
        ):
            raise CommError(
                f"{name}: there is no rank {root!r} here; the {self.size} ranks are 0 to {self.size - 1}"
            )
        if x is not None:
            agreed["x"] = describe(x)
        note = (self._calls, name, tuple(agreed.items()))
        return Call(self, note)

    def barrier(self) -> None:
        """Wait until every rank has come here."""
        exchange.barrier(self._call("barrier"))

    def broadcast(self, x: Any = None, root: int = 0, algorithm: str = "tree") -> Any:
        """The value that rank `root` has, on every rank; the others' `x` is not looked at.

        `algorithm`: "tree" (binomial), "naive" (the root sends to each).
        """
        run = broadcast.choose(algorithm)
        return run(self._call("broadcast", root=root, algorithm=algorithm), x, root)

    def reduce(self, x: Any, root: int = 0, op: str = "sum", algorithm: str = "tree") -> Any:
        """The arrays of all ranks combined, on rank `root`; None elsewhere.

        `op`: "sum", "mean", "prod", "max", "min". `algorithm`: "tree" (binomial), "naive" (the root
        takes each in the order of the ranks, so that a sum has the bits of a loop over them).
        """
        x = np.asarray(x)
        combine = operator("reduce", op, x)
        run = reduce.choose(algorithm)
        c = self._call("reduce", x, root=root, op=op, algorithm=algorithm)
        return combine.finish(run(c, x, root, combine), self.size)

    def all_reduce(self, x: Any, op: str = "sum", algorithm: str = "ring") -> Any:
        """The arrays of all ranks combined, on every rank, with the same bits everywhere.

        `op` as in `reduce`. `algorithm`: "ring", "naive" and "tree" (reduce, then broadcast),
        "recursive_doubling", "halving_doubling" (recursive halving of the vector, then doubling),
        "auto" (recursive doubling below 512 KB, where messages cost more than bytes, the ring from there),
        "native" (that of PyTorch or MPI, on their backends).
        """
        x = np.asarray(x)
        combine = operator("all_reduce", op, x)
        if algorithm == "auto":
            algorithm = "recursive_doubling" if x.nbytes < FEW_BYTES else "ring"
        if algorithm == "native":
            return combine.finish(self._native(x, op), self.size)
        run = all_reduce.choose(algorithm)
        c = self._call("all_reduce", x, op=op, algorithm=algorithm)
        return combine.finish(run(c, x, combine), self.size)

    def _native(self, x: np.ndarray, op: str) -> np.ndarray:
        native = getattr(self.transport, "native_all_reduce", None)
        if native is None or self.size != self.transport.size:
            raise CommError(
                "all_reduce: the algorithm 'native' is that of PyTorch or MPI, over all ranks; "
                "use the backend 'torch' or 'mpi', or an algorithm of the book"
            )
        return native(x, op)

    def reduce_scatter(self, x: Any, op: str = "sum") -> Any:
        """My block of the combined arrays: `x` is cut along its first axis into `size` blocks.

        Blocks differ by one row at most; `lmbook.distributed.blocks` says where they begin. Around a ring.
        """
        x = np.asarray(x)
        combine = operator("reduce_scatter", op, x)
        c = self._call("reduce_scatter", x, op=op)
        return combine.finish(all_reduce.reduce_scatter(c, x, combine), self.size)

    def all_gather(self, x: Any, algorithm: str = "ring") -> list[Any]:
        """The values of all ranks, as a list in their order, on every rank; shapes may differ.

        `algorithm`: "ring", "bruck" (ceil(log2 size) steps).
        """
        run = gather.choose(algorithm)
        return run(self._call("all_gather", algorithm=algorithm), x)

    def gather(self, x: Any, root: int = 0) -> list[Any] | None:
        """The values of all ranks, as a list in their order, on rank `root`; None elsewhere."""
        return gather.gather(self._call("gather", root=root), x, root)

    def scatter(self, xs: Sequence[Any] | None = None, root: int = 0) -> Any:
        """Entry r of the list that rank `root` has, on rank r; the others' `xs` is not looked at."""
        c = self._call("scatter", root=root)
        if self.rank == root:
            self._one_for_each("scatter", xs)
        return gather.scatter(c, xs, root)

    def all_to_all(self, xs: Sequence[Any]) -> list[Any]:
        """Entry r of `xs` goes to rank r; the list of what the ranks sent to me. Shapes may differ."""
        self._one_for_each("all_to_all", xs)
        return exchange.all_to_all(self._call("all_to_all"), xs)

    def _one_for_each(self, what: str, xs: Any) -> None:
        if xs is None or len(xs) != self.size:
            has = "nothing" if xs is None else f"{len(xs)} values"
            raise CommError(
                f"{what}: wants a list with one value for each of {self.size} ranks, got {has}"
            )
