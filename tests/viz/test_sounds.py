"""A player holds the samples it was given, and says in words what is heard."""

import base64
import re

import numpy as np
import pytest

from lmbook import viz
from lmbook.data.audio import read_wav


def test_the_samples_come_back(rng):
    x = rng.uniform(-1.2, 1.2, 400).astype(np.float32)
    page = viz.sound(x, 8000, "noise", "A hiss.")._repr_html_()
    (content,) = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    back, rate = read_wav(base64.b64decode(content))
    assert rate == 8000
    np.testing.assert_allclose(back, np.clip(x, -1, 1) * 32767 / 32768, atol=1 / 32768)


def test_it_says_what_is_heard():
    player = viz.sound(np.zeros(1600), 8000, 'a "pause"', "Nothing & no one.")
    assert repr(player) == 'a "pause" (0.2 s). Nothing & no one.'
    page = player._repr_html_()
    assert 'aria-label="a &quot;pause&quot;"' in page and "Nothing &amp; no one." in page


@pytest.mark.parametrize(("x", "says"), [
    (np.zeros((2, 5)), "one channel"), (np.zeros(0), "one channel"),
    (np.zeros(5, np.int16), "int16"), (np.array([0.0, np.nan]), "NaN"),
])  # fmt: skip
def test_bad_samples_are_named(x, says):
    with pytest.raises(ValueError, match=says):
        viz.sound(x, 8000, "x", "y")


def test_words_are_asked_for():
    with pytest.raises(ValueError, match="say in words"):
        viz.sound(np.zeros(5), 8000, "x", " ")
