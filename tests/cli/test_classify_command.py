"""`lmbook classify`: names, JSON, models of one's own, and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lmbook import data


@pytest.fixture(scope="module")
def cup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs") / "cup.png"
    Image.fromarray(data.photographs()["coffee"]).save(path)
    return path


def test_names_with_probabilities(lmbook: Any, cup: Path) -> None:
    said = lmbook("classify", cup, "--top", 2)
    assert said.exit_code == 0, said.output
    first, espresso, second = said.stdout.splitlines()
    assert first == str(cup) and espresso == "   95.7 %  espresso" and "cup" in second


def test_json(lmbook: Any, cup: Path) -> None:
    found = json.loads(lmbook("classify", cup, cup, "--json").stdout)
    (guesses,) = found.values()
    assert len(guesses) == 5 and guesses[0]["label"] == 967


def test_one_that_cannot_be_read_does_not_stop_the_others(
    lmbook: Any, cup: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    said = lmbook("classify", tmp_path / "notes.txt", tmp_path / "nothing.png", tmp_path, cup)
    assert said.exit_code == 1 and "espresso" in said.stdout
    assert "picture notes.txt is not one that can be read" in said.stderr
    assert "picture nothing.png: no such file" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name photographs, or ask for the --page"),
        (("cup.png", "--page"), "name photographs, or ask for the --page"),
        (("cup.png", "--model", "nothing.pth"), "checkpoint nothing.pth: no such file"),
        (("cup.png", "--model", "no such/name/at all"), "is no folder, and no name on the Hub"),
    ],
)
def test_errors(lmbook: Any, arguments: tuple[Any, ...], message: str) -> None:
    said = lmbook("classify", *arguments)
    assert said.exit_code == 2 and message in said.stderr, said.output


def test_a_damaged_model_is_told(lmbook: Any, cup: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    said = lmbook("classify", cup, "--model", tmp_path / "weights.safetensors")
    assert said.exit_code == 2 and "weights.safetensors" in said.stderr
