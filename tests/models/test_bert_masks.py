"""Which positions a BERT sees, and the deviation of its first weights."""

import numpy as np
import pytest

import lmbook
from lmbook import models

SMALL = {
    "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 8, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "initializer_range": 0.3,
}  # fmt: skip


@pytest.fixture
def model():
    lmbook.manual_seed(0)
    return models.BertModel(models.BertConfig(**SMALL)).double()


@pytest.fixture
def index():
    return np.random.default_rng(0).integers(30, size=(3, 8))


def run(model, index, mask):
    with lmbook.no_grad():
        return model(lmbook.tensor(index), attention_mask=mask).data


@pytest.mark.parametrize(("side", "seen"), [(np.tril, slice(0, 4)), (np.triu, slice(5, 8))])
def test_a_position_hears_only_of_those_that_its_mask_shows(model, index, side, seen):
    mask = np.broadcast_to(side(np.ones((8, 8))), (3, 8, 8))
    changed = index.copy()
    changed[:, 4] = (changed[:, 4] + 1) % 30
    before, after = run(model, index, mask), run(model, changed, mask)
    np.testing.assert_array_equal(before[:, seen], after[:, seen])
    other = slice(4, 8) if side is np.tril else slice(0, 5)
    assert (np.abs(before[:, other] - after[:, other]).max(axis=(0, 2)) > 1e-6).all()


def test_a_mask_for_each_position_says_what_one_for_all_says(model, index):
    padding = np.ones((3, 8))
    padding[1, 5:] = 0
    each = np.broadcast_to(padding[:, None], (3, 8, 8))
    np.testing.assert_allclose(
        run(model, index, each), run(model, index, padding), rtol=0, atol=1e-13
    )
    everything = run(model, index, np.ones((3, 8, 8)))
    np.testing.assert_allclose(everything, run(model, index, None), rtol=0, atol=1e-13)


def test_the_first_weights_have_the_deviation_of_the_config():
    lmbook.manual_seed(0)
    config = models.BertConfig(**{**SMALL, "vocab_size": 3000, "initializer_range": 0.1})
    model = models.BertForMaskedLM(config)
    head = model.cls.predictions.transform["dense"]
    for p in (model.bert.embeddings.word_embeddings.weight, head.weight):
        assert abs(p.data.std() / 0.1 - 1) < 0.1
