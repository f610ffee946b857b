"""Without its libraries or a Chromium, the browser's tool says in one line what to install."""

import sys

import pytest

from book.tools import browser


@pytest.mark.parametrize("module", ["playwright", "axe_playwright_python"])
def test_a_missing_library_is_named(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert browser.main(["check", "x.html"]) == 2
    said = capsys.readouterr().out
    assert module in said and 'pip install "lmbook[dev]"' in said and said.count("\n") == 1


def test_a_missing_browser_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "chromium", lambda: None)
    assert browser.main(["check", "x.html"]) == 2
    said = capsys.readouterr().out
    assert "CHROMIUM" in said and said.count("\n") == 1
