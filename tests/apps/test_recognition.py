"""Photographs named with maps, and the page that does it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from book.tools import browser
from lmbook import data, models
from lmbook.apps import recognition
from tests.apps.test_page import ask


@pytest.fixture(scope="module")
def classifier() -> models.ImageClassifier:
    return recognition.load()


@pytest.fixture(scope="module")
def address(classifier: models.ImageClassifier) -> Iterator[str]:
    with recognition.page(classifier).running() as found:
        yield found


def packed(name: str, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(data.photographs()[name]).save(file, kind)
    return file.getvalue()


def test_answers_have_maps_of_their_own(classifier: models.ImageClassifier) -> None:
    cat = data.photographs()["chelsea"]
    seen = recognition.look(classifier, cat, top=3)
    assert [found.guess for found in seen.looks] == classifier(cat, top=3)
    assert seen.pixels.shape == (224, 224, 3) and seen.pixels.dtype == np.uint8
    prepared = classifier.prepare(cat)
    back = (seen.pixels / 255 - classifier.mean) / classifier.std
    assert np.abs(back - prepared.transpose(1, 2, 0)).max() < 0.01
    layer = classifier.model.features[-1]
    for found in seen.looks:
        want = models.grad_cam(classifier.model, layer, prepared[None], found.guess.label)[0]
        np.testing.assert_allclose(found.heat, want, atol=1e-4)
    assert np.abs(seen.looks[0].heat - seen.looks[2].heat).max() > 0.05


@pytest.mark.parametrize(
    ("y", "x", "words"),
    [(0, 0, "at the upper left"), (10, 10, "in the middle"), (29, 15, "at the bottom"),
     (15, 29, "at the right"), (1, 14, "at the top"), (29, 29, "at the lower right")],
)  # fmt: skip
def test_a_place_in_words(y: int, x: int, words: str) -> None:
    heat = np.zeros((30, 30))
    assert recognition.place(heat) == "nowhere"
    heat[y, x] = 1
    assert recognition.place(heat) == words


def test_the_text_in_place_of_the_overlay() -> None:
    guess = models.Guess("tabby, tabby cat", 0.5, 281)
    marked = "cat.png, with the places marked that speak for tabby: most in the middle."
    for where, text in (
        ("in the middle", marked),
        ("nowhere", "cat.png: no place of it speaks for tabby."),
    ):
        seen = recognition.Seen(np.zeros((2, 2, 3)), [recognition.Look(guess, np.zeros(1), where)])
        assert recognition.describe("cat.png", seen, 0) == text


def test_a_map_is_the_clearer_the_less_it_says() -> None:
    colours = recognition.coloured(np.linspace(0, 1, 9)[None])
    assert colours.shape == (1, 9, 4) and colours[0, 0, 3] == 0
    assert (np.diff(colours[0, :, 3].astype(int)) > 0).all()
    shown = base64.b64decode(recognition.png(colours).split(",")[1])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(shown))), colours)


def test_the_page_answers_and_refuses(address: str) -> None:
    status, text, _ = ask(address, "/classify?name=cup", packed("coffee"), Content_Type="image/png")
    answer = json.loads(text)
    assert status == 200 and answer["guesses"][0]["name"] == "espresso"
    assert len(answer["guesses"]) == 5 and answer["side"] == 224
    assert answer["guesses"][0]["alt"].startswith("cup, with the places marked that speak for espr")
    assert answer["picture"].startswith("data:image/png;base64,")
    for body, why in ((b"", "is empty"), (b"hello", "that file is not one that can be read"),
                      (packed("coffee")[:5000], "damaged")):  # fmt: skip
        status, text, _ = ask(address, "/classify", body, Content_Type="image/png")
        assert status == 400 and why in json.loads(text)["error"]
    status, text, _ = ask(address, "/classify", {"file": 3})
    assert status == 400 and "send the bytes of a photograph" in json.loads(text)["error"]


CHOOSE = """async text => {
    const bytes = Uint8Array.from(atob(text.split(',')[1]), c => c.charCodeAt(0));
    const given = new DataTransfer();
    given.items.add(new File([bytes], 'cup.jpg', {type: 'image/jpeg'}));
    document.getElementById('file').files = given.files;
    document.getElementById('file').dispatchEvent(new Event('change'));
    while (document.getElementById('answer').classList.contains('hidden'))
        await new Promise(r => setTimeout(r, 50));
    await document.getElementById('heat').decode();
}"""


@pytest.mark.browser
def test_a_reader_uses_the_page(chromium: Any, address: str, tmp_path: Any) -> None:
    (tmp_path / "cat.jpg").write_bytes(packed("chelsea", "JPEG"))
    (tmp_path / "notes.png").write_text("no picture")
    profile = browser.context(chromium, "light", "desktop")
    tab = profile.new_page()
    complaints: list[str] = []
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(address)
    tab.locator("#go").click()
    assert tab.locator("#error").inner_text() == "Choose a photograph first."
    tab.set_input_files("#file", tmp_path / "cat.jpg")
    tab.wait_for_selector("#names .name >> nth=4")
    assert "cat" in tab.locator("#status").inner_text()
    assert tab.locator("#error").inner_text() == ""
    heat = tab.locator("#heat")
    before = heat.get_attribute("src"), heat.get_attribute("alt")
    tab.locator("input[name=guess]").nth(2).focus()
    tab.keyboard.press("ArrowDown")  # the names are one group for the keyboard
    after = heat.get_attribute("src"), heat.get_attribute("alt")
    assert (
        before[0] != after[0] and before[1] != after[1] and "cat.jpg, with the places" in after[1]
    )
    tab.locator("#strength").fill("0")
    assert heat.evaluate("e => getComputedStyle(e).opacity") == "0"
    assert complaints == []
    tab.set_input_files("#file", tmp_path / "notes.png")
    tab.wait_for_selector("#error:not(:empty)")
    assert tab.locator("#error").inner_text().startswith("That file is not one that can be read")
    dropped = tab.evaluate_handle(
        """async () => {
            const text = atob(document.getElementById('picture').src.split(',')[1]);
            const bytes = Uint8Array.from(text, c => c.charCodeAt(0));
            const given = new DataTransfer();
            given.items.add(new File([bytes], 'dropped.png', {type: 'image/png'}));
            return given;
        }"""
    )
    tab.dispatch_event("main", "drop", {"dataTransfer": dropped})
    tab.wait_for_selector("#heat[alt^='dropped.png']")
    assert tab.locator("#error").inner_text() == ""
    profile.close()


@pytest.mark.browser
def test_the_page_is_sound(chromium: Any, address: str) -> None:
    picture = "data:image/jpeg;base64," + base64.b64encode(packed("coffee", "JPEG")).decode()
    assert browser.look(chromium, address, ready=f"() => ({CHOOSE})({picture!r})") == []
