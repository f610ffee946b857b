"""Every page in headless Chromium: accessible, no error, no foreign request, no sideways scroll.

Without Chromium a reader sees these tests skipped; where CI is set that is a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from book.tools import browser

pytestmark = [pytest.mark.site, pytest.mark.browser]
WHY = "no Chromium here: install it, or name one in the variable CHROMIUM"


@pytest.fixture(scope="module", autouse=True)
def chromium() -> str:
    path = browser.chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(WHY)
        pytest.skip(WHY)
    return path


def test_every_page_is_sound(site: Path) -> None:
    """axe in light and dark at 1280 and 390 px; console, requests, formulas, pictures, width."""
    wanted = [page for page in browser.pages(site) if page != "index.html"]
    visits = browser.check(wanted, site)
    bad = [str(visit) for visit in visits if visit.findings]
    print(f"{len(visits)} visits of {len(wanted)} pages, {len(bad)} with findings")
    assert len(visits) == 4 * len(wanted)
    assert not bad, "\n".join(bad)


FAULTY = """<!DOCTYPE html><html lang="en"><head><title>x</title><style>
@media (max-width: 500px) { h1 { color: #ddd } }</style></head><body><main><h1>Heading</h1>
<img src="gone.png"><div style="width:3000px">wide</div>
<p style="color:#ddd;background:#fff">pale</p>
<script src="http://localhost:9/x.js"></script>
<script>throw new Error("broken")</script></main></body></html>"""


def test_the_check_finds_faults(tmp_path: Path) -> None:
    (tmp_path / "x.html").write_text(FAULTY, encoding="utf-8")
    visits = browser.check(["x.html"], tmp_path)
    # each look is measured once: the paragraph when it is wide, the heading when it is narrow
    for visit in visits:
        assert "color-contrast" in str(visit)
        assert ("h1" in str(visit)) == (visit.width == "phone")
    found = "\n".join(str(visit) for visit in visits)
    for fault in (
        "image-alt",
        "color-contrast",
        "sideways",
        "pictures missing",
        "script error",
        "another site",
    ):
        assert fault in found, f"not found: {fault}\n{found}"


def test_the_front_door_leads_to_the_book_and_search_works(site: Path) -> None:
    with browser.served(site) as base, browser.browser() as program:
        profile = browser.context(program, "light", "desktop")
        tab = profile.new_page()
        tab.goto(base)
        tab.wait_for_url("**/book/intro.html")
        tab.goto(f"{base}search.html?q=transpose")
        tab.wait_for_selector("#search-results li a")
        assert tab.locator("#search-results li").count() > 0


def test_dark_mode_can_be_switched(site: Path) -> None:
    with browser.served(site) as base, browser.browser() as program:
        tab = program.new_context(
            color_scheme="light", viewport={"width": 1280, "height": 900}
        ).new_page()
        browser.settle(tab, f"{base}book/intro.html")
        seen = {tab.evaluate("document.documentElement.dataset.theme")}
        for _ in range(3):
            tab.locator("button.theme-switch-button:visible").first.click()
            seen.add(tab.evaluate("document.documentElement.dataset.theme"))
        assert {"light", "dark"} <= seen
