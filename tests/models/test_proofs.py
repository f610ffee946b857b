"""The helper that holds models against references: what differs fails, and what agrees is noted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from proofs import RECORDS, Pair, close, sized

from lmbook import models

PAIR = Pair("gpt2", models.GPT, "transformers GPT2LMHeadModel", "gpt2 on the Hub")
Y = np.array([1.0, -3.0])


@pytest.mark.parametrize(
    ("got", "want", "per", "unit"),
    [
        (Y + 2e-3, Y, "", 1.0),
        (Y + 5e-3, Y, "1 + |y|", 1.0),
        (Y + 5e-3, Y, "max |y|", 3.0),
        (Y[:1], Y, "", 1.0),
        (Y * np.nan, Y, "", 1.0),
        (Y * np.nan, Y * np.nan, "", 1.0),
        (np.array([1, 2]), np.array([1, 3]), "", 1.0),
    ],
)
def test_what_differs_fails(
    got: np.ndarray, want: np.ndarray, per: str, unit: float, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv(RECORDS, str(tmp_path / "records"))
    with pytest.raises(AssertionError):
        close(PAIR, "logits", got, want, 1e-3, per, unit)
    assert not (tmp_path / "records").exists()


def test_what_agrees_is_noted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(RECORDS, raising=False)
    close(PAIR, "logits", Y, Y, 1e-3)
    monkeypatch.setenv(RECORDS, str(tmp_path / "records"))
    close(PAIR, "logits", (Y + 2e-3).astype("f4"), Y, 1e-3, "1 + |y|")
    close(PAIR, "counters", np.array([1, 2]), np.array([1, 2]), 1e-3)  # equal or not: no distance
    sized("gpt2", models.GPT, 101, 100, "a table", within=0.02)
    lines = [json.loads(line) for line in (tmp_path / "records").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["logits", "sizes"]
    assert lines[0]["difference"] == pytest.approx(1e-3, rel=1e-3)
    assert (lines[0]["values"], lines[0]["dtype"], lines[0]["model"]) == (2, "float32", "GPT")
    assert lines[0]["test"].endswith("test_proofs.py::test_what_agrees_is_noted")
    with pytest.raises(AssertionError, match="a table"):
        sized("gpt2", models.GPT, 103, 100, "a table", within=0.02)
