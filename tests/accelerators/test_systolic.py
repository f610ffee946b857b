"""The systolic array multiplies, in exactly the cycles of the closed form, without looking anywhere else."""

from itertools import pairwise

import numpy as np
import pytest

from lmbook.accelerators import SystolicArray, cycles

SIZES = [
    (1, 1, 1, 1, 1), (4, 3, 3, 3, 3), (5, 3, 2, 3, 2), (2, 7, 5, 3, 2), (9, 8, 8, 4, 4), (3, 4, 9, 4, 4),
    (1, 9, 4, 4, 3), (6, 5, 11, 2, 5), (17, 6, 6, 4, 3),
]  # fmt: skip


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("m, k, n, rows, columns", SIZES)
def test_product_and_cycles(m, k, n, rows, columns, overlap):
    rng = np.random.default_rng(0)
    a = rng.integers(-128, 128, (m, k)).astype(np.int8)
    b = rng.integers(-128, 128, (k, n)).astype(np.int8)
    run = SystolicArray(rows, columns, overlap).matmul(a, b)
    assert run.product.dtype == np.int32
    assert np.array_equal(run.product, a.astype(int) @ b.astype(int))
    assert run.cycles == cycles(m, k, n, rows, columns, overlap)
    assert run.utilisation == m * k * n / (run.cycles * rows * columns) <= 1


def test_random_sizes():
    rng = np.random.default_rng(1)
    for _ in range(60):
        m, k, n = (int(x) for x in rng.integers(1, 15, 3))
        rows, columns = (int(x) for x in rng.integers(1, 6, 2))
        overlap = bool(rng.integers(2))
        a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
        run = SystolicArray(rows, columns, overlap).matmul(a, b)
        assert np.allclose(run.product, a @ b, atol=1e-12)
        assert run.cycles == cycles(m, k, n, rows, columns, overlap)


def test_one_tile_is_the_published_form():
    """Samajdar et al. 2020: 2 rows + columns + m - 2 for one tile, weights stationary."""
    for m, rows, columns in [(1, 1, 1), (7, 4, 3), (100, 128, 128)]:
        for overlap in (True, False):
            assert cycles(m, rows, columns, rows, columns, overlap) == 2 * rows + columns + m - 2


def test_neighbours_only():
    """Whatever a cell has, its neighbour to the left or above had it one cycle before."""
    rng = np.random.default_rng(2)
    a, b = rng.integers(1, 9, (6, 8)), rng.integers(1, 9, (8, 8))
    frames = SystolicArray(4, 4).matmul(a, b, trace=True).frames
    for before, after in pairwise(frames):
        assert np.array_equal(after.activations[:, 1:], before.activations[:, :-1])
        assert np.array_equal(after.working[:, 1:], before.working[:, :-1])
        w = after.working
        product = after.weights * after.activations
        above = np.vstack([np.zeros((1, 4), int), before.partial[:-1]])
        assert np.array_equal(after.partial[w], (above + product)[w])


def test_every_useful_product_once():
    """On tiles without padding each cell works once for each row of each tile."""
    frames = SystolicArray(3, 2).matmul(np.ones((5, 6)), np.ones((6, 4)), trace=True).frames
    assert sum(f.working.sum() for f in frames) == 5 * 6 * 4


def test_overlap_hides_the_loading():
    assert cycles(64, 64, 64, 8, 8) < cycles(64, 64, 64, 8, 8, overlap=False)
    many = cycles(512, 4096, 256, 256, 256)
    assert many / (512 * 16) < 1.1


@pytest.mark.parametrize("a, b", [((2, 3), (2, 3)), ((2,), (2, 3)), ((0, 3), (3, 2))])
def test_shapes_refused(a, b):
    with pytest.raises(ValueError, match=r"shapes .* give \(m, k\) and \(k, n\)"):
        SystolicArray(2, 2).matmul(np.ones(a), np.ones(b))


def test_sizes_refused():
    with pytest.raises(ValueError, match="no cell"):
        SystolicArray(0, 2)
    with pytest.raises(ValueError, match="1 or more"):
        cycles(1, 0, 1, 2, 2)
