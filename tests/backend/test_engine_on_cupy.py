"""The engine's tests, run on CuPy arrays: on a GPU where there is one, else on a stand-in.

`pytest --backend cupy FILES` does the same by hand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "tests/autograd/test_graph.py", "tests/functional/test_functional_parity.py",
    "tests/nn/test_module.py", "tests/nn/test_nn_messages.py", "tests/optim/test_optim.py",
)  # fmt: skip


@pytest.mark.slow
def test_the_engine_s_tests_pass_on_cupy() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--backend", "cupy", "-p", "no:cacheprovider"]
    command += ["-k", "not minimum"]  # hundreds of steps of every optimiser, in a simulator
    done = subprocess.run([*command, *FILES], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "failed" not in done.stdout
