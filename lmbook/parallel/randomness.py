"""Random numbers of the ranks that share one model: alike where they hold the same, apart where not.

Dropout of an activation that every rank has must drop the same entries everywhere, or the copies part.
Dropout of the rank's own heads or positions must not: equal masks would drop the same places of
every part. Megatron-LM keeps two states of the generator for it. Here is one, the default generator, which
the ranks of a group share; where they must differ, they derive another from its next number and their rank.
So a layer that is computed again by `checkpoint` draws the same, whichever it does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lmbook.autograd import Tensor
from lmbook.backend import default_generator, manual_seed, using
from lmbook.distributed import Communicator
from lmbook.nn import Module


def draw_alike(comm: Communicator) -> None:
    """From here on all ranks of the group draw the same numbers; other groups go on by themselves."""
    seed = int(default_generator().integers(2**63))
    manual_seed(comm.broadcast(seed))


@contextmanager
def draw_apart(rank: int) -> Iterator[None]:
    """Inside, draw numbers of this rank alone; outside, all ranks are still alike."""
    seed = int(default_generator().integers(2**63))
    with using(np.random.default_rng([seed, rank])):
        yield


def apart(function: Callable[..., Tensor], rank: int) -> Callable[..., Tensor]:
    """A function whose random numbers are those of this rank."""

    def drawn_apart(*args: Any, **kwargs: Any) -> Tensor:
        with draw_apart(rank):
            return function(*args, **kwargs)

    return drawn_apart


class DropoutApart(Module):
    """Dropout of an activation that is divided: each rank drops entries of its own."""

    def __init__(self, dropout: Module, comm: Communicator) -> None:
        super().__init__()
        self.dropout, self.rank = dropout, comm.rank

    def forward(self, x: Tensor) -> Tensor:
        """Drop."""
        with draw_apart(self.rank):
            return self.dropout(x)
