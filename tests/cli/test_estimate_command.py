"""`lmbook estimate`: a table, JSON, and errors with exit code 2."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_a_name(lmbook: Any) -> None:
    said = lmbook("estimate", "gpt3")
    assert said.exit_code == 0, said.output
    assert "GPT-3 (175B)" in said.stdout and "174.6 billion" in said.stdout
    assert "FLOP of training" in said.stdout and "3.23e+23" in said.stdout
    assert "Assumed:" in said.stdout and "dollars" in said.stdout and "MWh" in said.stdout


def test_sizes(lmbook: Any) -> None:
    said = lmbook(
        "estimate", "--layers", 32, "--width", 4096, "--tokens", "15T", "--count", 1024,
        "--accelerator", "H100",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "15 trillion" in said.stdout and "1,024 H100" in said.stdout


def test_a_width_that_is_no_multiple_of_128(lmbook: Any) -> None:
    said = lmbook("estimate", "--layers", 2, "--width", 1000)
    assert said.exit_code == 0, said.output
    assert "2 layers, width 1000" in said.stdout


def test_json(lmbook: Any) -> None:
    said = lmbook("estimate", "--parameters", "70B", "--json")
    found = json.loads(said.stdout)
    assert found["flop"] == 6 * 70e9 * 1.4e12 and len(found["assumed"]) > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say one of these"),
        (("gpt3", "--layers", 3, "--width", 8), "say one of these"),
        (("gtp3x",), "near it are"),
        (("gpt4",), "was not published"),
        (("--layers", 3), "--layers and --width belong together"),
        (("--layers", 0, "--width", 64), "--layers 0 must be at least 1"),
        (("--layers", 2, "--width", 64, "--heads", 0), "--heads 0 must be at least 1"),
        (("--layers", 2, "--width", 64, "--kv-heads", 0), "--kv-heads 0 must be at least 1"),
        (("--layers", 2, "--width", 64, "--ffn", 0), "--ffn 0 must be at least 1"),
        (("--layers", 2, "--width", 100, "--heads", 3), "must be a multiple of --heads 3"),
        (("--layers", 2, "--width", 96, "--heads", 3, "--kv-heads", 2), "multiple of --kv-heads 2"),
        (("gpt3", "--tokens", "lots"), "is no number"),
        (("gpt3", "--accelerator", "abacus"), "'abacus' is not in the table"),
        (("gpt3", "--utilisation", 40), "must be above 0, at most 1"),
    ],
)
def test_errors(lmbook: Any, arguments: tuple[Any, ...], message: str) -> None:
    said = lmbook("estimate", *arguments)
    assert said.exit_code == 2 and message in said.stderr and not said.stdout
