"""The benchmark compares ids before it prints a time, and refuses to print where they differ."""

import pytest

from benchmarks import tokenizers
from lmbook import data


@pytest.mark.slow
def test_every_task_has_a_ratio():
    rows = tokenizers.rows(size=400, rounds=1)
    assert [(row["tokenizer"], row["task"]) for row in rows] == [
        (name, task)
        for name in ("ByteLevelBPE", "WordPieceTokenizer")
        for task in ("train", "encode", "encode a batch of 8")
    ]
    assert all(row["ratio"] == row["ours"] / row["library"] > 0 for row in rows)


@pytest.mark.slow
def test_other_ids_are_refused(monkeypatch):
    monkeypatch.setattr(data.ByteLevelBPE, "encode", lambda self, text: data.one_hot([0], 1)[0])
    with pytest.raises(RuntimeError, match="the ids are not the library's"):
        tokenizers.rows(size=300, rounds=1)
