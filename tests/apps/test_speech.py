"""Speech from end to end: a little training already helps, and the programs say what they measured."""

import numpy as np
import pytest

from lmbook import data
from lmbook.apps import speech, waveform
from lmbook.models.ctc import collapse
from lmbook.models.wavenet import WaveNetConfig


@pytest.fixture(scope="module")
def few():
    return data.spoken_digits(48, 8, 12, longest=2)


def test_letters_there_and_back(few):
    assert set("".join(data.speech.DIGITS) + " ") == set(speech.LETTERS)
    for text in few.train.texts:
        symbols = speech.spell(text)
        assert speech.read(symbols) == text and symbols.min() >= 1
        path = np.stack([symbols, np.zeros_like(symbols)], axis=1).reshape(-1)
        assert collapse(path) == symbols.tolist()


def test_batches_hold_every_utterance_once(few):
    batches = speech.SpeechBatches(few.train, batch=10, seed=3)
    seen = []
    for x, lengths, targets, target_lengths in batches:
        assert x.shape[1] == lengths.max() and targets.shape[1] == target_lengths.max()
        for row, n, t, m in zip(x, lengths, targets, target_lengths):
            assert not row[n:].any() and np.abs(row[:n].mean(axis=0)).max() < 1e-3
            seen.append(speech.read(t[:m]))
    assert sorted(seen) == sorted(few.train.texts) and len(batches) == 5
    orders = [[tuple(b[1]) for b in batches] for _ in range(2)]
    assert orders[0] != orders[1]


@pytest.mark.parametrize("kind", ["acoustic", "linear"])
def test_a_little_training_helps(few, kind):
    model, trainer = speech.train_recogniser(few, kind, epochs=6)
    loss = trainer.history["loss"]
    assert np.mean(loss[-2:]) < 0.7 * loss[0] and len(trainer.history["cer"]) == 6
    held = speech.SpeechBatches(few.test, batch=5, seed=None)
    heard = speech.transcribe(model, held), speech.transcribe(model, held, beam=4)
    assert all(len(h) == len(few.test.texts) for h in heard)
    again, _ = speech.train_recogniser(few, kind, epochs=1)
    other, _ = speech.train_recogniser(few, kind, epochs=1)
    for a, b in zip(again.parameters(), other.parameters()):
        np.testing.assert_array_equal(a.data, b.data)


def test_the_batch_is_chosen(few):
    _, trainer = speech.train_recogniser(few, "linear", epochs=2, batch=12)
    assert len(trainer.history["loss"]) == 2 * 48 // 12


def test_the_recogniser_prints_its_error_rates(few, monkeypatch, capsys):
    monkeypatch.setattr(data, "spoken_digits", lambda: few)
    speech.main(["--model", "linear", "--epochs", "1"])
    out = capsys.readouterr().out
    assert "21,097 parameters" in out and "greedy: WER" in out and "beam of 16: WER" in out


def test_simple_models_of_codes(rng):
    train, test = rng.integers(0, 4, 5000), rng.integers(0, 4, 500)
    assert waveform.frequencies(train, test, 4) == pytest.approx(np.log(4), abs=0.01)
    steps = np.arange(5000) % 4  # the one before tells the next
    assert waveform.pairs(steps, steps, 4) < 0.05 < waveform.frequencies(steps, steps, 4)


def test_wavenet_beats_the_frequencies_after_a_few_steps(tmp_path):
    train, _, test = (data.mu_law_encode(p) for p in data.recorded_speech(waveform.RATE))
    config = WaveNetConfig(layers=4, residual=16, skip=16)
    model, trainer = waveform.train_wavenet(train, config, 120, 4, 300, lr=1e-2)
    assert len(trainer.history["loss"]) == 120
    reached = waveform.nats(model, test[:4000])
    assert reached < waveform.frequencies(train, test[:4000]) - 0.3
    made = model.generate(test[None, :40], 20, generator=np.random.default_rng(0))
    path = tmp_path / "made.wav"
    waveform.write_wav(path, made[0])
    samples, rate = data.read_wav(path.read_bytes())
    np.testing.assert_array_equal(data.mu_law_encode(samples), made[0])
    assert rate == 8000


def test_nats_count_every_sample_once(rng):
    """In windows or in one piece: the same mean."""
    config = WaveNetConfig(layers=3, residual=4, skip=4)
    model, _ = waveform.train_wavenet(rng.integers(0, 256, 200), config, 1, 1, 20)
    codes = rng.integers(0, 256, 300)
    assert waveform.nats(model, codes, 50) == pytest.approx(
        waveform.nats(model, codes, 1000), rel=1e-5
    )
