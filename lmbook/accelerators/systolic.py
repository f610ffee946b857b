"""A systolic array: a grid of multipliers through which numbers flow, simulated cycle by cycle.

Weights stay in the cells. Activations enter at the left, a row of the grid one cycle after the row above it,
and move a cell to the right in each cycle; partial sums move a cell down. No cell reads any memory: each
takes what its neighbours had a cycle ago.

Sources: H. T. Kung, "Why systolic architectures?", 1982; Jouppi et al., "In-datacenter performance analysis
of a tensor processing unit", 2017.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """The registers of all cells at the end of a cycle, each of shape (rows, columns).

    `working` says which cells multiplied in this cycle, `partial` holds the sums that they pass down.
    """

    cycle: int
    weights: Array
    activations: Array
    partial: Array
    working: Array


@dataclass(frozen=True)
class SystolicRun:
    """A product, the cycles it took, the multiplications that it needed, and the cells of the grid."""

    product: Array
    cycles: int
    multiplications: int
    cells: int
    frames: tuple[Frame, ...] = ()

    @property
    def utilisation(self) -> float:
        """Share of all cells and cycles in which a product that was asked for was computed."""
        return self.multiplications / (self.cycles * self.cells)


def _tiles(length: int, size: int) -> int:
    return -(-length // size)


def cycles(m: int, k: int, n: int, rows: int, columns: int, overlap: bool = True) -> int:
    """Cycles of an (m, k) by (k, n) product on a grid of `rows` x `columns` cells, in closed form.

        T = ceil(k / rows) ceil(n / columns)                       tiles of weights
        without overlap   T (rows + m + rows + columns - 2)        load, stream, drain, for each tile
        with overlap      rows + (T - 1) max(m, rows) + m + rows + columns - 2

    With overlap a second set of weight registers is filled while the first one works. For one tile both are
    2 rows + columns + m - 2, as in Samajdar et al. 2020.
    """
    if min(m, k, n, rows, columns) < 1:
        raise ValueError(
            f"cycles: sizes {(m, k, n)} on a grid {(rows, columns)}: all must be 1 or more"
        )
    tiles = _tiles(k, rows) * _tiles(n, columns)
    drain = m + rows + columns - 2
    if overlap:
        return rows + (tiles - 1) * max(m, rows) + drain
    return tiles * (rows + drain)


class SystolicArray:
    """A grid of `rows` x `columns` multipliers with weights that stay; `overlap` as in `cycles`.

    Integers are multiplied exactly: int8 is summed in int32, as in the first TPU, other integers in int64.
    """

    def __init__(self, rows: int, columns: int, overlap: bool = True) -> None:
        if rows < 1 or columns < 1:
            raise ValueError(f"SystolicArray: a grid of {rows} x {columns} cells has no cell")
        self.rows, self.columns, self.overlap = rows, columns, overlap

    def matmul(self, a: Array, b: Array, trace: bool = False) -> SystolicRun:
        """a @ b for `a` of shape (m, k) and `b` of shape (k, n); `trace` keeps a frame of every cycle.

        Matrices larger than the grid are cut into tiles; a tile at an edge is filled up with zeros.
        Raises `ValueError` for shapes that do not fit together.
        """
        a, b = np.asarray(a), np.asarray(b)
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
            raise ValueError(
                f"SystolicArray.matmul: shapes {a.shape} and {b.shape}; give (m, k) and "
                "(k, n), none of them 0"
            )
        a, b = self._wide(a), self._wide(b)
        (m, k), n, rows, columns = a.shape, b.shape[1], self.rows, self.columns
        down, across = _tiles(k, rows), _tiles(n, columns)
        a = np.pad(a, ((0, 0), (0, down * rows - k)))
        b = np.pad(b, ((0, down * rows - k), (0, across * columns - n)))
        order = [(i, j) for j in range(across) for i in range(down)]
        weights = [b[i * rows :, j * columns :][:rows, :columns] for i, j in order]
        inputs = [a[:, i * rows :][:, :rows] for i, _ in order]
        loads, starts = self._schedule(m, len(order))

        frames = []
        out = np.zeros((starts[-1] + m, columns), np.result_type(a, b))
        for frame in self._cycles(weights, inputs, loads, starts):
            for c in range(
                columns
            ):  # column c's sum leaves for the row that entered rows - 1 + c ago
                row = frame.cycle - (rows - 1) - c
                if 0 <= row < len(out):
                    out[row, c] = frame.partial[-1, c]
            if trace:
                frames.append(frame)
        product = np.zeros((m, across * columns), out.dtype)
        for (_, j), start in zip(order, starts):
            product[:, j * columns : (j + 1) * columns] += out[start : start + m]
        return SystolicRun(
            product[:, :n], frame.cycle + 1, m * k * n, rows * columns, tuple(frames)
        )

    @staticmethod
    def _wide(x: Array) -> Array:
        if x.dtype.kind in "iu":
            return x.astype(np.int32 if x.dtype == np.int8 else np.int64)
        return x.astype(np.result_type(x, np.float32))

    def _schedule(self, m: int, tiles: int) -> tuple[list[int], list[int]]:
        """For each tile the cycles in which its first weight and its first activation enter."""
        loads, starts = [0], [self.rows]
        for _ in range(tiles - 1):
            if self.overlap:
                loads.append(starts[-1])
                starts.append(max(starts[-1] + m, loads[-1] + self.rows))
            else:
                loads.append(starts[-1] + m + self.rows + self.columns - 2)
                starts.append(loads[-1] + self.rows)
        return loads, starts

    def _cycles(
        self, weights: list[Array], inputs: list[Array], loads: list[int], starts: list[int]
    ) -> Iterator[Frame]:
        """One frame a cycle until the last sum has left.

        The weight for row r passes through the rows above it on its way down and is kept in `waiting`; the
        first activation of a tile carries a mark, and the cell that sees it takes over its waiting weight.
        """
        rows, columns, m = self.rows, self.columns, len(inputs[0])
        stream = np.zeros((starts[-1] + m, rows), inputs[0].dtype)
        entering = np.zeros(starts[-1] + m, bool)
        for x, start in zip(inputs, starts):
            stream[start : start + m], entering[start : start + m] = x, True
        r, c = np.arange(rows)[:, None], np.arange(columns)[None]
        shape = (rows, columns)
        held, waiting = np.zeros(shape, weights[0].dtype), np.zeros(shape, weights[0].dtype)
        moving, partial = (
            np.zeros(shape, stream.dtype),
            np.zeros(shape, np.result_type(held, stream)),
        )
        busy, marked = np.zeros(shape, bool), np.zeros(shape, bool)

        for cycle in range(starts[-1] + m + rows + columns - 2):
            # activations one cell to the right; a new one enters each row, row r for time cycle - r
            moving, busy, marked = np.roll(moving, 1, 1), np.roll(busy, 1, 1), np.roll(marked, 1, 1)
            time = cycle - r[:, 0]
            there = (time >= 0) & (time < len(stream))
            time = np.where(there, time, 0)
            moving[:, 0] = np.where(there, stream[time, r[:, 0]], 0)
            busy[:, 0] = there & entering[time]
            marked[:, 0] = there & np.isin(time, starts)
            held = np.where(marked, waiting, held)
            # weights one cell down, for the tiles that are loading
            above = np.roll(waiting, 1, 0)
            for tile, load in zip(weights, loads):
                if not load <= cycle < load + 2 * rows + columns:
                    continue
                age = cycle - load - c - r  # the age-th of the weights that pass this cell
                passing = (age >= 0) & (age < rows - r)
                above[0] = tile[np.clip(rows - 1 - age[0], 0, rows - 1), c[0]]
                waiting = np.where(passing, above, waiting)
            # sums one cell down, each with a product added
            below = np.roll(partial, 1, 0)
            below[0] = 0
            partial = np.where(busy, below + held * moving, 0)
            yield Frame(cycle, held, moving * busy, partial, busy)
