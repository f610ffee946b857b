"""Rows of the registry: films and speech."""

import platform
import sys

from lmbook.data.cards import Archive, Baseline, DataSet

_ESPEAK = {  # wheel, hash, size and library for this machine; elsewhere Linux's, which then cannot run
    "darwin arm64": (
        "macosx_11_0_arm64",
        "d27cdca31112226e7299d8562e889d3e38a1e48055c9ee381b45d669072ee59f",
        9_892_565,
        "libespeak-ng.dylib",
    ),
    "darwin x86_64": (
        "macosx_10_12_x86_64",
        "b77477ae2ddf62a748e04e49714eabb2f3a24f344166200b00539083bd669904",
        9_938_387,
        "libespeak-ng.dylib",
    ),
    "win32 AMD64": (
        "win_amd64",
        "41f1e08ac9deda2efd1ea9de0b81dab9f5ae3c4b24284f76533d0a7b1dd7abd7",
        9_437_292,
        "espeak-ng.dll",
    ),
    "linux x86_64": (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
        10_078_484,
        "libespeak-ng.so",
    ),
}


def espeak_archive(machine: str) -> Archive:
    """The wheel with eSpeak NG for a machine such as "linux x86_64"."""
    tag, sha256, size, library = _ESPEAK.get(machine, _ESPEAK["linux x86_64"])
    folder = "espeakng_loader/espeak-ng-data"
    parts = ("phon*", "intonations", "en_dict", "lang/gmw/*", "voices/!v/*")
    return Archive(
        package="espeakng-loader",
        version="0.2.4",
        filename=f"espeakng_loader-0.2.4-py3-none-{tag}.whl",
        sha256=sha256,
        size=size,
        members=(f"espeakng_loader/{library}", *(f"{folder}/{part}" for part in parts)),
        licence="GPL-3.0-or-later (eSpeak NG's; its text is not in the package)",
        licence_file="espeakng_loader-0.2.4.dist-info/METADATA",
    )


MEDIA = (
    DataSet(
        name="spoken_digits",
        title="Strings of digits, spoken by a synthesiser (simulated)",
        kind="archive",
        source="package espeakng-loader 0.2.4, which holds eSpeak NG 1.52",
        files=(espeak_archive(f"{sys.platform} {platform.machine()}"),),
        licence="GPL-3.0-or-later (the synthesiser; the wheel brings no text of it). It is fetched and run "
        "on your machine, not passed on with the book",
        rows="as many as are asked for; by default 1,650 strings of one to five English digits in 52 voices",
        split="by voice: 1,200 train, 150 validation, 300 test",
        task="what was said, letter by letter",
        loader="data.spoken_digits()",
        baselines=(
            Baseline(
                "one linear layer",
                "word error rate",
                0.565,
                "over windows of 31 frames, with the CTC loss; greedy decoding, lmbook.apps.speech",
            ),
        ),
        notes="Simulated: formants, not a throat. What holds here need not hold for recorded speech.",
    ),
    DataSet(
        name="recorded_speech",
        title="A reader of Dickens, 44 seconds",
        kind="archive",
        source="package moonshine-voice 0.1.5",
        files=(
            Archive(
                package="moonshine-voice",
                version="0.1.5",
                filename="moonshine_voice-0.1.5-py3-none-manylinux_2_34_x86_64.whl",
                sha256="1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496",
                size=19_897_307,
                members=("moonshine_voice/assets/two_cities.wav",),
                licence="MIT",
                licence_file="moonshine_voice-0.1.5.dist-info/licenses/LICENSE",
            ),
        ),
        licence="MIT (package); it does not say who reads, or when it was recorded",
        rows="2,129,958 samples at 48 kHz, one channel",
        split="in time: 80 % train, 10 % validation, 10 % test",
        task="the next sample",
        loader="data.recorded_speech(rate=16000)",
        baselines=(
            Baseline(
                "order-0 frequencies",
                "nats a sample",
                4.0998,
                "mu-law codes of 8 bits at 8 kHz; test part",
                " nats",
            ),
        ),
        notes="One voice, and too short for more than a demonstration.",
    ),
    DataSet(
        name="movielens_100k",
        title="MovieLens-100k, ratings of films",
        kind="archive",
        source="package recbole 1.2.1; GroupLens, University of Minnesota, collected from September 1997 to "
        "April 1998",
        files=(
            Archive(
                package="recbole",
                version="1.2.1",
                filename="recbole-1.2.1-py3-none-any.whl",
                sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
                size=2_130_151,
                members=tuple(
                    f"recbole/dataset_example/ml-100k/ml-100k.{part}"
                    for part in ("inter", "item", "user")
                ),
                licence="MIT",
                licence_file="recbole-1.2.1.dist-info/LICENSE",
            ),
        ),
        licence="MIT (package); the ratings under GroupLens's terms: for research, not to be passed on",
        rows="100,000 ratings from 1 to 5 of 1,682 films by 943 people, each with 20 or more; age, gender "
        "and occupation of the people, year and genres of the films",
        split="data.random_split, data.time_split (80 % train, 10 % validation, 10 % test) or "
        "data.leave_one_out",
        task="the rating; whether it is 4 or 5; which film a person rates next",
        loader="data.movielens_100k()",
        baselines=(
            Baseline(
                "film means",
                "RMSE",
                1.0336,
                "random split; drawn to the mean of all by 5 ratings",
            ),
            Baseline("person and film biases", "RMSE", 0.9561, "random split; ridge 5, ten sweeps"),
            Baseline(
                "logistic regression",
                "AUC",
                0.772,
                "rating 4 or 5; random split; scikit-learn, C = 1, the features of data.pair_features",
            ),
            Baseline(
                "popularity",
                "HR@10",
                0.322,
                "leave_one_out; among 99 films not rated, drawn at random",
            ),
        ),
        notes="Never copied into the book: read from the package. A random split lets a model look ahead; "
        "by time, most people of the test are new.",
    ),
)
