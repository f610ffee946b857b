"""A Chromium for the tests of the programs' pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from book.tools import browser

WHY = "no Chromium here: install it, or name one in the variable CHROMIUM"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for a file of tests; skipped where there is none, a failure in CI."""
    if browser.chromium() is None:
        if os.environ.get("CI"):
            pytest.fail(WHY)
        pytest.skip(WHY)
    with browser.browser() as program:
        yield program
