"""Batches from shards, in an order that a seed fixes, from a place that a small JSON file holds."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.data.atomic import read_json, write_json
from lmbook.data.errors import DataError
from lmbook.data.shards import Shards

_FORMAT = "lmbook.ShardedLoader/1"
Transform = Callable[[np.ndarray, np.random.Generator], Any]


class ShardedLoader:
    """Batches of rows without end or for `epochs` passes; state is (epoch, rows of it delivered).

    In epoch e the shards come in an order drawn from the seed (seed, e), the rows inside shard s
    in one from (seed, e, s): so any place is found again by arithmetic, without reading what lies
    before. Rank r of `world_size` processes takes the shards at places r, r + world_size, ... of
    that order; together they take every row of an epoch once.

    Parameters: `shards`, a `Shards`, a folder of `write_shards`, or arrays; `batch_size` (the last
    batch of an epoch may be smaller); `transform(rows, generator)`, done to each batch, with a
    generator of its own, (seed, e, first row, rank), so that random changes are repeated, too;
    `workers`, threads that read and transform batches ahead (NumPy's reading releases the lock),
    0: none. Neither `workers` nor a stop and resumption changes any batch.

    The state moves when a batch is handed out, not when a worker reads it. To lose and repeat
    nothing at a crash, keep it in the same atomic write as what the batches led to: as metadata
    of a checkpoint (`state_dict`), or with `save(path, extra=...)`.
    """

    def __init__(
        self,
        shards: Shards | str | Path | Sequence[np.ndarray],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        epochs: int | None = 1,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        transform: Transform | None = None,
    ) -> None:
        self.shards = shards if isinstance(shards, Shards) else Shards(shards)
        if batch_size < 1 or workers < 0:
            raise ValueError(
                f"ShardedLoader: batch_size {batch_size} must be at least 1, workers {workers} 0 "
                "or more"
            )
        if not 0 <= rank < world_size <= len(self.shards):
            raise ValueError(
                f"ShardedLoader: rank {rank} of {world_size} processes with {len(self.shards)} "
                "shards; want rank < world_size <= shards, so that each process has one"
            )
        self.batch_size, self.seed, self.shuffle, self.epochs = batch_size, seed, shuffle, epochs
        self.rank, self.world_size, self.workers = rank, world_size, workers
        self.transform = transform
        self.epoch = self.delivered = 0

    def order(self, epoch: int) -> list[int]:
        """This rank's shards of an epoch, in order."""
        n = len(self.shards)
        order = self._generator(epoch).permutation(n) if self.shuffle else np.arange(n)
        return [int(s) for s in order[self.rank :: self.world_size]]

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    def _rows(self, epoch: int, shard: int) -> np.ndarray:
        n = self.shards.lengths[shard]
        return self._generator(epoch, shard).permutation(n) if self.shuffle else np.arange(n)

    def _places(self) -> Iterator[tuple[int, int, list[tuple[int, np.ndarray]], int]]:
        """From the state on: (epoch, first row, [(shard, rows of it), ...], rows in the epoch)."""
        epoch, first = self.epoch, self.delivered
        while self.epochs is None or epoch < self.epochs:
            order = self.order(epoch)
            starts = np.cumsum([0, *(self.shards.lengths[s] for s in order)])
            total = int(starts[-1])
            shuffled: dict[int, np.ndarray] = {}
            for begin in range(first, total, self.batch_size):
                end = min(begin + self.batch_size, total)
                parts = []
                for k in range(np.searchsorted(starts, begin, "right") - 1, len(order)):
                    if starts[k] >= end:
                        break
                    if k not in shuffled:
                        shuffled = {k: self._rows(epoch, order[k])}  # the one before is done
                    low, high = max(begin - starts[k], 0), end - starts[k]
                    parts.append((order[k], shuffled[k][low:high]))
                yield epoch, begin, parts, total
            epoch, first = epoch + 1, 0

    def _load(self, epoch: int, begin: int, parts: list[tuple[int, np.ndarray]]) -> Any:
        read = [self.shards.read(shard, rows) for shard, rows in parts]
        batch = read[0] if len(read) == 1 else np.concatenate(read)
        if self.transform is None:
            return batch
        return self.transform(batch, self._generator(epoch, begin, self.rank, 1))

    def __iter__(self) -> Iterator[Any]:
        """The batches from the state on; the state is past a batch once it has been handed out."""
        if not self.workers:
            for epoch, begin, parts, total in self._places():
                batch = self._load(epoch, begin, parts)
                self._advance(epoch, begin, parts, total)
                yield batch
            return
        places = self._places()
        waiting: deque[tuple[Future[Any], tuple[int, int, list[tuple[int, np.ndarray]], int]]] = (
            deque()
        )
        with ThreadPoolExecutor(self.workers, thread_name_prefix="loader") as pool:
            try:
                while True:
                    while len(waiting) <= 2 * self.workers and (place := next(places, None)):
                        waiting.append((pool.submit(self._load, *place[:3]), place))
                    if not waiting:
                        return
                    future, place = waiting.popleft()
                    batch = future.result()
                    self._advance(*place)
                    yield batch
            finally:
                for future, _ in waiting:
                    future.cancel()

    def _advance(
        self, epoch: int, begin: int, parts: list[tuple[int, np.ndarray]], total: int
    ) -> None:
        done = begin + sum(len(rows) for _, rows in parts)
        self.epoch, self.delivered = (epoch + 1, 0) if done == total else (epoch, done)

    def _identity(self) -> dict[str, Any]:
        return {
            "format": _FORMAT, "data": self.shards.fingerprint, "seed": self.seed,
            "shuffle": self.shuffle, "rank": self.rank, "world_size": self.world_size,
        }  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """The place, and what it is a place in; anything JSON can hold."""
        return {**self._identity(), "epoch": self.epoch, "delivered": self.delivered}

    def load_state_dict(self, state: Any) -> None:
        """Go to the place; `DataError` if it belongs to other data, another seed or another rank.

        Another `batch_size`, `workers` or `epochs` is no obstacle.
        """
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise DataError(f"ShardedLoader: this is not a state of {_FORMAT}")
        for key, own in self._identity().items():
            if state.get(key) != own:
                raise DataError(
                    f"ShardedLoader: the state is of {key} {state.get(key)!r}, this loader of "
                    f"{own!r}; make the loader as it was, or start anew without the state"
                )
        epoch, delivered = state.get("epoch"), state.get("delivered")
        if not (
            isinstance(epoch, int) and isinstance(delivered, int) and min(epoch, delivered) >= 0
        ):
            raise DataError(f"ShardedLoader: epoch {epoch!r}, delivered {delivered!r} is no place")
        if delivered >= sum(self.shards.lengths[s] for s in self.order(epoch)):
            raise DataError(f"ShardedLoader: epoch {epoch} has no row {delivered}")
        self.epoch, self.delivered = epoch, delivered

    def save(self, path: str | Path, extra: Any = None) -> Path:
        """Write the state and `extra` (anything JSON can hold) to one file, atomically."""
        return write_json(path, {**self.state_dict(), "extra": extra})

    def load(self, path: str | Path) -> Any:
        """Go to the place that `save` wrote; return its `extra`. Errors as `load_state_dict`."""
        state = read_json(path)
        try:
            self.load_state_dict(state)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        return state["extra"]
