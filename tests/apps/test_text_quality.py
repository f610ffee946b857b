"""Copied spans, diversity and likelihood, against counting by hand and sacreBLEU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbook import models
from lmbook.apps import text_quality as q
from lmbook.backend import require

LETTERS = st.lists(st.integers(0, 2), max_size=30)


@settings(max_examples=150, deadline=None)
@given(LETTERS, LETTERS)
def test_copied_spans_are_the_longest_that_end_there(text: list[int], written: list[int]) -> None:
    def stands(part: list[int]) -> bool:
        return any(text[i : i + len(part)] == part for i in range(len(text) - len(part) + 1))

    copies = q.Copies(text)
    assert len(copies.next) <= max(2 * len(text), 2)
    want = [
        max(n for n in range(i + 2) if n == 0 or stands(written[i + 1 - n : i + 1]))
        for i in range(len(written))
    ]
    assert copies.lengths(written).tolist() == want


def test_the_share_of_copied_ngrams() -> None:
    lengths = [q.Copies([1, 2, 3, 4]).lengths(row) for row in ([1, 2, 3, 9], [9, 2, 3, 4])]
    assert q.copied_share(lengths, 1) == 6 / 8 and q.copied_share(lengths, 2) == 4 / 6
    assert q.copied_share(lengths, 3) == 2 / 4 and q.copied_share(lengths, 4) == 0


def test_distinct_counts_different_ngrams() -> None:
    assert q.distinct([[1, 1, 1, 1]], 2) == 1 / 3 and q.distinct([[1, 2, 3], [1, 2, 4]], 2) == 3 / 4
    with pytest.raises(ValueError, match="no 4-gram in 2 rows"):
        q.distinct([[1, 2, 3], [1, 2, 4]], 4)


def test_self_bleu_is_that_of_sacrebleu(rng: np.random.Generator) -> None:
    sacrebleu = require("sacrebleu", "notebooks", "the reference")
    rows = rng.integers(0, 5, (6, 30))
    words = [" ".join(map(str, row)) for row in rows]
    bleu = sacrebleu.BLEU(tokenize="none", smooth_method="none", effective_order=False)
    want = np.mean(
        [bleu.sentence_score(w, words[:i] + words[i + 1 :]).score for i, w in enumerate(words)]
    )
    assert q.self_bleu(rows) == pytest.approx(want / 100)
    assert q.self_bleu(np.tile(rows[0], (3, 1))) == pytest.approx(1)
    assert q.self_bleu(np.arange(20).reshape(2, 10)) == 0
    with pytest.raises(ValueError, match="two rows or more"):
        q.self_bleu(rows[:1])


def test_quality_of_greedy_and_random_texts(rng: np.random.Generator) -> None:
    """On a model without knowledge: greedy texts are likelier, and repeat themselves."""
    model = models.GPT(models.GPTConfig(20, 40, 1, 2, 8))
    for p in model.parameters():
        p.data *= 8
    model.eval()
    prompts = rng.integers(0, 20, (4, 3))
    copies = q.Copies(rng.integers(0, 20, 500))
    found = {
        t: q.quality(model, q.write_many(model, prompts, 30, models.Sampling(t), 0), 3, copies, n=3)
        for t in (0.0, 5.0)
    }
    assert found[0.0].perplexity < found[5.0].perplexity < 1e9
    assert found[0.0].distinct < found[5.0].distinct
    rows = q.write_many(model, prompts, 30, models.Sampling(0), 0)
    np.testing.assert_array_equal(rows[:, :3], prompts)
    alone = [q.log_p(model, rows[:, : i + 1], i)[:, 0] for i in range(3, 33)]
    np.testing.assert_allclose(q.log_p(model, rows, 3), np.stack(alone, 1), atol=1e-5)
