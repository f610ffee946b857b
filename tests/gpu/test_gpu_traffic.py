"""Sectors and wavefronts equal those found lane by lane with sets."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from lmbook.gpu.simulator.masks import Mask, union
from lmbook.gpu.simulator.traffic import sectors, wavefronts

BLOCKS, THREADS = 3, 64


def sectors_by_sets(mask: np.ndarray, address: np.ndarray) -> tuple[int, set[int]]:
    total, touched = 0, set()
    for lanes, row in zip(mask.reshape(-1, 32), address.reshape(-1, 32)):
        found = {int(a) // 32 for a, on in zip(row, lanes) if on}
        total += len(found)
        touched |= found
    return total, touched


def wavefronts_by_sets(
    mask: np.ndarray, index: np.ndarray, size: int, store: bool = False
) -> tuple[int, int]:
    """Groups of lanes that are served at once; the most words that one bank must give to each."""
    total = least = 0
    for warp, places in zip(mask.reshape(-1, 32).tolist(), index.reshape(-1, 32).tolist()):
        width = 32 if size <= 4 else 128 // size
        at = {lane: place for lane, place in enumerate(places) if warp[lane]}
        pairs = [all(at.get(i ^ step, p) == p for i, p in at.items()) for step in (1, 2)]
        if size > 4 and any(pairs) and not store:
            width *= 2
        for first in range(0, 32, width):
            banks = defaultdict(set)
            for lane in range(first, first + width):
                if lane in at:
                    low = at[lane] * size // 4
                    for word in range(low, low + max(1, size // 4)):
                        banks[word % 32].add(word)
            if banks:
                total += max(len(words) for words in banks.values())
                least += 1
    return total, least


def shapes(rng: np.random.Generator, high: int, kind: str) -> np.ndarray:
    """Whole numbers below `high`, of one of the shapes that a value can have."""
    shape = {"one": (), "thread": (1, THREADS), "block": (BLOCKS, 1), "both": (BLOCKS, THREADS)}[
        kind
    ]
    step = int(rng.choice([0, 1, 2, 3, 7, 8, 32, 33]))
    if kind in ("thread", "both") and step:
        straight = np.arange(THREADS) * step + int(rng.integers(0, 9))
        return np.broadcast_to(straight + 5 * np.arange(shape[0])[:, None], shape) % high
    return rng.integers(0, high, shape)


def masks(rng: np.random.Generator) -> list[Mask]:
    shape = (BLOCKS, THREADS)
    tests = [
        np.ones((1, 1), bool), np.arange(THREADS)[None] < 40, np.arange(BLOCKS)[:, None] > 0,
        rng.random(shape) < 0.3, rng.random((1, THREADS)) < 0.7, np.arange(THREADS)[None] >= 32,
    ]  # fmt: skip
    return [Mask(t, shape) for t in tests]


@pytest.mark.parametrize("kind", ["one", "thread", "block", "both"])
@pytest.mark.parametrize("seed", range(6))
def test_against_sets(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for mask in masks(rng):
        lanes = mask.spread()
        assert mask.count == lanes.sum()
        assert mask.warps == lanes.reshape(-1, 32).any(axis=1).sum()
        for size in (1, 2, 4, 8, 16):
            index = shapes(rng, 500, kind)
            full = np.broadcast_to(index, mask.shape)
            touched = np.zeros(500 * size // 32 + 1, bool)
            expected, places = sectors_by_sets(lanes, full * size)
            assert sectors(mask, np.asarray(index) * size, touched) == expected
            assert set(np.flatnonzero(touched)) == places
            paired = index
            if kind in (
                "thread",
                "both",
            ):  # the same for lanes 0 and 1, 2 and 3, ...; 0 and 2, 1 and 3
                places = np.arange(THREADS) & ~(1 if seed % 2 else 2)
                places[:32] = (np.arange(32), places[:32])[seed % 3 > 0]  # also: in one warp only
                paired = index[:, places]
            for x in (index, paired):
                full = np.broadcast_to(x, mask.shape)
                for store in (False, True):
                    expected_waves = wavefronts_by_sets(lanes, full, size, store)
                    assert wavefronts(mask, x, size, store) == expected_waves


def test_masks_are_sets() -> None:
    rng = np.random.default_rng(0)
    for a in masks(rng):
        for b in masks(rng):
            assert (union(a, b).spread() == (a.spread() | b.spread())).all()
            assert (a.both(b.lanes).spread() == (a.spread() & b.spread())).all()
            assert (a.without(b.lanes).spread() == (a.spread() & ~b.spread())).all()


LANES = np.arange(32)
REPORTED = [  # the float4 that each lane loads, wavefronts
    # forums.developer.nvidia.com/t/77228, a profile of an RTX GPU, and the rule of the answer
    ("in step of 4", LANES % 4, 4),
    ("all one", 0 * LANES, 2),
    ("pairs", LANES // 2, 2),
    ("every other", LANES // 4 * 2 + LANES % 2, 2),
    # forums.developer.nvidia.com/t/373160, profiles of an A10 (8.6) and an H100 (9.0)
    ("every second, halves alike", LANES % 16 * 2, 8),
    ("halves", LANES // 16 * 2, 2),
    ("all neighbours", LANES, 4),
]


@pytest.mark.parametrize(("name", "index", "waves"), REPORTED, ids=[p[0] for p in REPORTED])
def test_as_reported(name: str, index: np.ndarray, waves: int) -> None:
    assert wavefronts(Mask(np.ones((1, 1), bool), (1, 32)), index[None], 16)[0] == waves
