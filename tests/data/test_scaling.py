"""Scalers and vectorizers equal scikit-learn's; word vectors follow their gradient."""

import numpy as np
import pytest
from sklearn import preprocessing
from sklearn.feature_extraction import text as theirs

from lmbook import data

RNG = np.random.default_rng(0)
TABLE = np.column_stack([RNG.normal(5e4, 2e4, 200), RNG.normal(0, 1e-3, 200), np.full(200, 7.0)])
OTHER = RNG.normal(size=(50, 3)) * [1e4, 1, 1]
DOCUMENTS = [
    "The cat sat; the cat's mat.",
    "A dog sat",
    "Ünïcode café 猫和帽子 x1 _y",
    "",
    "the the",
]


@pytest.mark.parametrize(
    "ours, reference",
    [
        (data.StandardScaler(), preprocessing.StandardScaler()),
        (data.MinMaxScaler(), preprocessing.MinMaxScaler()),
        (data.MinMaxScaler((-1, 1)), preprocessing.MinMaxScaler((-1, 1))),
    ],
)
def test_scalers_equal_scikit_learn(ours, reference):
    ours.fit(TABLE)
    reference.fit(TABLE)
    for x in (TABLE, OTHER):
        np.testing.assert_allclose(ours.transform(x), reference.transform(x), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            ours.inverse_transform(ours.transform(x)), x, rtol=1e-7, atol=1e-7
        )


def test_scaler_errors():
    with pytest.raises(ValueError, match="call fit on the training part"):
        data.StandardScaler().transform(TABLE)
    with pytest.raises(ValueError, match="fitted on 3 columns, got 2"):
        data.MinMaxScaler().fit(TABLE).transform(TABLE[:, :2])
    with pytest.raises(ValueError, match=r"columns \[1\] hold NaN"):
        data.StandardScaler().fit(np.array([[0.0, np.nan], [1, 2]]))
    with pytest.raises(ValueError, match="no rows"):
        data.StandardScaler().fit(np.empty((0, 3)))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        data.StandardScaler().fit(np.zeros(3))
    with pytest.raises(ValueError, match="range"):
        data.MinMaxScaler((1, 1))


def test_condition_number_says_how_long_gradient_descent_takes():
    x = RNG.normal(size=(100, 2)) * [1, 10]
    kappa = data.condition_number(x)
    np.testing.assert_allclose(kappa, np.linalg.cond(x.T @ x))
    hessian = x.T @ x
    largest, smallest = np.linalg.eigvalsh(hessian)[[1, 0]]
    _, vectors = np.linalg.eigh(hessian)
    error = vectors[:, 0].copy()
    for _ in range(50):
        error -= 2 / (largest + smallest) * hessian @ error
    np.testing.assert_allclose(np.linalg.norm(error), ((kappa - 1) / (kappa + 1)) ** 50)
    assert data.condition_number(np.ones((3, 2))) > 1e15


@pytest.mark.parametrize("name", ["CountVectorizer", "TfidfVectorizer"])
@pytest.mark.parametrize("min_df", [1, 2])
def test_vectorizers_equal_scikit_learn(name, min_df, reference):
    paragraphs = reference.train.split("\n\n")[:300]
    for train, test in ((DOCUMENTS, ["cat dog unseen", ""]), (paragraphs[:200], paragraphs[200:])):
        ours, other = getattr(data, name)(min_df), getattr(theirs, name)(min_df=min_df)
        a, b = ours.fit_transform(train), other.fit_transform(train)
        assert ours.vocabulary == other.vocabulary_
        np.testing.assert_allclose(a.toarray(), b.toarray(), rtol=1e-14, atol=0)
        c, d = ours.transform(test), other.transform(test)
        np.testing.assert_allclose(c.toarray(), d.toarray(), rtol=1e-14, atol=0)
        dense = np.random.default_rng(0).normal(size=(a.shape[1], 3))
        np.testing.assert_allclose(c @ dense, d @ dense, rtol=1e-10, atol=1e-12)


def test_vectorizer_errors():
    with pytest.raises(data.DataError, match=r"CountVectorizer.fit: .* no word that stands in 1"):
        data.CountVectorizer().fit(["", "a b"])
    with pytest.raises(ValueError, match="call fit"):
        data.TfidfVectorizer().transform(["a"])
    with pytest.raises(ValueError, match="inner sizes differ"):
        data.CountVectorizer().fit_transform(DOCUMENTS) @ np.zeros((2, 2))


def planted(n=3000, seed=0):
    """Two topics; words of one topic stand together."""
    rng = np.random.default_rng(seed)
    topics = [[f"a{i}" for i in range(8)], [f"b{i}" for i in range(8)]]
    return [[topics[t][i] for i in rng.integers(0, 8, 6)] for t in rng.integers(0, 2, n)]


def test_skipgram_gradient_is_that_of_its_loss():
    model = data.SkipGram(planted(200), dim=4, seed=1)
    rng = np.random.default_rng(2)
    model.center, model.context = rng.normal(size=(2, len(model.words), 4))
    words, near, far = np.array([0, 1, 2]), np.array([3, 4, 3]), rng.integers(0, 16, (3, 2))
    far[0] = (3, 3)  # a negative that is the neighbour, twice
    _, d_center, d_targets = model.loss_and_gradients(words, near, far)
    for table, rows, gradient in (
        (model.center, words, d_center),
        (model.context, np.c_[near, far].ravel(), d_targets.reshape(-1, 4)),
    ):
        full = np.zeros_like(table)
        np.add.at(full, rows, gradient / 3)
        direction = rng.normal(size=table.shape)
        kept = table.copy()
        values = []
        for step in (1e-5, -1e-5):
            table[...] = kept + step * direction
            values.append(model.loss_and_gradients(words, near, far)[0])
        table[...] = kept
        np.testing.assert_allclose(
            (values[0] - values[1]) / 2e-5, np.sum(full * direction), rtol=1e-7
        )


def test_skipgram_finds_the_topics_and_is_repeatable():
    model = data.SkipGram(planted(), dim=16, subsample=1.0, seed=3)
    losses = model.fit(epochs=2)
    assert losses[-1] < losses[0] < 6 * np.log(2)
    for word in ("a0", "b3"):
        assert all(near[0] == word[0] for near, _ in model.nearest(word, 7))
    again = data.SkipGram(planted(), dim=16, subsample=1.0, seed=3)
    again.fit(epochs=2)
    assert (again.center == model.center).all()
    query = model.vector("a0") + model.vector("a1")
    assert model.nearest(query, 1, without=("a0", "a1"))[0][0][0] == "a"


def test_skipgram_pairs_stay_inside_a_sentence_and_window():
    sentences = [[f"s{i}w{j}" for j in range(6)] for i in range(50)]
    model = data.SkipGram(sentences, dim=2, window=2, min_count=1, subsample=1.0)
    words, near = model.pairs()
    for a, b in zip(words[:300], near[:300]):
        (s, i), (t, j) = (model.words[k][1:].split("w") for k in (a, b))
        assert s == t and 1 <= abs(int(i) - int(j)) <= 2


def test_skipgram_errors():
    with pytest.raises(data.DataError, match="0 words stand 5 times"):
        data.SkipGram([])
    with pytest.raises(data.UnknownToken, match="'zebra' is not among"):
        data.SkipGram(planted(100)).nearest("zebra")
