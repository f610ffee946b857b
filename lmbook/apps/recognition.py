"""Name photographs, and show where the network looked: `lmbook classify`."""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmbook import models
from lmbook.apps.page import Page
from lmbook.apps.transfer import stages
from lmbook.backend import require

MOST = 25_000_000  # bytes of a photograph that the page takes
HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])
"""Colours of a map from 0 to 1, dark to light."""


class Look(NamedTuple):
    """One answer with its map: `heat` (S, S) in [0, 1] over the prepared picture, and where it is most."""

    guess: models.Guess
    heat: np.ndarray
    where: str


class Seen(NamedTuple):
    """The picture as the network had it, uint8 (S, S, 3), and its answers, the best first."""

    pixels: np.ndarray
    looks: list[Look]


def load(model: str | Path | None = None) -> models.ImageClassifier:
    """EfficientNet-lite0, or a ResNet by its folder, file, or name on the Hub."""
    if model is None:
        return models.ImageClassifier.lite0()
    return models.ImageClassifier.from_pretrained(model)


def look(classifier: models.ImageClassifier, picture: Any, top: int = 5) -> Seen:
    """The `top` answers, and for each of them the Grad-CAM map of the network's last maps.

    One pass forwards and one back for every answer. Raises as `ImageClassifier.prepare` does.
    """
    guesses = classifier(picture, top)
    x = classifier.prepare(picture)
    batch = np.repeat(x[None], len(guesses), axis=0)
    layer = stages(classifier.model)[-1]
    heat = models.grad_cam(classifier.model, layer, batch, [g.label for g in guesses])
    shown = np.clip(x.transpose(1, 2, 0) * classifier.std + classifier.mean, 0, 1)
    pixels = np.round(255 * shown).astype(np.uint8)
    return Seen(pixels, [Look(g, h, place(h)) for g, h in zip(guesses, heat)])


def place(heat: np.ndarray) -> str:
    """In words, where a map is largest: "at the upper left", "in the middle"; "nowhere" if it is 0."""
    if heat.max() <= 0:
        return "nowhere"
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    row = ("upper", "", "lower")[int(3 * y / heat.shape[0])]
    column = ("left", "", "right")[int(3 * x / heat.shape[1])]
    if row and column:
        return f"at the {row} {column}"
    if not row and not column:
        return "in the middle"
    return f"at the {column or {'upper': 'top', 'lower': 'bottom'}[row]}"


def coloured(heat: np.ndarray) -> np.ndarray:
    """A map (S, S) in [0, 1] as uint8 (S, S, 4): the warmer, the less transparent."""
    at = np.linspace(0, 1, len(HEAT))
    channels = [np.interp(heat, at, HEAT[:, c]) for c in range(3)] + [255 * 0.75 * np.sqrt(heat)]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


def png(pixels: np.ndarray) -> str:
    """A picture as an address that a page can show."""
    image = require("PIL.Image", "notebooks", "showing a picture")
    file = io.BytesIO()
    image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def describe(name: str, seen: Seen, which: int) -> str:
    """The text that stands for the overlay where it cannot be seen."""
    found = seen.looks[which]
    first = found.guess.name.split(",")[0]
    if found.where == "nowhere":
        return f"{name}: no place of it speaks for {first}."
    return f"{name}, with the places marked that speak for {first}: most {found.where}."


def page(classifier: models.ImageClassifier) -> Page:
    """The page of `lmbook classify`: a photograph is dropped or chosen, its names and maps come back."""

    def classify(given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("file"), bytes):
            raise ValueError("send the bytes of a photograph")
        if not given["file"]:
            raise ValueError("that file is empty; choose a photograph")
        try:
            seen = look(classifier, given["file"])
        except ValueError as error:
            message = str(error).replace("picture the bytes given", "that file")
            raise ValueError(message) from None
        name = str(given.get("name", ""))[:100] or "the photograph"
        return {
            "picture": png(seen.pixels),
            "side": len(seen.pixels),
            "guesses": [
                {
                    "name": found.guess.name,
                    "probability": found.guess.probability,
                    "heat": png(coloured(found.heat)),
                    "alt": describe(name, seen, i),
                }
                for i, found in enumerate(seen.looks)
            ],
        }

    return Page("classify", {"classify": classify}, MOST)
