"""Speech without text: batches, a few steps of pre-training, and what passes on to the letters."""

import numpy as np
import pytest

from lmbook import data
from lmbook.apps import masked_speech as app
from lmbook.autograd import as_tensor
from lmbook.models.wav2vec2 import Wav2Vec2Config

TINY = Wav2Vec2Config(**(vars(app.SMALL) | {
    "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "conv_dim": (16,) * 7,
    "num_codevectors_per_group": 8, "codevector_dim": 16, "proj_codevector_dim": 16,
    "num_negatives": 5, "num_conv_pos_embeddings": 16,
}))  # fmt: skip


@pytest.fixture(scope="module")
def few():
    return data.spoken_digits(24, 0, 6, longest=2)


def test_crops_are_one_second_each_and_masked(few):
    samples, mask, negatives = next(iter(app.Crops(few.train.waves, TINY, 49, batch=5)))
    assert samples.shape == (5, 16000) and mask.shape == (5, 49) and negatives.shape == (5, 49, 5)
    assert mask.any(axis=1).all() and not mask.all(axis=1).any()
    for wave in few.train.waves:
        x = app.scaled(wave)
        assert (
            x.dtype == np.float32 and abs(x.mean()) < 1e-3 and x.std() == pytest.approx(1, abs=1e-3)
        )


def test_pre_training_lowers_the_loss_and_hardens_the_choice(few):
    model, trainer = app.pre_train(few.train.waves, TINY, steps=12, batch=4, lr=3e-3)
    loss = trainer.history["loss"]
    assert len(loss) == 12 and np.mean(loss[-3:]) < loss[0]
    assert 0.5 < model.quantizer.temperature < 0.6
    right, use = app.guessed(model, few.test.waves)
    assert 0 <= right <= 1 and 0 < use <= 1
    again, _ = app.pre_train(few.train.waves, TINY, steps=2, batch=4)
    other, _ = app.pre_train(few.train.waves, TINY, steps=2, batch=4)
    for a, b in zip(again.parameters(), other.parameters()):
        np.testing.assert_array_equal(a.data, b.data)


def test_letters_start_from_what_was_learnt(few):
    model, _ = app.pre_train(few.train.waves, TINY, steps=1, batch=2)
    part = few.train.first(6)
    tuned = app.fine_tune(part, model, TINY, epochs=1, lr=0.0)
    for name, value in model.wav2vec2.state_dict().items():
        np.testing.assert_array_equal(tuned.wav2vec2.state_dict()[name], value)
    learnt = app.fine_tune(part, None, TINY, epochs=2)
    heard = app.transcribe(learnt, few.test, batch=4)
    assert len(heard) == 6 and all(set(h) <= set(app.LETTERS) for h in heard)


def test_padding_is_not_heard(few):
    model = app.Wav2Vec2ForCTC(TINY).eval()
    samples, lengths, _, _ = app.padded(few.test, np.arange(6))
    together = model(as_tensor(samples), lengths).data
    for i, n in enumerate(lengths):
        alone = model(as_tensor(samples[i : i + 1, :n]), lengths[i : i + 1]).data[0]
        assert len(alone) == model.output_lengths(n) < together.shape[1] + 1
        np.testing.assert_allclose(together[i, : len(alone)], alone, atol=1e-4)
    model.train()
    assert len(app.transcribe(model, few.test, batch=4)) == 6
