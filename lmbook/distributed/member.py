"""Be one rank of a run that another program started: torchrun, mpirun, Ray."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lmbook.backend.random import using
from lmbook.distributed.communicator import Communicator
from lmbook.distributed.errors import UnreceivedError
from lmbook.distributed.wire import WireTransport


def act(
    transport: WireTransport, fn: Callable[..., Any], args: Sequence[Any], seed: int
) -> list[Any]:
    """Run the rank function; (value, part of the log) of every rank, on every rank.

    Raises `UnreceivedError` if messages to this rank are left.
    """
    with using(np.random.default_rng([seed, transport.rank])):
        value = fn(Communicator(transport), *args)
    report = transport.report()
    told = Communicator(transport, context="results").all_gather((value, report), "bruck")
    left = transport.unreceived()
    if left:
        src, tag, n = left[0]
        raise UnreceivedError(
            f"the run ended with {len(left)} messages that rank {transport.rank} did not take; the "
            f"first from rank {src} with tag {tag}, {n} bytes"
        )
    return told
