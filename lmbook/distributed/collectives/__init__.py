"""Collectives, each written on messages alone. Every algorithm takes a `Call`: rank, size, send, recv, exchange."""

from lmbook.distributed.collectives.blocks import blocks
from lmbook.distributed.collectives.call import Call

__all__ = ["Call", "blocks"]
