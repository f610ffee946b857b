"""A parameter server: some ranks keep the parameters, the others compute gradients.

The first `servers` ranks each keep a block of all parameters, in one vector, with the optimiser's state
of that block; the others are workers. Sources: Li et al. 2014; Ho et al. 2013 for bounded staleness.

With W workers and n bytes of parameters a step takes 2 W n bytes (and W n at the start), all of it through
the servers: the ring moves 2 (W - 1) n and loads every rank alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator, blocks
from lmbook.nn import Module
from lmbook.optim import Optimizer
from lmbook.parallel.buckets import flatten, unflatten
from lmbook.parallel.data_parallel import broadcast_parameters
from lmbook.parallel.zero import on_blocks

PULL, PUSH = 1, 2


@dataclass
class ServerReport:
    """What a rank has seen: a worker's losses; a server's order of pushes, with how stale each was.

    `staleness` counts the updates between the pull that a gradient was computed from and its push.
    """

    role: str
    losses: list[float] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    staleness: list[int] = field(default_factory=list)
    lead: int = 0
    """The largest number of steps that a worker was ahead of the slowest one when it was answered."""


class ParameterServer:
    """Trains a model with servers and workers.

        ps = ParameterServer(model, comm, lambda ps: SGD(ps, lr=0.1), servers=1, staleness=None)
        report = ps.run(gradient, steps)

    `gradient(worker, step)` runs forward and backward on worker number `worker`'s part of a batch and
    returns the loss. `staleness`: None, synchronous: the server waits for all workers, averages in their
    order, and steps once. A number s: asynchronous: each push is a step of its own, and a worker may be at
    most s steps ahead of the slowest (math.inf: no limit). All ranks return with the final parameters.
    Frozen parameters are rank 0's from the start; each worker's buffers stay its own.
    """

    def __init__(
        self,
        model: Module,
        comm: Communicator,
        optimizer: Callable[[list[Tensor]], Optimizer],
        servers: int = 1,
        staleness: float | None = None,
    ) -> None:
        if not 1 <= servers < comm.size:
            raise ValueError(
                f"ParameterServer: {servers} servers of {comm.size} ranks; at least one server and one worker"
            )
        if staleness is not None and not staleness >= 0:
            raise ValueError(f"ParameterServer: staleness {staleness} must be 0 or more, or None")
        self.parameters, self.comm = [p for p in model.parameters() if p.requires_grad], comm
        self.servers, self.workers = servers, comm.size - servers
        self.staleness = staleness
        broadcast_parameters(model, comm)
        flat = flatten(p.data for p in self.parameters)
        self.ends = blocks(flat.size, servers)
        self.is_server = comm.rank < servers
        if self.is_server:
            mine = flat[self.ends[comm.rank] : self.ends[comm.rank + 1]].copy()
            self.block = Tensor(mine, requires_grad=True)
            self.optimizer = on_blocks(optimizer([self.block]))

    def _put(self, flat: np.ndarray) -> None:
        for p, values in zip(self.parameters, unflatten(flat, self.parameters), strict=True):
            p.data[...] = values
            p._version[0] += 1

    def run(self, gradient: Callable[[int, int], float], steps: int) -> ServerReport:
        """Train for `steps` steps of every worker."""
        if not self.is_server:
            report = self._work(gradient, steps)
        elif self.staleness is None:
            report = self._serve_together(steps)
        else:
            report = self._serve_each(steps)
        self._share()
        return report

    def _share(self) -> None:
        """The final parameters, from the servers to all."""
        parts = [
            self.comm.broadcast(self.block.data if self.comm.rank == s else None, s)
            for s in range(self.servers)
        ]
        self._put(np.concatenate(parts))

    # --- A worker ------------------------------------------------------------------------------

    def _work(self, gradient: Callable[[int, int], float], steps: int) -> ServerReport:
        report, me = ServerReport("worker"), self.comm.rank - self.servers
        for step in range(steps):
            self._put(np.concatenate([self.comm.recv(s, PULL) for s in range(self.servers)]))
            for p in self.parameters:
                p.grad = None
            report.losses.append(gradient(me, step))
            flat = flatten(
                np.zeros_like(p.data) if p.grad is None else p.grad.data for p in self.parameters
            )
            for s in range(self.servers):
                self.comm.send(flat[self.ends[s] : self.ends[s + 1]], s, PUSH)
        return report

    # --- A server ------------------------------------------------------------------------------

    def _update(self, g: np.ndarray) -> None:
        self.block.grad = Tensor(g)
        self.optimizer.step()

    def _serve_together(self, steps: int) -> ServerReport:
        """Wait for all workers, step once, answer all."""
        report, workers = ServerReport("server"), range(self.servers, self.comm.size)
        for _ in range(steps):
            for w in workers:
                self.comm.send(self.block.data, w, PULL)
            g = self.comm.recv(self.servers, PUSH).copy()
            for w in workers[1:]:
                g += self.comm.recv(w, PUSH)
            self._update(g / g.dtype.type(self.workers))
            report.order += workers
            report.staleness += [0] * self.workers
        return report

    def _serve_each(self, steps: int) -> ServerReport:
        """Step at every push; answer a worker as soon as it is not too far ahead of the slowest."""
        assert self.staleness is not None
        report, version = ServerReport("server"), 0
        done = dict.fromkeys(range(self.servers, self.comm.size), 0)
        read, waiting = dict.fromkeys(done, 0), list(done)
        while min(done.values()) < steps:
            for w in list(waiting):
                ahead = done[w] - min(done.values())
                if ahead <= self.staleness:
                    report.lead = max(report.lead, ahead)
                    waiting.remove(w)
                    read[w] = version
                    self.comm.send(self.block.data, w, PULL)
            w, g = self.comm.recv_any(PUSH)
            self._update(g)
            report.order.append(w)
            report.staleness.append(version - read[w])
            version += 1
            done[w] += 1
            if done[w] < steps:
                waiting.append(w)
        return report
