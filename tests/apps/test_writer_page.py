"""The page of `lmbook generate` in Chromium, and what its actions refuse."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from book.tools import browser
from lmbook.apps import small_writer as small
from lmbook.apps.writer import Writer
from lmbook.apps.writer_page import page
from lmbook.backend import require

TINY = small.Settings(vocab_size=300, block_size=32, n_layer=1, n_head=2, n_embd=16, steps=12)
TEXT = "The try statement — naïve. 猫和帽子 " * 60


@pytest.fixture(scope="module")
def writer() -> Writer:
    return small.train(TEXT, TINY, progress=False)[0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": "x" * 20_001}, "20,000 are the most"),
        ({"prompt": "x", "tokens": 0}, "tokens is 0, and must be from 1 to 1000"),
        ({"prompt": "x", "temperature": "hot"}, "temperature is 'hot'"),
        ({"prompt": "x", "top_p": 0}, "top_p is 0"),
        ({"prompt": "x", "method": "guess"}, "must be one of sample, greedy, beam"),
        ({"prompt": "x", "method": "beam", "beams": 99}, "beams is 99"),
    ],
)
def test_requests_that_are_refused(writer: Writer, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        list(page(writer).actions["write"](given))


def test_every_method_writes(writer: Writer) -> None:
    write = page(writer).actions["write"]
    for method in ("sample", "greedy", "beam"):
        lines: Any = list(write({"prompt": "The", "method": method, "tokens": 12}))
        assert lines[-1]["tokens"] == 12 and "".join(line["text"] for line in lines)


@pytest.fixture(scope="module")
def address(writer: Writer) -> Iterator[str]:
    with page(writer).running() as found:
        yield found


@pytest.mark.browser
def test_a_reader_writes_stops_and_is_told_what_is_wrong(chromium: Any, address: str) -> None:
    expect = require("playwright.sync_api", "dev", "the browser").expect
    tab = browser.context(chromium, "light", "desktop").new_page()
    tab.goto(address)
    expect(tab.locator("#model")).to_contain_text("parameters.")
    tab.get_by_label("Start of the text").fill("The try")
    tab.get_by_label("Tokens", exact=True).fill("40")
    tab.keyboard.press("Control+Enter")
    expect(tab.get_by_role("status")).to_have_text(re.compile(r"40 tokens in .* s"))
    text = tab.locator("#text").inner_text()
    assert text.startswith("The try") and len(text) > 20
    assert tab.locator("#next tbody tr").count() == 10
    tab.get_by_label("Tokens", exact=True).fill("1000")
    tab.get_by_role("button", name="Write").click()
    expect(tab.locator("#text mark")).to_have_text(re.compile(".{10}", re.DOTALL))
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("status")).to_have_text("Stopped.")
    stopped = tab.locator("#text").inner_text()
    time.sleep(0.2)
    assert tab.locator("#text").inner_text() == stopped
    tab.get_by_label("Start of the text").fill("  ")
    tab.get_by_role("button", name="Write").click()
    expect(tab.get_by_role("alert")).to_have_text("The prompt is empty; write something.")
    tab.get_by_label("Method").select_option("beam")
    assert tab.get_by_label("Beams").is_visible() and not tab.get_by_label("Seed").is_visible()
    tab.context.close()


@pytest.mark.browser
def test_the_page_is_sound_in_light_and_dark_at_both_widths(chromium: Any, address: str) -> None:
    ready = """async () => {
        document.querySelector('#tokens').value = 20;
        document.querySelector('#go').click();
        while (!document.querySelector('#next table')) await new Promise(r => setTimeout(r, 20));
    }"""
    assert browser.look(chromium, address, ready=ready) == []
