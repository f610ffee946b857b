"""The data sets are the same everywhere, and their parts share nothing."""

import hashlib
import re

import numpy as np
import pytest

from lmbook import data
from lmbook.data.near_duplicates import words_of
from lmbook.data.reference import topics
from lmbook.data.splits import part_of


def digest(*things):
    """Short hash of arrays and other values."""
    h = hashlib.sha256()
    for thing in things:
        h.update(np.ascontiguousarray(thing).tobytes() if hasattr(thing, "dtype") else
                 repr(thing).encode())  # fmt: skip
    return h.hexdigest()[:16]


def test_mnist_is_pinned(mnist):
    assert [digest(p.images, p.labels) for p in mnist] == MNIST


def test_mnist_shapes_types_and_ranges(mnist):
    for part, n in zip(mnist, (3500, 500, 1000)):
        assert part.images.shape == (n, 1, 28, 28) and part.images.dtype == np.float32
        assert part.images.min() == 0 and part.images.max() == 1
        assert part.labels.dtype == np.int64
        assert (np.bincount(part.labels) == n // 10).all()


def test_mnist_parts_are_disjoint_and_whole(mnist):
    rows = [{image.tobytes() for image in part.images} for part in mnist]
    assert sum(map(len, rows)) == len(set().union(*rows)) == 5000


def test_mnist_labels_belong_to_their_images(mnist):
    """Each test digit looks most like a training digit of its own class: no label was moved."""
    x, y = mnist.train.images.reshape(3500, -1), mnist.train.labels
    t = mnist.test.images.reshape(1000, -1)
    distance = (x**2).sum(1) - 2 * t @ x.T
    assert (y[distance.argmin(1)] == mnist.test.labels).mean() == pytest.approx(0.934, abs=0.002)


def test_reference_is_pinned(reference):
    assert [digest(part) for part in reference] == REFERENCE
    assert len(set(reference.text)) == 103
    assert sum(map(len, topics().values())) == 464_970 and len(topics()) == 79


def test_reference_keeps_every_paragraph_once(reference):
    once = re.split(r"\n\n", reference.text.rstrip("\n"))
    keys = [" ".join(p.split()) for p in once]
    assert len(keys) == len(set(keys))
    original = {" ".join(p.split()) for t in topics().values() for p in re.split(r"\n\s*\n", t)}
    assert set(keys) == original - {""}


def test_reference_parts_are_contiguous(reference):
    n = len(reference.text)
    assert [round(len(part) * 100 / n, 2) for part in reference] == [85, 5, 10]


@pytest.mark.parametrize("language", ["zh", "fr", "de"])
def test_translations_are_pinned(translations, language):
    parts = translations[language]
    assert [digest([tuple(p) for p in part]) for part in parts] == TRANSLATIONS[language]


@pytest.mark.parametrize("language", ["zh", "fr", "de"])
def test_no_near_duplicate_across_parts(translations, language):
    """Checked pair by pair, without the index that the split was made with."""
    parts = translations[language]
    sources = [p.source for part in parts for p in part]
    assert len(sources) == len(set(sources))
    train = [words_of(p.source) for p in parts.train]
    for pair in parts.test[:150]:
        words = words_of(pair.source)
        assert len(words) >= 3
        for other in train:
            if len(other) >= 3:
                assert len(words & other) < 0.6 * len(words | other), pair.source


def test_translations_are_clean(translations):
    for language, parts in translations.items():
        for source, target in (pair for part in parts for pair in part):
            assert source != target and source == source.strip() and target == target.strip()
            assert set(re.findall(r"\{\d+\}", source)) == set(re.findall(r"\{\d+\}", target))
            assert not re.search(r"%\(\w+\)|</?[a-z]+>|\n|\x04|\(&[A-Z]\)", source + target)
            assert len(source.split()) <= 20
            if language == "zh":
                assert re.search(r"[\u4e00-\u9fff]", target)


def test_unknown_language_lists_the_known():
    with pytest.raises(data.UnknownDataset, match="no language 'es'; choose one of 'zh', 'fr'"):
        data.translations("es")


def test_part_of_is_stable_and_near_its_shares():
    parts = [part_of(f"key {i}", validation=0.05, test=0.10) for i in range(20_000)]
    assert parts == [part_of(f"key {i}", validation=0.05, test=0.10) for i in range(20_000)]
    assert parts.count("test") / 20_000 == pytest.approx(0.10, abs=0.01)
    assert parts.count("validation") / 20_000 == pytest.approx(0.05, abs=0.01)
    assert part_of("key 1", 0.5, 0.5, seed=0) in ("validation", "test")


def test_near_duplicates_equal_the_comparison_of_all_pairs():
    random = np.random.default_rng(0)
    words = np.array([f"w{chr(97 + i)}" for i in range(12)])
    sentences = [
        " ".join(words[random.integers(12, size=random.integers(1, 7))]) for _ in range(150)
    ]
    for threshold in (0.4, 0.6, 0.75, 1.0):
        groups = data.near_duplicate_groups(sentences, threshold)
        sets = [words_of(s) for s in sentences]
        label = list(range(len(sets)))
        for i in range(len(sets)):
            for j in range(i):
                if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j]):
                    old, new = label[i], label[j]
                    label = [new if x == old else x for x in label]
        same = [[a == b for b in groups] for a in groups]
        assert same == [[a == b for b in label] for a in label]


def test_damaged_bundled_text_is_refused(tmp_path, monkeypatch):
    from lmbook.data import reference as module

    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "language_reference.json.gz").write_bytes(b"nonsense")
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    with pytest.raises(data.DataError, match="is damaged"):
        data.language_reference()


MNIST = ["a4ff04ce07ff1e69", "d2983733173ca626", "e08db6be34a76d80"]
REFERENCE = ["4c90509471b67b1e", "60d9a9944052bbd8", "81a92caecc18e086"]
TRANSLATIONS = {
    "zh": ["83e3d8ce3d4d956a", "7e90a3b3645f11d2", "cb0e86d8d2b177af"],
    "fr": ["38da7be5b7abd522", "a7c2a420c110a159", "868987fedea28f4c"],
    "de": ["ce33068363be7e50", "21ffb754a8b61494", "442a095bc5c6c917"],
}
