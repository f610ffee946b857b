"""What can go wrong with a kernel, each said with kernel, line, block and thread."""

from __future__ import annotations

Triple = tuple[int, int, int]


class SubsetError(ValueError):
    """Source that the simulator does not read; the message says what to write instead."""

    def __init__(self, line: int, problem: str, instead: str = "") -> None:
        self.line = line
        super().__init__(f"line {line}: {problem}" + (f": {instead}" if instead else ""))


class LaunchError(ValueError):
    """A grid, block, argument or amount of shared memory that no GPU would accept."""


class KernelFault(RuntimeError):
    """A kernel did what is undefined on a GPU.

    `kernel`, `line`, `block` and `thread` say where; `text` is the source line.
    """

    def __init__(
        self, kernel: str, line: int, text: str, problem: str, block: Triple, thread: Triple
    ) -> None:
        self.kernel, self.line, self.text = kernel, line, text
        self.block, self.thread = block, thread
        where = f"thread {thread} of block {block}"
        super().__init__(f"{kernel}, line {line}: {problem} ({where})\n    {text.strip()}")


class OutOfBounds(KernelFault):
    """An index outside the array, or an address that is not aligned to its type."""


class UninitialisedRead(KernelFault):
    """A read of shared memory, or of a variable, that nothing was written to."""


class DataRace(KernelFault):
    """Two threads use one place, at least one writes, and no barrier stands between."""


class DivergentBarrier(KernelFault):
    """A `__syncthreads()` that only a part of a block reaches."""


class UndefinedShuffle(KernelFault):
    """A warp function whose mask names lanes that are not there, or that reads from one."""


class EndlessLoop(KernelFault):
    """A loop that takes more rounds than `max_iterations`."""


class WrongResult(AssertionError):
    """A kernel that ran to its end and left another number than the reference.

    `kernel` and `line` say which store left it, or which one stores the other numbers where nothing was
    stored there; line 0 means that no kernel stores into the array.
    """

    def __init__(self, message: str, kernel: str, line: int) -> None:
        self.kernel, self.line = kernel, line
        super().__init__(message)


class UndefinedArithmetic(KernelFault):
    """An integer division by zero."""
