"""The built website, built once for all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from book.tools import site as builder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site; `make.py test` has just built it, so that this is quick."""
    shared = tmp_path_factory.getbasetemp().parent  # one folder for all workers of a run
    with FileLock(shared / "site.lock"):
        done = shared / "site.done"
        if not done.exists():
            assert builder.build() == 0, "the site did not build: see _build/site.log"
            done.touch()
    return builder.SITE
