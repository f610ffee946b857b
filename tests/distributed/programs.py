"""Rank functions that the tests run on every backend, and what they must give."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook import backend

ALL_REDUCE = ("ring", "naive", "tree", "recursive_doubling", "halving_doubling")
RANKS = (1, 2, 3, 4, 5, 7, 8)


def data(rank: int, shape: tuple[int, ...] = (13,), dtype: Any = np.float64) -> np.ndarray:
    """Different numbers on each rank; floats whose sum depends on the order."""
    x = np.random.default_rng([7, rank]).normal(size=shape) * 10.0 ** (rank % 4)
    return (x * 8).astype(dtype) if np.issubdtype(dtype, np.integer) else x.astype(dtype)


def everything(comm: Any, shape: tuple[int, ...], dtype: Any = np.float64) -> dict[str, Any]:
    """One call of each collective by each algorithm."""
    x, p = data(comm.rank, shape, dtype), comm.size
    out: dict[str, Any] = {}
    last = p - 1
    for op in ("sum", "max", "min", "prod"):
        for a in ALL_REDUCE if op == "sum" else ("ring", "tree"):
            out[f"all_reduce {op} {a}"] = comm.all_reduce(x, op, a)
    for a in ("tree", "naive"):
        out[f"broadcast {a}"] = comm.broadcast(x if comm.rank == last else None, last, a)
        out[f"reduce {a}"] = comm.reduce(x, last, algorithm=a)
    for a in ("ring", "bruck"):
        out[f"all_gather {a}"] = comm.all_gather(x[: comm.rank + 1], a)
    out["reduce_scatter"] = comm.reduce_scatter(x)
    out["gather"] = comm.gather(x[comm.rank :], last)
    rows = [data(100 + r, shape, dtype) for r in range(p)]
    out["scatter"] = comm.scatter(rows if comm.rank == last else None, last)
    out["all_to_all"] = comm.all_to_all([x * (r + 1) for r in range(p)])
    comm.barrier()
    return out


def expected(rank: int, p: int, shape: tuple[int, ...], dtype: Any = np.float64) -> dict[str, Any]:
    """What NumPy says that `everything` gives on a rank."""
    xs, last = [data(r, shape, dtype) for r in range(p)], p - 1
    total = np.sum(xs, axis=0, dtype=dtype)
    out: dict[str, Any] = {f"all_reduce sum {a}": total for a in ALL_REDUCE}
    for op, f in {"max": np.max, "min": np.min, "prod": np.prod}.items():
        for a in ("ring", "tree"):
            out[f"all_reduce {op} {a}"] = f(xs, axis=0).astype(dtype)
    for a in ("tree", "naive"):
        out[f"broadcast {a}"] = xs[last]
        out[f"reduce {a}"] = total if rank == last else None
    for a in ("ring", "bruck"):
        out[f"all_gather {a}"] = [x[: r + 1] for r, x in enumerate(xs)]
    n = shape[0]
    out["reduce_scatter"] = total[n * rank // p : n * (rank + 1) // p]
    out["gather"] = [x[r:] for r, x in enumerate(xs)] if rank == last else None
    out["scatter"] = data(100 + rank, shape, dtype)
    out["all_to_all"] = [x * (rank + 1) for x in xs]
    return out


def same(got: Any, want: Any, rtol: float = 0.0) -> None:
    """Equal structure, shapes and dtypes; values to `rtol` of the largest (0: bits)."""
    if isinstance(want, dict):
        assert got.keys() == want.keys()
        for key in want:
            try:
                same(got[key], want[key], rtol)
            except AssertionError as error:
                raise AssertionError(f"{key}: {error}") from None
    elif isinstance(want, list):
        assert len(got) == len(want)
        for g, w in zip(got, want):
            same(g, w, rtol)
    elif want is None:
        assert got is None
    else:
        assert isinstance(got, np.ndarray) and got.dtype == want.dtype, (got, want)
        assert got.shape == want.shape, (got.shape, want.shape)
        if rtol and want.size:
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * float(abs(want).max()))
        else:
            np.testing.assert_array_equal(got, want)


def one(comm: Any, collective: str, algorithm: str, x: np.ndarray) -> Any:
    """A single collective, for counting."""
    if collective == "all_reduce":
        return comm.all_reduce(x, algorithm=algorithm)
    if collective == "reduce_scatter":
        return comm.reduce_scatter(x)
    if collective == "all_to_all":
        return comm.all_to_all([x] * comm.size)
    if collective == "scatter":
        return comm.scatter([x] * comm.size)
    if collective == "gather":
        return comm.gather(x)
    if collective == "barrier":
        return comm.barrier()
    return getattr(comm, collective)(x, algorithm=algorithm)


def tour(comm: Any) -> dict[str, Any]:
    """Messages, groups, random numbers and collectives, with results that are the same on every backend."""
    p, r = comm.size, comm.rank
    after, before = (r + 1) % p, (r - 1) % p
    out = {f"{k} 13": v for k, v in everything(comm, (13,)).items()}
    out |= {f"{k} 2d": v for k, v in everything(comm, (5, 3), np.float32).items()}
    out |= {f"{k} empty": v for k, v in everything(comm, (0, 2), np.int64).items()}
    for i in range(3):  # order within a tag; tags out of order
        comm.send(data(r) * i, after, tag=1)
    comm.send(data(r), after, tag=2)
    out["tag 2"] = comm.recv(before, tag=2)
    out["tag 1"] = [comm.recv(before, tag=1) for _ in range(3)]
    x = data(r)
    request = comm.isend(x, after, tag=3)
    x *= 0  # it was copied
    waiting = comm.irecv(before, tag=3)
    out["isend"] = waiting.wait()
    request.wait()
    out["head on, large"] = comm.sendrecv(np.full(300_000, float(r)), after, before)[::50_000]
    if r == 0:
        got = sorted((comm.recv_any(tag=4) for _ in range(p - 1)), key=lambda pair: pair[0])
        out["any"] = [v for _, v in got]
    else:
        comm.send(data(r), 0, tag=4)
        out["any"] = []
    row = comm.split(r // 2, key=-r)
    out["row"] = row.all_reduce(data(r))
    out["row gather"] = [np.array(v) for v in row.all_gather(r)]
    out["background"] = comm.background(lambda c: c.all_reduce(data(c.rank))).wait()
    out["random"] = backend.default_generator().normal(size=3)
    out["objects"] = [np.array(sorted(d)) for d in comm.all_gather({str(r): r})]
    comm.barrier()
    return out
