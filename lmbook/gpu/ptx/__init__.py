"""Runs the instructions that NVIDIA's compiler made of a kernel: a second opinion on results and counters."""

from lmbook.gpu.ptx.runner import run

__all__ = ["run"]
