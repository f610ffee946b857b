"""Speak texts with eSpeak NG, in a process of its own.

    python espeak.py LIBRARY DATA REQUESTS.json OUT.npz

A request is [text, voice, words a minute, pitch from 0 to 99]. The synthesiser carries the phase of its
oscillators from one utterance to the next, so that only a fresh process repeats itself; and what a
foreign library does to its process, it does to this one. Uses the standard library and NumPy alone.
"""

import ctypes
import json
import sys

import numpy as np

SYNCHRONOUS, UTF8, RATE, PITCH = 2, 1, 1, 3  # from espeak-ng/speak_lib.h


def speak(library: str, data: str, requests: list) -> tuple[int, list[np.ndarray]]:
    """The sampling rate in Hz, and each utterance as int16."""
    espeak = ctypes.CDLL(library)
    rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0)
    if rate <= 0:
        raise RuntimeError(f"espeak_Initialize({data}) returned {rate}")
    heard: list[np.ndarray] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def hear(samples, count, events):  # type: ignore[no-untyped-def]
        if count > 0:
            heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    espeak.espeak_SetSynthCallback(hear)
    utterances = []
    for text, voice, words_a_minute, pitch in requests:
        heard.clear()
        if espeak.espeak_SetVoiceByName(voice.encode()):
            raise RuntimeError(f"no voice {voice!r}")
        espeak.espeak_SetParameter(RATE, words_a_minute, 0)
        espeak.espeak_SetParameter(PITCH, pitch, 0)
        code = text.encode() + b"\0"
        size, none = ctypes.c_size_t(len(code)), ctypes.c_void_p(None)
        if espeak.espeak_Synth(code, size, 0, 0, 0, UTF8, none, none):
            raise RuntimeError(f"could not speak {text!r}")
        utterances.append(np.concatenate(heard))
    return rate, utterances


if __name__ == "__main__":
    with open(sys.argv[3], encoding="utf-8") as file:
        rate, spoken = speak(sys.argv[1], sys.argv[2], json.load(file))
    lengths = [len(u) for u in spoken]
    np.savez(sys.argv[4], rate=rate, lengths=lengths, samples=np.concatenate(spoken))
