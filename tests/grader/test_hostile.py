"""Submissions that misbehave get a clear verdict and no points, and the others are graded all the same."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lmbook.grader.grade import VERDICTS, Limits, grade, grade_one

HOSTILE = sorted((Path(__file__).parent / "hostile").glob("*.py"))
# much time on the clock: another program may hold the processor; what computes is stopped by `cpu`
LIMITS = Limits(seconds=60, cpu=4, memory=600, output=200)
SOUND = (
    "def sigmoid(x):\n    e = np.exp(-np.abs(x))\n    return np.where(x >= 0, 1.0, e) / (1.0 + e)"
)
POSIX_ONLY = {"aborts", "forks", "ignores_the_limit_of_time", "opens_the_channel_by_path"}


def notebook(folder: Path, name: str, *cells: str) -> Path:
    """A submission with imports, some cells, and the check."""
    sources = ("import numpy as np", *cells, 'from lmbook.grader import check\ncheck("2.1.1-a")')
    content = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "source": s, "outputs": [], "execution_count": None}
            for s in sources
        ],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", HOSTILE, ids=lambda p: p.stem)
def test_gets_its_verdict_and_no_points(path, tmp_path):
    if os.name != "posix" and path.stem in POSIX_ONLY:
        pytest.skip("tries something that this system does not have")
    source = path.read_text(encoding="utf-8")
    wanted = source.splitlines()[0].removeprefix("# verdict: ")
    outside = Path("/tmp/lmbook_escaped.txt")
    outside.unlink(missing_ok=True)
    limits = replace(LIMITS, seconds=2) if path.stem == "sleeps" else LIMITS
    got = grade_one(notebook(tmp_path, path.stem, source), limits, seed=3)
    assert got.verdict == wanted, got
    assert got.score == 0 and got.points > 0
    assert got.verdict == "graded" or got.reason
    assert got.seconds < LIMITS.seconds + 4
    assert not outside.exists() and not Path("/tmp/lmbook_escaped.npy").exists()


def test_every_verdict_is_provoked():
    provoked = {
        p.read_text(encoding="utf-8").splitlines()[0].removeprefix("# verdict: ") for p in HOSTILE
    }
    assert provoked | {"missing", "not a notebook", "no exercises"} == set(VERDICTS)


def test_the_others_are_graded_all_the_same(tmp_path):
    names = [
        "calls_os_exit",
        "loops_forever",
        "replaces_numpy",
        "prints_without_end",
        "writes_above",
    ]
    sources = {p.stem: p.read_text(encoding="utf-8") for p in HOSTILE}
    paths = [notebook(tmp_path, "first", SOUND)]
    paths += [notebook(tmp_path, name, sources[name]) for name in names]
    paths += [tmp_path / "missing.ipynb", notebook(tmp_path, "last", SOUND)]
    seen = []
    got = grade(paths, LIMITS, seed=0, jobs=2, done=lambda one: seen.append(one.file))
    assert [g.file for g in got] == [str(p) for p in paths] and len(seen) == len(paths)
    assert got[0].score == got[-1].score == 2
    assert [g.verdict for g in got[1:-1]] == [
        "exit",
        "time",
        "tampered",
        "output",
        "files",
        "missing",
    ]


@pytest.mark.parametrize(
    ("text", "verdict", "says"),
    [
        (b"", "not a notebook", "not JSON"),
        (b"print('hello')\n", "not a notebook", "not JSON"),
        (b"\x80\x81\xff", "not a notebook", "not text"),
        (b"[" * 100_000, "not a notebook", "not JSON"),
        (b"[1, 2]", "not a notebook", "format 4"),
        (b'{"cells": 3, "nbformat": 4}', "not a notebook", "format 4"),
        (b'{"cells": [3], "nbformat": 4}', "not a notebook", "cell 0"),
        (
            b'{"cells": [{"cell_type": "code", "source": 3}], "nbformat": 4}',
            "not a notebook",
            "cell 0",
        ),
        (b'{"worksheets": [], "nbformat": 3}', "not a notebook", "format 4"),
        (b'{"cells": [], "nbformat": 4}', "no exercises", "check"),
        (
            b'{"cells": [{"cell_type": "code", "source": "1"}], "nbformat": 4}',
            "no exercises",
            "check",
        ),
    ],
)
def test_what_is_not_a_notebook_is_told_so(tmp_path, text, verdict, says):
    path = tmp_path / "file.ipynb"
    path.write_bytes(text)
    got = grade_one(path, LIMITS, seed=0)
    assert got.verdict == verdict and says in got.reason


def test_a_folder_and_a_missing_file(tmp_path):
    assert grade_one(tmp_path, LIMITS, 0).verdict == "not a notebook"
    assert grade_one(tmp_path / "none.ipynb", LIMITS, 0).verdict == "missing"


def test_an_honest_notebook_may_do_what_notebooks_do(tmp_path):
    """Magics, figures, files in its own folder, another backend, a failing cell, its own `sum`."""
    path = notebook(
        tmp_path, "honest",
        "%matplotlib inline\n!pip list\nopen('a.txt', 'w').write('x')",
        "from pathlib import Path\nPath('notes').mkdir()\nPath('notes/a.txt').write_text('x')",
        "import tempfile\nwith tempfile.TemporaryDirectory() as d:\n    open(d + '/x', 'w').close()",
        "import lmbook\nfrom lmbook import nn\nlmbook.backend.use('numpy')",
        "nn.Linear(2, 3)(lmbook.ones(1, 2))",
        "from dataclasses import dataclass\nfrom collections import namedtuple\nP = namedtuple('P', 'a b')",
        "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 4, 9])",
        "figure.savefig('squares.png')\nplt.show()\nimport platform\nplatform.uname().processor",
        "from tqdm import tqdm\nfor _ in tqdm(range(3)):\n    pass",
        "1 / 0", "sum = 3", "%%time\nx = 1", "%%bash\nrm -rf x", "plt?", SOUND,
    )  # fmt: skip
    got = grade_one(path, LIMITS, seed=0)
    assert got.verdict == "graded" and got.score == 2, got
    assert len(got.raised) == 1 and "ZeroDivisionError" in got.raised[0]


@pytest.mark.skipif(sys.platform == "win32", reason="numba and torch start differently there")
def test_torch_and_numba_may_be_used(tmp_path):
    path = notebook(
        tmp_path, "libraries",
        "import torch\nt = torch.ones(3, requires_grad=True)\n(t * t).sum().backward()",
        "import lmbook\nlmbook.backend.use('numba')",
        "x = lmbook.ones(4, requires_grad=True)\n(x * x).sum().backward()",
        SOUND,
    )  # fmt: skip
    got = grade_one(path, Limits(seconds=60, cpu=60), seed=0)
    assert got.verdict == "graded" and got.score == 2 and not got.raised, got
