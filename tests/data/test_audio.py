"""Sound: against SciPy, transformers' audio functions, and the synthesiser's own promises."""

import io
import wave

import numpy as np
import pytest
import scipy.signal
from transformers.audio_utils import mel_filter_bank
from transformers.audio_utils import spectrogram as their_spectrogram

from lmbook import data
from lmbook.backend import DTypeError, ShapeError
from lmbook.data import speech
from lmbook.data.cards import Archive
from lmbook.data.catalogue_media import espeak_archive


def wav(samples, rate=8000, width=2, channels=1):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def test_wav_files():
    samples, rate = data.read_wav(wav(np.array([0, 16384, -32768], np.int16)))
    np.testing.assert_array_equal(samples, np.array([0, 0.5, -1], np.float32))
    assert rate == 8000
    assert data.read_wav(wav(np.zeros((5, 2), np.int16), channels=2))[0].shape == (5, 2)
    with pytest.raises(data.DataError, match="8 bits a sample"):
        data.read_wav(wav(np.zeros(4, np.uint8), width=1))
    for broken in (b"", b"RIFF", b"no sound at all, but a text of some length"):
        with pytest.raises(data.DataError, match="not a WAV file"):
            data.read_wav(broken)


@pytest.mark.parametrize(("length", "old", "new"), [
    (100, 100, 50), (100, 50, 100), (101, 100, 70), (99, 70, 100), (22050, 22050, 16000), (64, 3, 3),
])  # fmt: skip
def test_resampling_equals_scipy(rng, length, old, new):
    x = rng.standard_normal(length)
    want = scipy.signal.resample(x, round(length * new / old))
    np.testing.assert_allclose(data.resample(x, old, new), want, atol=1e-12)


def test_a_tone_keeps_its_pitch():
    tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    low = data.resample(tone, 22050, 16000)
    np.testing.assert_allclose(low, np.sin(2 * np.pi * 440 * np.arange(16000) / 16000), atol=1e-10)


def test_mu_law():
    codes = np.arange(256)
    np.testing.assert_array_equal(data.mu_law_encode(data.mu_law_decode(codes)), codes)
    x = np.linspace(-1, 1, 10001)
    back = data.mu_law_decode(data.mu_law_encode(x))
    step = np.log(256) / 255 * (np.abs(x) + 1 / 255)  # half the width of a level there
    assert (np.abs(back - x) <= 1.02 * step).all()
    assert np.abs(back - x)[np.abs(x) < 0.01].max() < 0.0005
    np.testing.assert_array_equal(data.mu_law_encode(np.array([-1, 1, -5, 5])), [0, 255, 0, 255])
    with pytest.raises(ValueError, match="codes run from 0 to 256"):
        data.mu_law_decode(np.array([0, 256]))


