"""Ranks that train alone and meet now and then: local SGD and DiLoCo, for slow networks.

Every `every` steps 2 (p - 1) n bytes go round, a factor `every` less than data parallelism.
"""

from collections.abc import Callable

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator
from lmbook.nn import Module
from lmbook.optim import SGD, Optimizer
from lmbook.parallel.buckets import flatten, unflatten
from lmbook.parallel.data_parallel import Reduce, broadcast_parameters
from lmbook.parallel.zero import on_blocks


class LocalSGD:
    """Averages the parameters every `every` steps of a local optimiser.

    Call `step()` in place of the optimiser's. With `every` 1 and plain SGD it is data parallelism: the mean
    of p - lr g_r is p - lr mean g_r. Frozen parameters do not travel; buffers of real numbers, such as
    running moments, are averaged, too. Sources: Stich 2019; McMahan et al. 2017 (federated averaging).
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, comm: Communicator, every: int = 8
    ) -> None:
        if every < 1:
            raise ValueError(f"{type(self).__name__}: every = {every} must be 1 or more")
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.buffers = [b for _, b in model.named_buffers() if b.dtype.kind == "f"]
        self.optimizer, self.comm, self.every = optimizer, comm, every
        self.steps = 0
        broadcast_parameters(model, comm)

    def step(self) -> None:
        """One local step, and the meeting when it is due."""
        self.optimizer.step()
        self.steps += 1
        if self.steps % self.every == 0:
            self.meet()
            if self.buffers:
                mean = self.comm.all_reduce(flatten(b.data for b in self.buffers), "mean")
                for b, values in zip(self.buffers, unflatten(mean, self.buffers), strict=True):
                    b.data[...] = values

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.optimizer.zero_grad()

    def _put(self, flat: np.ndarray) -> None:
        for p, values in zip(self.parameters, unflatten(flat, self.parameters), strict=True):
            p.data[...] = values
            p._version[0] += 1

    def meet(self) -> None:
        """Average the parameters of all ranks."""
        self._put(self.comm.all_reduce(flatten(p.data for p in self.parameters), "mean"))


class DiLoCo(LocalSGD):
    """Local steps of an inner optimiser; an outer one takes the mean way as its gradient.

    Every `every` steps, with x the parameters all ranks left from and y_r where rank r came to:
    d = mean over r of (x - y_r); x <- outer step of x along d. The outer optimiser is, by default, SGD
    of rate 0.7 with Nesterov momentum 0.9. The inner one keeps its moments. `comm_hook`
    replaces the all-reduce, for instance by `Int8`. Source: Douillard et al. 2023.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        comm: Communicator,
        every: int = 500,
        outer: Callable[[list[Tensor]], Optimizer] = lambda ps: SGD(
            ps, lr=0.7, momentum=0.9, nesterov=True
        ),
        comm_hook: Reduce | None = None,
    ) -> None:
        super().__init__(model, optimizer, comm, every)
        self.reduce = comm_hook or (lambda c, _, way: c.all_reduce(way, "mean"))
        self.anchor = Tensor(flatten(p.data for p in self.parameters), requires_grad=True)
        self.outer = on_blocks(outer([self.anchor]))

    def meet(self) -> None:
        """One step of the outer optimiser."""
        way = self.anchor.data - flatten(p.data for p in self.parameters)
        self.anchor.grad = Tensor(self.reduce(self.comm, 0, way))
        self.outer.step()
        self._put(self.anchor.data)
