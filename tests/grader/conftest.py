"""Nothing in the folders of wrong and hostile answers is a test; progress goes to a folder of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmbook.grader import exercises, live, registry

collect_ignore_glob = ["wrong/*", "hostile/*"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's data folder of its own, as in a live notebook."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LMBOOK_HOME", str(folder))
    monkeypatch.delenv("LMBOOK_LIVE", raising=False)
    return folder


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exercises made by the test are forgotten after it."""
    exercises()
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    monkeypatch.setattr(live, "_latest", {})
