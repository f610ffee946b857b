"""Photographs, the names of ImageNet's classes, and the weights of a network that knows them."""

import io
from functools import lru_cache
from typing import Any

import numpy as np

from lmbook.backend import require
from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.torch_files import read_torch


def open_picture(source: Any, grey: bool = False) -> np.ndarray:
    """The pixels (H, W, 3), or (H, W) if `grey`, from 0 to 255, of a path, bytes, or an open file.

    Raises `ValueError` where it is no picture or is damaged, `FileNotFoundError` where there is none.
    """
    image = require("PIL.Image", "notebooks", "reading a picture")
    given = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    what = "the bytes given" if given is not source else getattr(source, "name", source)
    try:
        with image.open(given) as opened:
            return np.asarray(opened.convert("L" if grey else "RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"picture {what}: no such file") from None
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise ValueError(
            f"picture {what} is not one that can be read, or is damaged: {error}. Give a PNG, JPEG "
            "or the like, whole and of less than 179 million pixels"
        ) from None


@lru_cache(maxsize=1)
def photographs() -> dict[str, np.ndarray]:
    """Four photographs by name, each (H, W, 3) of bytes: chelsea (a cat), coffee, motorcycle_left, rocket.

    The first use fetches the archive (13.7 MB) through pip. Licences are those of scikit-image.
    """
    members = read_members(registry["photographs"].archives[0])
    found = {}
    for name, content in members.items():
        picture = open_picture(content)
        picture.setflags(write=False)
        found[name.rsplit("/", 1)[-1].rsplit(".", 1)[0]] = picture
    return found


def imagenet_names() -> list[str]:
    """The names of ImageNet's 1,000 classes, in the usual order: the words of WordNet's entries."""
    members = read_members(registry["efficientnet_lite0"].archives[1])
    lines = {name.rsplit("/", 1)[-1]: text.decode().splitlines() for name, text in members.items()}
    words = dict(line.split("\t", 1) for line in lines["imagenet_synset_to_lemma.txt"])
    return [words[entry] for entry in lines["imagenet_synsets.txt"]]


def efficientnet_lite0() -> dict[str, np.ndarray]:
    """Weights of EfficientNet-lite0, trained on ImageNet, under the names of their package.

    `lmbook.models.ImageClassifier.lite0()` puts them into a network.
    """
    ((name, content),) = read_members(registry["efficientnet_lite0"].archives[0]).items()
    return read_torch(content, name)