@pytest.mark.parametrize(("n_mels", "n_fft", "rate", "low", "high"), [
    (40, 512, 16000, 0.0, None), (80, 400, 16000, 20.0, 7600.0), (13, 256, 8000, 100.0, 4000.0),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:At least one mel filter")
def test_mel_filters_equal_transformers(n_mels, n_fft, rate, low, high):
    want = mel_filter_bank(n_fft // 2 + 1, n_mels, low, high or rate / 2, rate, None, "htk")
    np.testing.assert_allclose(data.mel_filters(n_mels, n_fft, rate, low, high), want, atol=1e-12)


def test_mel_filters_part_the_spectrum():
    """Between the first peak and the last, the triangles sum to one."""
    filters = data.mel_filters(30, 2048, 16000)
    peaks = filters.argmax(axis=0)
    np.testing.assert_allclose(filters[peaks[0] + 1 : peaks[-1]].sum(axis=1), 1, atol=1e-12)
    with pytest.raises(ValueError, match="does not hold"):
        data.mel_filters(10, 512, 16000, 9000.0, 8500.0)


def test_spectrogram_equals_scipy_and_transformers(rng):
    x = rng.standard_normal(3000)
    ours = data.spectrogram(x, 512, 160, 400)
    hann = scipy.signal.get_window("hann", 400)
    _, _, z = scipy.signal.stft(
        x, window=hann, nperseg=400, noverlap=240, nfft=512, boundary=None, padded=False
    )
    np.testing.assert_allclose(ours, (np.abs(z.T) * hann.sum()) ** 2, atol=1e-9)
    theirs = their_spectrogram(x, hann, 400, 160, 512, power=2.0, center=False)
    np.testing.assert_allclose(ours, theirs.T, rtol=1e-4, atol=1e-4)  # complex64 inside
    assert len(ours) == 1 + (3000 - 400) // 160


def test_log_mel_of_a_tone_stands_in_its_band():
    x = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    m = data.log_mel(x)
    assert m.shape == (98, 40) and m.dtype == np.float32
    band = data.mel_filters(40, 512, 16000)[32].argmax()  # 32 * 16000 / 512 = 1000 Hz
    assert (m.argmax(axis=1) == band).all()
    assert (data.log_mel(np.zeros(400)) == np.float32(np.log(1e-10))).all()
    with pytest.raises(ShapeError, match="10 samples, a window of 400"):
        data.log_mel(np.zeros(10))
    with pytest.raises(DTypeError, match="floating-point samples, got int16"):
        data.log_mel(np.zeros(500, np.int16))
    with pytest.raises(ShapeError, match="one channel"):
        data.spectrogram(np.zeros((500, 2)))


def test_spoken_digits_repeat_themselves_and_no_voice_is_in_two_parts():
    first = data.spoken_digits(12, 4, 6)
    speech.spoken_digits.cache_clear()
    again = data.spoken_digits(12, 4, 6)
    for a, b, size in zip(first, again, (12, 4, 6)):
        assert len(a.waves) == len(a.texts) == len(a.voices) == size and a.texts == b.texts
        for x, y in zip(a.waves, b.waves):
            np.testing.assert_array_equal(x, y)
            assert x.dtype == np.float32 and 0.05 < np.abs(x).max() <= 1.2 and len(x) > 3000
    names = [set(v) for v in speech.VOICES.values()]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])
    assert sum(map(len, names)) == 52
    assert all(set(t.split()) <= set(speech.DIGITS) for t in first.train.texts)


def test_voices_and_speed_are_heard():
    requests = [("seven", "en+m1", 150, 50), ("seven", "en+f1", 150, 50), ("seven", "en+m1", 200, 50),
                ("seven seven", "en+m1", 150, 50)]  # fmt: skip
    rate, (plain, woman, quick, twice) = data.synthesise(requests)
    assert rate == 22050 and plain.dtype == np.int16
    assert len(quick) < 0.9 * len(plain) < len(plain) < 0.8 * len(twice)
    assert len(woman) != len(plain) or np.abs(woman - plain).max() > 100
    with pytest.raises(data.DataError, match="no voice 'xx'"):
        data.synthesise([("one", "xx", 150, 50)])


def test_a_recording_at_two_rates():
    parts = data.recorded_speech(8000)
    assert [len(p) for p in parts] == [283994, 35500, 35499]
    assert all(0.005 < p.std() < 0.5 for p in parts)
    row = data.registry["recorded_speech"]
    codes = [data.mu_law_encode(p) for p in (parts.train, parts.test)]
    p = (np.bincount(codes[0], minlength=256) + 1) / (len(codes[0]) + 256)
    nats = -np.log(p[codes[1]]).mean()
    assert nats == pytest.approx(row.baseline("nats a sample"), abs=5e-4)


def test_a_wheel_of_another_machine_is_asked_for_by_its_platform():
    for machine in ("darwin arm64", "darwin x86_64", "win32 AMD64", "linux x86_64"):
        archive = espeak_archive(machine)
        words = archive.platform
        assert words[6::2] == ["--platform"] * (len(words) // 2 - 3)
        tags = [*words[1:4:2], *words[5:6]]
        assert words[:6:2] == ["--implementation", "--python-version", "--abi"]
        name = f"-{tags[0]}{tags[1]}-{tags[2]}-" + ".".join(words[7::2]) + ".whl"
        assert archive.filename.endswith(name)
    assert espeak_archive("plan9 mips") == espeak_archive("linux x86_64")
    assert data.registry["mnist_5k"].archives[0].platform == []
    source = Archive("a", "1", "a-1.tar.gz", "0" * 64, 1, ("*",), "MIT", "*")
    assert source.platform == []
