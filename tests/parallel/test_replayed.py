"""Training steps where there are neither threads nor processes: the simulator's bits and its log."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from lmbook.distributed import run
from tests.parallel.test_data_parallel import ddp
from tests.parallel.test_pipeline import train


def data_parallel(comm):
    return ddp(comm, np.float64, 2, bucket_bytes=200)[1]


def pipeline(comm):
    return train(comm, 4, np.float64, "1f1b", 1, steps=1)[1]


@pytest.mark.parametrize("step", [data_parallel, pipeline])
def test_a_step_in_a_browser(step, monkeypatch) -> None:
    sim = run(step, 3, backend="sim", seed=2)

    def forbidden(*args, **kwargs):
        raise RuntimeError("there are no threads and no processes here")

    monkeypatch.setattr(threading.Thread, "start", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    monkeypatch.setitem(sys.modules, "greenlet", None)
    monkeypatch.setattr(sys, "platform", "emscripten")
    replay = run(step, 3, seed=2)
    assert replay.backend == "replay" and replay.log.pair_bytes == sim.log.pair_bytes
    assert replay.log.pair_messages == sim.log.pair_messages
    for a, b in zip(replay, sim, strict=True):
        np.testing.assert_array_equal(a, b)
    sends = [[e[:1] + e[4:8] for e in r.log.events if e.kind == "send"] for r in (replay, sim)]
    assert sorted(sends[0]) == sorted(sends[1]) and sends[0]
