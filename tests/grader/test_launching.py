"""What a learner reads when a kernel cannot be read, launched or run to its end."""

import numpy as np
import pytest

from lmbook import gpu
from lmbook.grader.expect import CheckFailed, NotAnswered
from lmbook.grader.launching import kernel, launched

HEAD = "__global__ void k(float* y, int n) {"


def test_a_right_kernel_runs_and_reports():
    y = np.zeros(40, np.float32)
    k = kernel(HEAD + " int i = threadIdx.x; if (i < n) y[i] = 1.0f; }", "k")
    report = launched(k, 1, 64, (y, 40))
    assert isinstance(report, gpu.Report) and (y == 1).all() and report.total.store_requests == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (7, "`k` should be a string of CUDA C, and is 7"),
        (HEAD + "\n  y[0] = z; }", "k, line 2: `z` is not declared"),
        ("__global__ void j(float* y, int n) { }", "no kernel k; it has j"),
    ],
)
def test_what_cannot_be_read_is_told(source, message):
    with pytest.raises(CheckFailed, match=message):
        kernel(source, "k")


def test_an_empty_place_is_not_answered():
    with pytest.raises(NotAnswered, match="`k` is still"):
        kernel(..., "k")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y[n + threadIdx.x] = 1.0f;", r"line 2: writes y\[40\], but y has 40 elements"),
        ("y[0] = threadIdx.x;", "race on y"),
        ("int j = 0; while (j < 1) j -= j;", "does not end"),
        ("__shared__ float s[64]; y[0] = s[0];", "nothing was written to"),
    ],
)
def test_faults_fail_the_answer(body, message):
    with pytest.raises(CheckFailed, match=message):
        launched(kernel(f"{HEAD}\n{body} }}", "k"), 1, 64, (np.zeros(40, np.float32), 40))


def test_another_signature_fails_the_answer():
    k = kernel("__global__ void k(float* y) { }", "k")
    with pytest.raises(CheckFailed, match="takes 1 arguments, not 2"):
        launched(k, 1, 64, (np.zeros(40, np.float32), 40))
    with pytest.raises(CheckFailed, match="must be float32"):
        launched(k, 1, 64, (np.zeros(40),))
    with pytest.raises(CheckFailed, match="1024"):
        launched(k, 1, 2048, (np.zeros(40, np.float32),))
