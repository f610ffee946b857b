"""The baselines are what the registry says, and the methods are what they claim to be."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbook import data
from lmbook.data import registry


@settings(max_examples=40)
@given(st.integers(1, 5), st.text("abc", min_size=1, max_size=60), st.text("abcd", max_size=6))
def test_ngram_probabilities_sum_to_one(order, text, context):
    model = data.NGram(order, text, "abcd")
    probabilities = [model.probability(s, context) for s in "abcd"]
    assert sum(probabilities) == pytest.approx(1, abs=1e-12)
    assert min(probabilities) > 0


def test_ngram_sums_to_one_on_real_text(reference):
    vocabulary = sorted(set(reference.text))
    model = data.NGram(5, reference.train, vocabulary)
    for start in range(0, len(reference.test), 4001):
        context = reference.test[start : start + 4]
        total = sum(model.probability(s, context) for s in vocabulary)
        assert total == pytest.approx(1, abs=1e-12)


def test_bigram_by_hand():
    """Kneser-Ney on "abab" + "ac": worked out on paper."""
    model = data.NGram(2, "ababac", "abc")
    # bigrams: ab 2, ba 2, ac 1 -> n1 = 1, n2 = 2, d = 1/5; continuation: b 1, a 1, c 1 -> d = 1/2
    unigram = dict.fromkeys("abc", (1 - 0.5) / 3 + 0.5 * 3 / 3 / 3)
    assert model.probability("b", "a") == pytest.approx((2 - 0.2) / 3 + 0.2 * 2 / 3 * unigram["b"])
    assert model.probability("c", "a") == pytest.approx((1 - 0.2) / 3 + 0.2 * 2 / 3 * unigram["c"])
    assert model.probability("a", "c") == pytest.approx(unigram["a"])  # c was never followed
    assert model.loss("ab") == pytest.approx(
        -(log(unigram["a"]) + log(model.probability("b", "a"))) / 2
    )


def test_ngram_errors_and_token_ids():
    with pytest.raises(ValueError, match="'x' is in the text but not in the vocabulary"):
        data.NGram(2, "axa", "a")
    with pytest.raises(ValueError, match="order 0"):
        data.NGram(0, "a", "a")
    with pytest.raises(ValueError, match="'z' is not in the vocabulary"):
        data.NGram(2, "aa", "a").probability("z", "a")
    ids = np.array([0, 1, 2] * 30)
    assert exp(data.NGram(3, ids, range(3)).loss(ids[2:])) < 1.2


@pytest.mark.parametrize("order", [5, 8])
def test_language_reference_baseline(reference, order):
    model = data.NGram(order, reference.train, set(reference.text))
    said = registry["language_reference"].baseline("nats per character", f"{order}-gram")
    assert round(model.loss(reference.test), 3) == said


@pytest.mark.parametrize("language", ["zh", "fr", "de"])
def test_translation_baseline(translations, language):
    parts = translations[language]
    memory = data.TranslationMemory(parts.train)
    answers = memory.translate([p.source for p in parts.test])
    score = data.bleu(answers, [p.target for p in parts.test], language)
    said = registry["ui_translations"].baseline(f"BLEU en-{language}")
    assert round(score, 1) == said


def test_lenient_split_is_as_noted():
    notes = registry["ui_translations"].notes
    for language, said in (("zh", "35.8"), ("fr", "28.7"), ("de", "24.9")):
        parts = data.translations(language, threshold=1.0)
        memory = data.TranslationMemory(parts.train)
        answers = memory.translate([p.source for p in parts.test])
        score = data.bleu(answers, [p.target for p in parts.test], language)
        assert f"{score:.1f}" == said and said in notes


def test_memory_recalls_what_it_has_seen(translations):
    pairs = translations["zh"].train[:300]
    assert data.TranslationMemory(pairs).translate([p.source for p in pairs]) == [
        p.target for p in pairs
    ]
    assert data.TranslationMemory([("a", "b")]).translate(["", "zzz"]) == ["b", "b"]
    with pytest.raises(ValueError, match="no pairs"):
        data.TranslationMemory([])


def test_bleu_is_100_for_the_reference_and_wants_one_each():
    lines = ["the cat sat on the mat today", "all is well that ends well"]
    assert data.bleu(lines, lines, "fr") == pytest.approx(100)
    with pytest.raises(ValueError, match="1 hypotheses for 2 references"):
        data.bleu(lines[:1], lines, "fr")


@pytest.mark.slow
def test_mnist_nearest_neighbour_and_logistic_baselines(mnist):
    from sklearn.linear_model import LogisticRegression

    x, y = mnist.train.images.reshape(3500, -1), mnist.train.labels
    t, u = mnist.test.images.reshape(1000, -1), mnist.test.labels
    row = registry["mnist_5k"]
    nearest = ((x**2).sum(1) - 2 * t @ x.T).argmin(1)
    assert 100 * (y[nearest] == u).mean() == pytest.approx(
        row.baseline("accuracy", "nearest"), abs=0.1
    )
    model = LogisticRegression(C=0.1, max_iter=300).fit(x, y)
    assert 100 * model.score(t, u) == pytest.approx(row.baseline("accuracy", "logistic"), abs=0.3)


@pytest.mark.slow
def test_mnist_cnn_baseline(mnist):
    import torch
    from torch import nn

    x, y = torch.tensor(mnist.train.images), torch.tensor(mnist.train.labels)
    t = torch.tensor(mnist.test.images)
    accuracies = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 49, 10),
        )  # fmt: skip
        adam = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(8):
            for rows in torch.randperm(len(x)).split(64):
                adam.zero_grad()
                nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                adam.step()
        with torch.no_grad():
            accuracies.append(float((net(t).argmax(1).numpy() == mnist.test.labels).mean()))
    said = registry["mnist_5k"].baseline("accuracy", "CNN")
    assert 100 * np.mean(accuracies) == pytest.approx(said, abs=0.7)
