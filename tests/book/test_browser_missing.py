"""What the browser's tool cannot look at it names in one line: libraries, a Chromium, pages, a folder."""

import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    "page", ["chapters/07_accelerators", "chapters/07_acelerators.html", "07_accelerators.html"]
)
def test_shots_refuse_a_page_that_is_not_there_and_name_near_ones(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    for name in ("chapters/07_accelerators.html", "chapters/14_memory.html", "book/intro.html"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("<title>x</title>", encoding="utf-8")
    monkeypatch.setattr(browser, "SITE", site)
    folder = tmp_path / "shots"
    assert browser.main(["shots", str(folder), "book/intro.html", page]) == 2
    said = capsys.readouterr().out
    assert repr(page) in said and "chapters/07_accelerators.html" in said.partition("near")[2]
    assert said.count("\n") == 1 and not folder.exists()
    browser.refuse_missing(["book/intro.html", "chapters/14_memory.html#banks"], site)


def test_shots_without_a_site_say_so(tmp_path: Path) -> None:
    with pytest.raises(browser.NoPage, match="has 0 pages"):
        browser.shots(tmp_path / "shots", ["book/intro.html"], tmp_path / "nothing")


def test_shots_refuse_an_option_as_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert browser.main(["shots", "--top", "book/intro.html"]) == 2
    assert "'--top' is not one" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
