"""Sound to listen to, with what is heard in words for those who cannot play it."""

import base64
import html
import io
import wave
from typing import Any

import numpy as np

from lmbook.viz.canvas import array


class sound:
    """A player for samples (T,) in [-1, 1]; `label` names it, `transcript` says what is heard."""

    def __init__(self, samples: Any, rate: int, label: str, transcript: str) -> None:
        x = array(samples)
        if x.ndim != 1 or not len(x) or x.dtype.kind != "f":
            raise ValueError(
                f"sound: needs one channel of floating-point samples, (T,), got {x.dtype} of {x.shape}"
            )
        if not np.isfinite(x).all():
            raise ValueError("sound: some samples are NaN or infinite")
        if not label.strip() or not transcript.strip():
            raise ValueError("sound: give a label, and say in words what is heard")
        self.rate, self.label, self.transcript = rate, label, transcript
        self.seconds = len(x) / rate
        pcm = np.rint(np.clip(x, -1, 1) * 32767).astype("<i2")
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm.tobytes())
        self.wav = buffer.getvalue()

    def __repr__(self) -> str:
        return f"{self.label} ({self.seconds:.1f} s). {self.transcript}"

    def _repr_html_(self) -> str:
        label, told = html.escape(self.label), html.escape(self.transcript)
        source = "data:audio/wav;base64," + base64.b64encode(self.wav).decode("ascii")
        return (
            f'<figure class="sound"><audio controls preload="none" aria-label="{label}" '
            f'style="max-width: 100%" src="{source}"></audio>'
            f"<figcaption>{label} ({self.seconds:.1f} s). {told}</figcaption></figure>"
        )
