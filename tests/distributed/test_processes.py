"""Ranks as processes: the simulator's bits, clear ends when one dies, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lmbook.distributed import CommError, RankError, RankLost, UnreceivedError, run
from tests.distributed.programs import same, tour

ROOT = Path(__file__).resolve().parents[2]


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_bits_and_the_bytes_are_the_simulators(ranks: int) -> None:
    program = tour if ranks > 1 else len_of_one
    before = open_files(), threading.active_count()
    real, sim = (run(program, ranks, backend=b, seed=5) for b in ("proc", "sim"))
    for a, b in zip(real, sim, strict=True):
        same(a, b)
    np.testing.assert_array_equal(real.log.bytes, sim.log.bytes)
    np.testing.assert_array_equal(real.log.messages, sim.log.messages)
    assert (open_files(), threading.active_count()) == before
    assert real.backend == "proc" and real.rank == 0 and len(real.log.clocks) == ranks
    assert all(e.end >= e.start >= 0 for e in real.log.events)


def len_of_one(comm):
    return {"alone": comm.all_reduce(np.ones(3)), "all": comm.all_gather(np.ones(2))}


def failures(comm, what: str) -> None:
    try:
        comm.barrier()
        if comm.rank == 1:
            for other in (0, 2):
                comm.recv(other, tag=5)
            time.sleep(0.3)  # now the others wait
            if what == "raise":
                raise LookupError("where is it")
            if what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "exit":
                os._exit(3)
            time.sleep(60)
        comm.send("waiting", 1, tag=5)
        comm.recv(1, tag=6)
    finally:
        print(f"rank {comm.rank} cleaned up")


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        (
            "raise",
            RankError,
            r"rank 1 failed(?s:.*)test_processes.py(?s:.*)LookupError: where is it",
        ),
        ("kill", RankLost, r"rank 1 died \(killed by signal 9, SIGKILL\)"),
        ("exit", RankLost, r"rank 1 died \(exit code 3\)"),
    ],
)
def test_who_fails_is_named_and_the_others_stop_cleanly(what, error, message, capsys) -> None:
    start, before = time.monotonic(), open_files()
    with pytest.raises(error, match=message) as caught:
        run(failures, 3, what, backend="proc")
    text = str(caught.value)
    assert caught.value.rank == 1 and time.monotonic() - start < 20
    for other in (0, 2):
        assert (
            f"rank {other} was stopped waiting for a message of rank 1 with tag 6, in line" in text
        )
    assert "comm.recv(1, tag=6)" in text
    said = capsys.readouterr().out
    assert "rank 0 cleaned up" in said and "rank 2 cleaned up" in said
    assert open_files() == before


def test_a_wait_has_a_limit_and_says_what_lies_there() -> None:
    def fn(comm):
        comm.send(1, 1 - comm.rank, tag=4)
        comm.recv(1 - comm.rank, tag=3)

    said = r"waited 0.5 s for a message of rank \d with tag 3; messages that nobody has asked for: 1 of rank"
    with pytest.raises(RankError, match=said + r" \d with tag 4") as error:
        run(fn, 2, backend="proc", timeout=0.5)
    assert "was stopped waiting for a message of rank" in str(error.value)


def test_a_stop_that_meets_a_failing_rank_says_nothing_by_itself(capfd) -> None:
    def fn(comm):
        from lmbook.distributed.proc import worker

        told = worker.rank_error

        def slowly(*args):  # the stop comes while the rank tells of its own failure
            time.sleep(0.7)
            return told(*args)

        comm.barrier()
        if comm.rank == 0:
            time.sleep(0.2)
            raise LookupError("first")
        worker.rank_error = slowly
        raise LookupError("later")

    with pytest.raises(RankError, match="first"):
        run(fn, 3, backend="proc")
    assert capfd.readouterr() == ("", "")


def test_a_hang_shows_all_waits_whoever_ends_first() -> None:
    def fn(comm):
        comm.barrier()
        comm.recv((comm.rank + 1) % 3, tag=comm.rank)

    with pytest.raises(RankError) as error:
        run(fn, 3, backend="proc", timeout=0.5)
    for r in range(3):
        wait = (
            rf"rank {r} (waited 0.5 s|was stopped waiting) for a message of rank {(r + 1) % 3} with"
        )
        assert re.search(wait, str(error.value))


def test_messages_that_nobody_took_end_the_run() -> None:
    def fn(comm):
        if comm.rank == 0:
            comm.send(np.ones(3), 1, tag=7)
            comm.send(np.ones(200_000), 1, tag=8)

    with pytest.raises(
        UnreceivedError, match=r"from rank 0 to rank 1 with tag 7, 24 bytes\n.*1600000 bytes"
    ):
        run(fn, 2, backend="proc")


def test_functions_and_results_must_travel() -> None:
    lock = threading.Lock()
    with pytest.raises(
        CommError, match=r"cannot be sent to another process \(.*lock.*make that inside"
    ):
        run(lambda comm: lock, 2, backend="proc")
    with pytest.raises(RankError, match=r"the result of rank \d cannot be sent back \(.*lock"):
        run(lambda comm: threading.Lock(), 2, backend="proc")
    with pytest.raises(CommError, match="at most 64"):
        run(len_of_one, 65, backend="proc")


def test_without_cloudpickle_a_local_function_is_refused(monkeypatch) -> None:
    from lmbook.backend import MissingDependency

    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(
        MissingDependency, match=r'inside another function.*pip install "lmbook\[distributed\]"'
    ):
        run(lambda comm: 1, 2, backend="proc")
    assert (
        run(len_of_one, 1, backend="proc")[0]["alone"].sum() == 3
    )  # importable: plain pickle will do


SCRIPT = """
import sys, time
from lmbook.distributed import run

def fn(comm):
    import os
    print(f"{os.getpid()}\\n", end="", flush=True)  # one write, so that lines stay whole
    comm.barrier()
    time.sleep(100)

run(fn, 2, backend="proc")
"""


def gone(pids: list[int], seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        alive = [p for p in pids if Path(f"/proc/{p}").exists() or _answers(p)]
        if not alive:
            return True
        time.sleep(0.05)
    return False


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_caller_is_interrupted_or_killed(number, tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    caller = subprocess.Popen(
        [sys.executable, "-u", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    with caller:
        assert caller.stdout is not None and caller.stderr is not None
        pids = [int(caller.stdout.readline()) for _ in range(2)]
        assert all(map(_answers, pids))
        caller.send_signal(number)
        caller.wait(15)
    assert gone(pids, 10)
