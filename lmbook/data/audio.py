"""Sound as numbers: WAV files, other sampling rates, mu-law codes, spectrograms on the mel scale."""

import io
import wave

import numpy as np

from lmbook.backend import DTypeError, ShapeError
from lmbook.data.errors import DataError


def read_wav(content: bytes) -> tuple[np.ndarray, int]:
    """Samples in [-1, 1), float32, of shape (T,) or (T, channels), and the rate in Hz; 16-bit PCM."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise DataError(f"read_wav: not a WAV file that can be read: {error}") from None
    if width != 2:
        raise DataError(f"read_wav: {8 * width} bits a sample; convert the file to 16-bit PCM")
    samples = np.frombuffer(frames, "<i2").astype(np.float32) / 32768
    return (samples.reshape(-1, channels) if channels > 1 else samples), rate


def resample(x: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """x (T,) at another sampling rate: its spectrum, cut or filled with zeros.

    The signal is taken as periodic, so that its two ends may ring into one another.
    """
    x = _signal("resample", x)
    length = round(len(x) * new_rate / rate)
    spectrum = np.fft.rfft(x)
    kept = np.zeros(length // 2 + 1, spectrum.dtype)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    if (half := min(length, len(x))) % 2 == 0 and length != len(x):
        # the highest frequency of the shorter signal is two of the longer one's, or the other way about
        kept[half // 2] *= 0.5 if length > len(x) else 2
        if length < len(x):
            kept[half // 2] = kept[half // 2].real
    return (np.fft.irfft(kept, length) * (length / len(x))).astype(x.dtype)


def mu_law_encode(x: np.ndarray, mu: int = 255) -> np.ndarray:
    """Codes 0 to mu of samples in [-1, 1]: fine steps near silence, coarse ones where it is loud.

    f(x) = sign(x) log(1 + mu |x|) / log(1 + mu), rounded to mu + 1 levels (ITU-T G.711's continuous law).
    """
    x = np.clip(x, -1, 1)
    squeezed = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((squeezed + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_decode(codes: np.ndarray, mu: int = 255) -> np.ndarray:
    """The sample in [-1, 1] that each code stands for, float32."""
    codes = np.asarray(codes)
    if codes.size and (codes.min() < 0 or codes.max() > mu):
        raise ValueError(
            f"mu_law_decode: codes run from {codes.min()} to {codes.max()}, not 0 to {mu}"
        )
    squeezed = 2 * codes / mu - 1
    return (np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log1p(mu)) / mu).astype(np.float32)


def hz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """2595 log10(1 + f / 700): steps that sound alike (O'Shaughnessy 1987)."""
    return 2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel, np.float64) / 2595) - 1)


def mel_filters(
    n_mels: int, n_fft: int, rate: int, low: float = 0.0, high: float | None = None
) -> np.ndarray:
    """Triangles (n_fft / 2 + 1, n_mels) over the spectrum, evenly spaced in mel, each of height 1."""
    high = rate / 2 if high is None else high
    if not 0 <= low < high <= rate / 2:
        raise ValueError(f"mel_filters: 0 <= {low} < {high} <= {rate / 2} Hz does not hold")
    corners = mel_to_hz(np.linspace(hz_to_mel(low), hz_to_mel(high), n_mels + 2))
    frequency = np.linspace(0, rate / 2, n_fft // 2 + 1)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    up, down = (frequency - left) / (middle - left), (right - frequency) / (right - middle)
    return np.maximum(0, np.minimum(up, down))


def spectrogram(
    x: np.ndarray, n_fft: int = 400, hop: int = 160, window: int | None = None
) -> np.ndarray:
    """Power |STFT|^2 of x (T,): (frames, n_fft / 2 + 1), with a Hann window of `window` samples.

    No padding: frame k starts at sample k hop, so there are 1 + (T - window) // hop frames.
    """
    x, window = _signal("spectrogram", x), window or n_fft
    if window > n_fft or len(x) < window:
        raise ShapeError(
            f"spectrogram: {len(x)} samples, a window of {window} and n_fft = {n_fft}: the signal must be "
            "as long as the window, and that no longer than n_fft"
        )
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(frames * hann, n_fft)) ** 2


def log_mel(
    x: np.ndarray, rate: int = 16000, n_mels: int = 40, n_fft: int = 512, hop: int | None = None,
    window: int | None = None, floor: float = 1e-10,
) -> np.ndarray:  # fmt: skip
    """log of mel-filtered power, float32 (frames, n_mels); windows of 25 ms every 10 ms unless given."""
    power = spectrogram(x, n_fft, hop or rate // 100, window or rate // 40)
    return np.log(np.maximum(power @ mel_filters(n_mels, n_fft, rate), floor)).astype(np.float32)


def _signal(name: str, x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 1 or not len(x):
        raise ShapeError(f"{name}: needs one channel of samples, (T,), got shape {x.shape}")
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: needs floating-point samples, got {x.dtype}; divide by 32768")
    return x
