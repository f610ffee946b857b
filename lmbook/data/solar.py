"""Solar cells under current, seen in the infrared: cracks and dead regions stay dark."""

from typing import NamedTuple

import numpy as np

from lmbook.data.archives import read_members
from lmbook.data.catalogue import registry
from lmbook.data.pictures import open_picture
from lmbook.data.splits import Splits

PER_CENT = (65, 10, 25)


class Cells(NamedTuple):
    """`images`: float32 in [0, 1], (N, 1, S, S); `labels`: int64 (N,), 1 for a defect; `probability`:
    what the experts said, 0, 1/3, 2/3 or 1, (N,); `kind`: "mono" or "poly" crystalline, (N,)."""

    images: np.ndarray
    labels: np.ndarray
    probability: np.ndarray
    kind: np.ndarray


def solar_cells(size: int = 75) -> Splits[Cells]:
    """2,624 cells of 44 modules; a defect is what experts give a probability of 1/2 or more.

    `size` divides 300: pictures of 300 x 300 are shrunk by means over blocks. Parts of 65, 10 and
    25 %, in each of which kinds and probabilities are equally frequent. The first use fetches the
    archive (90.8 MB) through pip. Source: Deitsch et al. 2019.
    """
    if size < 1 or 300 % size:
        raise ValueError(f"solar_cells: size {size} must divide 300, e.g. 60, 75, 100, 150")
    members = read_members(registry["solar_cells"].archives[0])
    (table,) = (members.pop(n) for n in list(members) if n.endswith("labels.csv"))
    rows = [line.split() for line in table.decode().splitlines()]
    probability, kind = np.array([float(r[1]) for r in rows]), np.array([r[2] for r in rows])
    files = {name.rsplit("/", 1)[-1]: content for name, content in members.items()}
    images = np.empty((len(rows), 1, size, size), np.float32)
    for image, row in zip(images, rows, strict=True):
        pixels = open_picture(files[row[0].rsplit("/", 1)[-1]], grey=True)
        blocks = pixels.reshape(size, 300 // size, size, 300 // size)
        image[0] = blocks.mean(axis=(1, 3)) / 255
    labels = (probability >= 0.5).astype(np.int64)
    chosen = _stratified(probability, kind, 0)
    return Splits(*(Cells(images[r], labels[r], probability[r], kind[r]) for r in chosen))


def split_cells(cells: Cells, seed: int) -> list[np.ndarray]:
    """Rows of three parts of any cells, drawn as those of `solar_cells` are, by another lot."""
    return _stratified(cells.probability, cells.kind, seed)


def _stratified(probability: np.ndarray, kind: np.ndarray, seed: int) -> list[np.ndarray]:
    """Shuffled rows of each part, with its share of every kind and probability."""
    groups = np.char.add(kind, np.round(probability, 2).astype(str))
    random = np.random.RandomState(seed)  # the same stream in every version of NumPy
    parts: list[list[np.ndarray]] = [[] for _ in PER_CENT]
    for group in np.unique(groups):
        rows = random.permutation(np.flatnonzero(groups == group))
        ends = np.round(np.cumsum(PER_CENT) / 100 * len(rows)).astype(int)
        for part, cut in zip(parts, np.split(rows, ends[:-1]), strict=True):
            part.append(cut)
    return [random.permutation(np.concatenate(part)) for part in parts]
