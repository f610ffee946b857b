"""Photographs, the names of ImageNet's classes, and the weights of a network that knows them."""

import io
import struct
import warnings
import zlib
from functools import lru_cache
from typing import Any

import numpy as np

from lmbook.backend import require
from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.torch_files import read_torch

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
"""Formats that are only pixels; others, such as EPS, are programs that something would have to run."""
MOST_PIXELS = 80_000_000
"""A few kB can unpack to many GB: a picture of more pixels is refused unread."""
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""Pillow's `Transpose` that undoes each EXIF orientation but 1: mirrors, quarter turns, both."""
_DAMAGED = (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, OverflowError, EOFError,
            struct.error, zlib.error)  # fmt: skip


def open_picture(source: Any, grey: bool = False) -> np.ndarray:
    """The pixels (H, W, 3), or (H, W) if `grey`, from 0 to 255, of a path, bytes, or an open file.

    As a reader would see it: turned as its EXIF orientation says, on white where it is transparent, of 16
    bits the higher 8, of a moving picture the first frame. Raises `ValueError` where it is no picture, is
    damaged, or has more than `MOST_PIXELS`, which are counted before they are unpacked; `FileNotFoundError`
    where there is none.
    """
    image = require("PIL.Image", "notebooks", "reading a picture")
    given = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    what = "the bytes given" if given is not source else getattr(source, "name", source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of odd metadata
            with image.open(given, formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > MOST_PIXELS:
                    raise image.DecompressionBombError(f"{width} x {height}")
                return _seen(opened, "L" if grey else "RGB")
    except FileNotFoundError:
        raise FileNotFoundError(f"picture {what}: no such file") from None
    except image.DecompressionBombError:  # Pillow's own limit is higher
        why = "would unpack to too many pixels"
    except _DAMAGED as error:
        why = f"is not one that can be read, or is damaged: {str(error).rstrip('.')}"
    most = MOST_PIXELS // 1_000_000
    raise ValueError(
        f"picture {what} {why}. Give a PNG, JPEG or the like, whole and of at most {most} million pixels"
    )


def _seen(opened: Any, mode: str) -> np.ndarray:
    """Pixels of an opened picture, upright, opaque, 8 bits each."""
    image = require("PIL.Image", "notebooks", "reading a picture")
    opened.load()
    if opened.mode[0] in "IF":  # 16 or 32 bits, or fractions
        x = np.asarray(opened, np.float64)
        most = 1.0 if opened.mode == "F" and x.max() <= 1 else 255.0
        if opened.mode.startswith("I;16") or x.max() > 255:
            most = 65535.0
        upright = image.fromarray(np.clip(x * (255 / most), 0, 255).astype(np.uint8))
    else:
        upright = opened
    turn = TURNS.get(_orientation(opened))
    if turn is not None:
        upright = upright.transpose(turn)
    if upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info:
        clear = upright.convert("RGBA")
        upright = image.alpha_composite(image.new("RGBA", clear.size, "white"), clear)
    return np.asarray(upright.convert(mode))


def _orientation(opened: Any) -> int:
    """What a camera noted, from 1 to 8; 1, upright, where the note cannot be read."""
    try:
        return int(opened.getexif().get(0x0112, 1))
    except (*_DAMAGED, AttributeError):
        return 1


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
