"""The simulator needs NumPy and Python alone, as in a browser: no package, process, thread or socket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ALONE = """
import sys, threading
import numpy as np

class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "lmbook"):
            raise ModuleNotFoundError(f"{name} is not here", name=name)

def refuse(event, args):
    if event.startswith(("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "socket.")):
        raise RuntimeError(f"a browser's Python has no {event}")

sys.meta_path.insert(0, Nothing())
sys.addaudithook(refuse)
"""
LADDER = """
from lmbook import gpu
from lmbook.gpu import kernels

rng = np.random.default_rng(0)
for rung in kernels.LADDER:
    for name in rung.versions:
        given = rung.sample(rng, rung.sizes[0])
        if rung is kernels.matvec and name != "matvec1_float32":
            quantise = kernels.quantise8 if "int8" in name else kernels.quantise4
            given = (*quantise(given[0]), given[1])
            given = given[0], given[2], given[1]
        rung.verify(name, *given)
x = rng.standard_normal(1000, np.float32)
(report,) = kernels.copy.run("copy1_scalar", x).reports
assert report.bytes_touched == 8000 and report.roofline("T4").bound == "memory"
assert "copy1_scalar" in str(report) and report.listing()
k = gpu.Kernel("__global__ void k(float* x) { __shared__ float s[64]; s[threadIdx.x] = x[threadIdx.x];"
               " x[threadIdx.x] = s[63 - threadIdx.x]; }", "k")
try:
    k.simulate(1, 64, (x,), races=True)
except gpu.DataRace as race:
    print("race in line", race.line)
assert threading.active_count() == 1
print("ran")
"""


def alone(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that has nothing but NumPy and lmbook."""
    command = [sys.executable, "-c", ALONE + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_every_version_runs_with_numpy_alone() -> None:
    done = alone(LADDER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["race in line 1", "ran"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import scipy", "scipy is not here"), ("import rich.table", "rich is not here"),
        ("import subprocess\nsubprocess.run(['true'])", "has no subprocess.Popen"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "has no socket."),
    ],
)  # fmt: skip
def test_the_fence_holds(code: str, message: str) -> None:
    done = alone(code)
    assert done.returncode != 0 and message in done.stderr


def test_what_needs_more_says_so() -> None:
    done = alone("""
from lmbook import gpu
k = gpu.Kernel("__global__ void k(float* x) { x[0] = 1.0f; }", "k")
try:
    k.time(1, 1, (np.zeros(1, np.float32),))
except gpu.LaunchError as error:
    print(error)
""")
    assert "the simulator counts work, not time" in done.stdout, done.stderr
