"""The benchmark of communication: sums are checked, verdicts go either way, a small run writes tables."""

import sys

import numpy as np
import pytest

from benchmarks import communication as b
from benchmarks.report import read
from lmbook.distributed import run


def test_a_wrong_sum_stops_the_clock():
    x = np.arange(4.0)
    b.checked(x * 6, x, 3)
    with pytest.raises(RuntimeError, match="the sum is wrong"):
        b.checked(x * 5, x, 3)


def test_behind_says_where_and_by_how_much():
    def row(contender, us, nbytes=1024):
        return {"ranks": 2, "bytes": nbytes, "contender": contender, "us": str(us)}

    rows = [row("shared", 30), row("gloo", 20), row("shared", 5, 4096), row("gloo", 6, 4096)]
    assert b.behind(rows) == ["2 ranks, 1024 bytes: 1.50 times gloo"]
    assert b.behind(rows, "mpi") == []


def test_a_time_is_that_of_the_slowest_rank(monkeypatch):
    told = [[[1.0, 4.0], [2.0]], [[3.0, 2.0], [5.0]]]  # rank, size, call
    monkeypatch.setattr(b, "run", lambda *args, **options: told)
    assert b.turn("shared", 2, [8, 16]) == [[3.0, 4.0], [5.0]]


def test_the_simulated_step_talks_as_a_mesh_does():
    """64 ranks, 8 stages of 8: three rounds a tensor all-reduce, 4 microbatches over 7 borders, both ways."""
    log = run(b.step, 128, 2, 4).log
    tensor = 128 * 3 * 2 * 4 * 2
    border = 2 * 8 * 7 * 4 * 2
    assert log.total_messages == tensor + border + 128 * 2
    assert log.time > 4 * 2 * 3e-3


def test_small_run_writes_its_tables(tmp_path, monkeypatch, capsys):
    """Sockets, shared memory and gloo on two ranks, twice."""
    for name in ("REGISTER", "SIMULATOR", "START"):
        monkeypatch.setattr(b, name, tmp_path / f"{name}.csv")
    monkeypatch.setattr(b, "draw", lambda rows, path: path)
    monkeypatch.setattr(b, "PROGRAMS", {"few messages": (b.ping_pong, 2, (50,))})
    asked = "--ranks 2 --sizes 1024 65536 --rounds 1 --contenders sockets shared gloo"
    asked += " --only all_reduce simulator"
    monkeypatch.setattr(sys, "argv", ["communication", *asked.split()])
    assert b.main() in (0, 1)
    rows = read(tmp_path / "REGISTER.csv")
    assert [(r["bytes"], r["contender"]) for r in rows] == [
        (n, c) for n in ("1024", "65536") for c in ("sockets", "shared", "gloo")
    ]
    assert all(0 < float(r["low_us"]) <= float(r["us"]) <= float(r["high_us"]) for r in rows)
    (told,) = read(tmp_path / "SIMULATOR.csv")
    assert told["messages"] == "100" and float(told["peak_mb"]) > 10


def test_the_registers_hold_what_the_page_shows():
    rows = read(b.REGISTER)
    assert {(r["ranks"], r["contender"]) for r in rows} >= {
        (n, c) for n in ("2", "4") for c in b.CONTENDERS
    }
    assert len(read(b.SIMULATOR)) == len(b.PROGRAMS) and len(read(b.START)) == 6
