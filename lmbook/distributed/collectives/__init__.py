"""Collectives, each written on messages alone.

Every algorithm takes a `Call`, which has rank, size, send, recv and exchange.
"""

from lmbook.distributed.collectives.call import Call
from lmbook.distributed.collectives.partition import blocks

__all__ = ["Call", "blocks"]
