"""The engine's tests, run on CuPy arrays: on a GPU where there is one, else on a stand-in.

`pytest --backend cupy FILES` does the same by hand; all of tests/autograd, functional, nn, optim and training
pass so, what is marked `host` left out, and models/test_models.py. Here is the part that tells most in little
time: about 45 seconds on one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import parity

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "operations": (
        "tests/autograd", "tests/functional/test_functional_parity.py", "tests/functional/test_conv.py",
        "tests/functional/test_pool.py", "tests/functional/test_recurrent.py",
    ),
    "models": (
        "tests/nn", "tests/models/test_models.py", "tests/optim/test_optim.py",
        "tests/training/test_checkpoint.py",
    ),
}  # fmt: skip
LATER = "not minimum"  # hundreds of steps of every optimiser, in a simulator: by hand


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_the_engine_s_tests_pass_on_cupy(part: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--backend", "cupy", "-p", "no:cacheprovider"]
    command += ["-k", LATER, *PARTS[part]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "failed" not in done.stdout


def test_parity_runs_on_the_backend_that_was_asked_for(tmp_path: Path) -> None:
    """One module for conftest and tests: with two, NumPy would be compared with PyTorch once more."""
    command = [sys.executable, "-m", "pytest", "-q", "--backend", "cupy", "-p", "no:cacheprovider"]
    command += ["tests/functional/test_functional_parity.py", "-k", "huber or softplus"]
    file = tmp_path / "records"
    environment = {**os.environ, parity.RECORDS: str(file)}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(records) > 1 and all(r["backends"] == ["cupy"] for r in records)
