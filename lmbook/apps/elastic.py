"""Digits on any number of ranks, by any launcher, through crashes: one program, the same bits.

    python -m lmbook.apps.elastic FOLDER --ranks 4
    torchrun --standalone --nproc-per-node=4 -m lmbook.apps.elastic FOLDER
    mpirun -n 4 python -m lmbook.apps.elastic FOLDER
    python -m lmbook.apps.elastic FOLDER --ranks 4 --backend ray

It goes on from the latest checkpoint in FOLDER, with whatever ranks it is given now. Rank 0 prints the
backend, the ranks, the steps and a fingerprint of all weights and moments at the end.
"""

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lmbook import backend, data, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import Communicator, blocks, run
from lmbook.distributed.run import surroundings
from lmbook.optim import AdamW
from lmbook.parallel import ZeroRedundancyOptimizer, latest, load_sharded, save_sharded

BATCH, SHARDS, RATE = 64, 8, 1e-2
Digits = tuple[np.ndarray, np.ndarray]


def digits() -> Digits:
    """3,500 handwritten digits of 14 x 14 pixels: (images (N, 196), labels (N,))."""
    images, labels = data.mnist_5k()[0]
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196), labels


def network() -> nn.Module:
    """196 pixels, 64 hidden units with dropout, 10 classes; drawn from the generator in force."""
    return nn.Sequential(nn.Linear(196, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))


def rows(step: int, n: int) -> np.ndarray:
    """The examples of a step. Each epoch has an order of its own, and the step's number says all."""
    epoch, i = divmod(step, n // BATCH)
    return np.random.default_rng([1, epoch]).permutation(n)[i * BATCH : (i + 1) * BATCH]


def stream(step: int, shard: int) -> np.random.Generator:
    """The random numbers of a logical shard in a step, for dropout, whoever computes it."""
    return np.random.default_rng([2, step, shard])


def train(
    comm: Communicator,
    folder: str | Path,
    digits: Digits,
    steps: int = 24,
    every: int = 4,
    *,
    shards: int = SHARDS,
    rows: Callable[[int, int], np.ndarray] = rows,
    stream: Callable[[int, int], np.random.Generator] = stream,
    load: Callable[..., dict[str, Any]] = load_sharded,
    watch: Callable[[int, float], None] | None = None,
) -> tuple[int, dict[str, Any]]:
    """The rank function: (the step it began with, weights and moments at the end).

    Saves every few steps, and after the last. A shard takes a second of the simulator's time. `watch` is
    told each step and its loss, on rank 0.
    """
    images, labels = digits
    model = network()
    optimizer = ZeroRedundancyOptimizer(
        model, comm, lambda ps: AdamW(ps, lr=RATE), stage=2, shards=shards
    )
    start = 0
    if (path := latest(folder)) is not None:
        start = load(path, optimizer.units, optimizer.inner)["step"]
        for unit in optimizer.units:
            unit.gather()
    ends = blocks(BATCH, shards)
    for step in range(start, steps):
        batch, losses = rows(step, len(labels)), []
        for i in optimizer.mine:
            some = batch[ends[i] : ends[i + 1]]
            comm.compute(1.0, "a shard")
            with backend.using(stream(step, i)):
                loss = F.cross_entropy(model(Tensor(images[some])), Tensor(labels[some]))
            loss.backward()
            losses.append(loss.item())
        told = comm.gather(losses)
        if watch is not None and told is not None:
            watch(step, float(np.mean([x for part in told for x in part])))
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % every == 0 or step + 1 == steps:
            save_sharded(folder, step + 1, optimizer.units, optimizer.inner)
    return start, whole(optimizer, comm)


def whole(optimizer: ZeroRedundancyOptimizer, comm: Communicator) -> dict[str, Any]:
    """All weights and moments, put together from the ranks' blocks, on every rank."""
    state: dict[str, Any] = {}
    for i, unit in enumerate(optimizer.units):
        held = {"weight": unit.block.data, **optimizer.inner.state.get(id(unit.block), {})}
        for name, x in held.items():
            blocked = isinstance(x, np.ndarray)
            state[f"{i}.{name}"] = np.concatenate(comm.all_gather(x)) if blocked else x
    return state


def fingerprint(state: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that change with any bit of it."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode() + np.ascontiguousarray(state[name]).tobytes())
    return found.hexdigest()[:12]


def main(arguments: list[str] | None = None) -> None:
    """Run it, as one rank of torchrun or mpirun, or with ranks of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", help="where checkpoints are, and go")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--ranks", type=int, default=4, help="unless torchrun or mpirun says it")
    parser.add_argument("--backend", default="proc", choices=["sim", "proc", "torch", "mpi", "ray"])
    given = parser.parse_args(arguments)
    started = surroundings()
    ranks, kind = (None, started) if started else (given.ranks, given.backend)
    told = run(train, ranks, given.folder, digits(), given.steps, backend=kind)
    if told.rank == 0:
        start, state = told[0]
        print(
            f"{told.backend}, {len(told)} ranks, steps {start} to {given.steps}: {fingerprint(state)}"
        )


if __name__ == "__main__":
    main()
