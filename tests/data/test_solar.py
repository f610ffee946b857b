"""The solar cells are the published ones, each in one part."""

import numpy as np
import pytest

from lmbook import data


def test_counts_are_those_of_the_paper():
    parts = data.solar_cells(30)
    assert sum(len(p.labels) for p in parts) == 2624
    assert [len(p.labels) for p in parts] == [1704, 266, 654]
    kinds, grades = (
        np.concatenate([getattr(p, n) for p in parts]) for n in ("kind", "probability")
    )
    # Deitsch et al. 2019, table 1: cells of each grade of defect, mono- and polycrystalline
    for kind, counts in (("mono", [588, 117, 56, 313]), ("poly", [920, 178, 50, 402])):
        found = [int(((kind == kinds) & (np.abs(grades - k / 3) < 0.01)).sum()) for k in range(4)]
        assert found == counts
    for p in parts:
        assert p.images.shape[1:] == (1, 30, 30) and p.images.dtype == np.float32
        assert 0 <= p.images.min() < p.images.max() <= 1
        assert set(np.unique(p.labels)) == {0, 1} and 0.30 < p.labels.mean() < 0.33
    images = np.concatenate([p.images for p in parts]).reshape(2624, -1)
    assert len(np.unique(images, axis=0)) > 2600
    majority = 100 * (1 - parts.test.labels.mean())
    said = data.registry["solar_cells"].baseline("accuracy", "always")
    assert majority == pytest.approx(said, abs=0.06)


def test_sizes_must_divide():
    with pytest.raises(ValueError, match="size 64 must divide 300"):
        data.solar_cells(64)


@pytest.mark.slow
def test_baseline_of_pixels():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    train, _, test = data.solar_cells(30)
    x, t = (p.images.reshape(len(p.images), -1) for p in (train, test))
    model = make_pipeline(StandardScaler(), SVC(C=3)).fit(x, train.labels)
    said = data.registry["solar_cells"].baseline("accuracy", "pixels")
    assert 100 * model.score(t, test.labels) == pytest.approx(said, abs=0.4)
