"""Run a rank function in the simulator, on threads or by replay."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from lmbook.backend.random import using
from lmbook.distributed.communicator import Communicator
from lmbook.distributed.errors import RankLost, Stopped
from lmbook.distributed.failure import rank_error
from lmbook.distributed.log import Log
from lmbook.distributed.network import Network
from lmbook.distributed.sim.baton import Baton, Task
from lmbook.distributed.sim.explain import deadlock, unreceived
from lmbook.distributed.sim.faults import Fault, Faults
from lmbook.distributed.sim.replay import Replayer, ReplayTransport, Suspended
from lmbook.distributed.sim.transport import SimTransport
from lmbook.distributed.sim.world import World


def make_world(
    size: int, network: Network | None, mode: str | int, seed: int, faults: Sequence[Fault]
) -> World:
    """The world for the options of `run`."""
    network = Network() if network is None else network
    if network.size is not None and network.size != size:
        raise ValueError(f"run: {network!r} is made for {network.size} ranks, not for {size}")
    if mode not in ("buffering", "rendezvous") and not isinstance(mode, int):
        raise ValueError(
            f"run: mode {mode!r}; use 'buffering', 'rendezvous', or the largest buffered message in bytes"
        )
    eager = {"buffering": float("inf"), "rendezvous": -1.0}.get(mode, mode)  # type: ignore[arg-type]
    return World(size, network, eager, Faults(faults, size, seed))  # type: ignore[arg-type]


def make_baton(seed: int, stuck: Callable[[], BaseException]) -> Baton:
    """Greenlets where they are installed, otherwise threads: the same order, at another speed."""
    try:
        import greenlet  # noqa: F401
    except ImportError:
        return Baton(seed, stuck)
    from lmbook.distributed.sim.green import GreenBaton

    return GreenBaton(seed, stuck)


def finished(world: World, tasks: Sequence[Task]) -> Log:
    """The log of a run that ended well; `UnreceivedError` if messages are left."""
    error = unreceived(world)
    if error is not None:
        raise error
    world.log.clocks = [t.clock for t in tasks]
    return world.log


def run_sim(
    fn: Callable[..., Any], size: int, args: Sequence[Any] = (), *, network: Network | None = None,
    mode: str | int = "buffering", seed: int = 0, faults: Sequence[Fault] = (),
) -> tuple[list[Any], Log]:  # fmt: skip
    """What the ranks returned, and the log. See `lmbook.distributed.run`."""
    world = make_world(size, network, mode, seed, faults)
    baton = make_baton(seed, lambda: deadlock(world, baton.places()))
    tasks = [Task(r) for r in range(size)]
    results: list[Any] = [None] * size

    def body(task: Task) -> None:
        try:
            with using(np.random.default_rng([seed, task.rank])):
                comm = Communicator(SimTransport(world, baton, task))
                results[task.rank] = fn(comm, *deepcopy(args))
        except Stopped:
            pass
        except (RankLost, KeyboardInterrupt) as error:
            baton.fail(error)
        except BaseException as error:
            baton.fail(rank_error(task.rank, error))

    for task in tasks:
        baton.start(task, lambda task=task: body(task))  # type: ignore[misc]
    baton.run()
    return results, finished(world, tasks)


def run_replay(
    fn: Callable[..., Any], size: int, args: Sequence[Any] = (), *, network: Network | None = None,
    mode: str | int = "buffering", seed: int = 0, faults: Sequence[Fault] = (),
) -> tuple[list[Any], Log]:  # fmt: skip
    """As `run_sim`, without threads: each rank is run again from its start, with the answers it has had."""
    world = make_world(size, network, mode, seed, faults)
    tasks = [Task(r) for r in range(size)]
    replayer = Replayer(seed, lambda: deadlock(world, replayer.places()))
    histories: list[list[Any]] = [[] for _ in tasks]
    results: list[Any] = [None] * size
    for task in tasks:
        replayer.alive[task] = None
        replayer.push(task)
    while replayer.alive:
        task = replayer.following()
        try:
            with using(np.random.default_rng([seed, task.rank])):
                transport = ReplayTransport(world, replayer, task, histories[task.rank])
                results[task.rank] = fn(Communicator(transport), *deepcopy(args))
            del replayer.alive[task]
        except Suspended as pause:
            replayer.stands[task] = pause.__traceback__
        except RankLost:
            raise
        except Exception as error:
            raise rank_error(task.rank, error) from error
    return results, finished(world, tasks)
