"""Pictures as a reader sees them: upright, opaque, 8 bits; and what is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lmbook.data import open_picture
from lmbook.data.pictures import MOST_PIXELS

PIXELS = np.zeros((6, 9, 3), np.uint8)
PIXELS[:3, :, 0], PIXELS[:, :4, 1], PIXELS[5, 8] = 200, 90, 255  # no two turns of it are alike


def packed(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_turned_picture_stands_upright(orientation: int, kind: str) -> None:
    """What a camera stores: the scene turned back, and a note of how to turn it."""
    turns = {
        1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1), 8: lambda x: np.rot90(x, -1),
    }  # fmt: skip
    scene = np.kron(PIXELS, np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](scene)))
    options = {"lossless": True} if kind == "WEBP" else {}
    got = open_picture(packed(stored, kind, exif=exif, **options))
    assert got.shape == scene.shape
    assert np.abs(got.astype(int) - scene).mean() < (4 if kind == "JPEG" else 0.01)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    clear = Image.new("RGBA", (4, 2), (10, 20, 30, 0))
    clear.paste((200, 0, 0, 255), (2, 0, 4, 2))
    got = open_picture(packed(clear.convert(mode)))
    assert (got[:, :2] == 255).all() and (got[:, 2:] < 255).any(axis=2).all()
    half = Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    assert open_picture(packed(half)).tolist() == [[[127, 127, 127]]]


def test_a_palette_with_a_transparent_colour() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    got = open_picture(packed(picture, transparency=0))
    assert got.tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_16_bits_keep_their_light() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, -1)
    for kind in ("PNG", "TIFF"):
        got = open_picture(packed(Image.fromarray(ramp), kind))
        assert np.abs(got[0, :, 0].astype(int) - np.arange(256)).max() <= 1, kind
    grey = open_picture(packed(Image.fromarray(ramp)), grey=True)
    assert grey.shape == (1, 256) and abs(int(grey[0, 128]) - 128) <= 1
    fractions = Image.fromarray(np.float32([[0.0, 0.5, 1.0]]))
    assert open_picture(packed(fractions, "TIFF"))[0, :, 1].tolist() == [0, 127, 255]


def test_cmyk_is_converted() -> None:
    red = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    got = open_picture(packed(red, "JPEG")).astype(int)
    assert got[20, 20, 0] > 180 and got[20, 20, 1:].max() < 80


def test_of_a_moving_picture_the_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    got = open_picture(packed(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert got[0, 0].tolist() == [255, 0, 0]


def bomb(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds a few zeros."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))  # fmt: skip


@pytest.mark.parametrize("size", [(9000, 9000), (40_000, 40_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_not_unpacked(size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MOST_PIXELS
    with pytest.raises(ValueError, match="at most 80 million pixels"):
        open_picture(bomb(*size))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"PK\x03\x04", bytes(5000),
    ],
)  # fmt: skip
def test_other_files_are_told(content: bytes) -> None:
    with pytest.raises(ValueError, match="the bytes given is not one that can be read"):
        open_picture(content)


def test_damage_anywhere_is_an_error_that_is_ours(rng: np.random.Generator) -> None:
    picture = Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    read = refused = 0
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        whole = packed(picture, kind, **({"exif": exif} if kind != "BMP" else {}))
        for _ in range(60):
            damaged = bytearray(whole)
            for at in rng.integers(0, min(len(whole), 200), 3):
                damaged[at] = rng.integers(256)
            damaged = damaged[: rng.integers(1, len(whole) + 1)]
            try:
                got = open_picture(bytes(damaged))
                read += got.dtype == np.uint8 and got.ndim == 3
            except ValueError as error:
                refused += "Give a PNG, JPEG or the like" in str(error)
    assert read + refused == 360 and refused > 100
