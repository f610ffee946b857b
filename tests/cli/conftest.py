"""Commands run in this process, with a data folder of the test's own and a wide, plain terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lmbook.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Progress goes to a folder of the test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LMBOOK_HOME", str(folder))
    monkeypatch.delenv("LMBOOK_LIVE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture
def lmbook() -> Callable[..., Any]:
    """Run `lmbook ...`; the result has `exit_code`, `stdout` and `stderr`."""
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])
