"""Choosing tokens: the same distributions as transformers, the same beams, and one token at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmbook import Tensor, models, no_grad
from lmbook.backend import ShapeError, require
from lmbook.models.sampling import Sampling, choose, filtered, probabilities

SETTINGS = [
    Sampling(),
    Sampling(temperature=0.3),
    Sampling(temperature=1.7, top_k=5),
    Sampling(top_p=0.6),
    Sampling(temperature=0.8, top_k=20, top_p=0.9, repetition_penalty=1.3),
    Sampling(repetition_penalty=0.7, top_p=0.05),
    Sampling(top_k=10_000),
]


def theirs(logits: np.ndarray, how: Sampling, seen: np.ndarray) -> np.ndarray:
    """The distribution that transformers' own processors leave."""
    t = require("transformers", "dev", "the reference")
    steps = t.LogitsProcessorList()
    if how.repetition_penalty != 1:
        steps.append(t.RepetitionPenaltyLogitsProcessor(how.repetition_penalty))
    steps.append(t.TemperatureLogitsWarper(how.temperature))
    if how.top_k:
        steps.append(t.TopKLogitsWarper(how.top_k))
    if how.top_p < 1:
        steps.append(t.TopPLogitsWarper(how.top_p))
    scores = steps(torch.from_numpy(seen), torch.from_numpy(logits.copy()))
    return torch.softmax(scores, dim=-1).numpy()


@pytest.mark.parametrize("how", SETTINGS, ids=str)
def test_filters_leave_the_distribution_of_transformers(
    how: Sampling, rng: np.random.Generator
) -> None:
    logits = 3 * rng.standard_normal((4, 50))
    logits[1] = np.round(logits[1])  # ties
    logits[2, :] = -np.inf
    logits[2, 7] = -3.0  # a single token left
    seen = rng.integers(0, 50, (4, 12))
    got, want = probabilities(logits, how, seen), theirs(logits, how, seen)
    got[1], want[1] = (
        np.sort(got[1]),
        np.sort(want[1]),
    )  # which of equals the nucleus leaves is open
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-14)


def test_drawn_tokens_have_the_frequencies_of_the_distribution(rng: np.random.Generator) -> None:
    how = Sampling(temperature=0.8, top_k=4, top_p=0.95)
    logits = np.tile(rng.standard_normal(6), (20_000, 1))
    p = probabilities(logits[:1], how)[0]
    counts = np.bincount(choose(logits, how, rng), minlength=6)
    kept = p > 0
    assert 2 <= kept.sum() <= 4 and not counts[~kept].any()
    chi2 = ((counts - 20_000 * p)[kept] ** 2 / (20_000 * p[kept])).sum()
    assert chi2 < 25  # of at most 3 degrees of freedom: 1 in 60,000


def test_greedy_takes_the_likeliest_and_a_penalty_may_change_it() -> None:
    logits, seen = np.array([[2.0, 1.9, -1.0]]), np.array([[0]])
    rng = np.random.default_rng(0)
    assert choose(logits, Sampling(temperature=0), rng)[0] == 0
    assert choose(logits, Sampling(temperature=0, repetition_penalty=1.2), rng, seen)[0] == 1
    assert np.isneginf(filtered(logits, Sampling(temperature=0))).sum() == 2
    with pytest.raises(ShapeError, match="it needs the tokens"):
        filtered(logits, Sampling(repetition_penalty=1.2))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("temperature", -0.1, "must be 0"),
        ("temperature", np.nan, "must be 0"),
        ("top_k", 0, "must be 1 or more"),
        ("top_p", 0.0, "must be above 0"),
        ("top_p", 1.5, "at most 1"),
        ("repetition_penalty", 0.0, "must be above 0; 1 is none"),
    ],
)
def test_settings_that_make_no_sense(name: str, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{why}"):
        Sampling(**{name: value})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[models.GPT, Any]:
    """A GPT and transformers' GPT-2 with the same random weights, through its checkpoint."""
    t = require("transformers", "dev", "the reference")
    torch.manual_seed(0)
    config = t.GPT2Config(
        vocab_size=37, n_positions=40, n_embd=24, n_layer=2, n_head=3, initializer_range=0.6,
        bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    reference = t.GPT2LMHeadModel(config).eval()
    folder: Path = tmp_path_factory.mktemp("gpt2")
    reference.save_pretrained(folder)
    return models.GPT.from_pretrained(folder), reference


def test_sampling_writes_what_transformers_writes_with_the_same_draws(
    pair: tuple[models.GPT, Any], rng: np.random.Generator
) -> None:
    """Each step's distribution equals theirs after the same tokens."""
    ours, reference = pair
    how = Sampling(0.9, 8, 0.9, 1.2)
    row = rng.integers(0, 37, (1, 5))
    for token in models.stream(ours, row, 12, how, np.random.default_rng(1)):
        with no_grad():
            mine = probabilities(ours(Tensor(row)).data[:, -1], how, row)
        with torch.no_grad():
            logits = reference(torch.from_numpy(row)).logits[:, -1].double().numpy()
        np.testing.assert_allclose(mine, theirs(logits, how, row), atol=2e-5)
        assert mine[0, token[0]] > 0
        row = np.concatenate([row, token[:, None]], axis=1)


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("stop", [None, 3])
def test_beams_are_those_of_transformers(
    pair: tuple[models.GPT, Any],
    rng: np.random.Generator,
    beams: int,
    length_penalty: float,
    stop: int | None,
) -> None:
    ours, reference = pair
    prompts = rng.integers(4, 37, (2, 4))
    got, scores = models.beam_search(ours, prompts, 9, beams, length_penalty, stop)
    more = {"early_stopping": "never", "length_penalty": length_penalty} if beams > 1 else {}
    for row, text, score in zip(prompts, got, scores):
        end = stop if stop is not None else -1
        want = reference.generate(
            torch.from_numpy(row[None]), attention_mask=torch.ones(1, 4), max_new_tokens=9,
            num_beams=beams, do_sample=False, eos_token_id=end, pad_token_id=0, **more,
        )[0].numpy()  # fmt: skip
        np.testing.assert_array_equal(text[: len(want)], want)
        assert stop is None or (text[len(want) :] == stop).all()
        assert score == pytest.approx(score_of(ours, want, 4) / (len(want) - 4) ** length_penalty)


def score_of(model: models.GPT, row: np.ndarray, start: int) -> float:
    """The log probability of a row from position `start` on."""
    with no_grad():
        logits = model(Tensor(row[None])).data[0].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(log_p[np.arange(start - 1, len(row) - 1), row[start:]].sum())


def test_a_wide_beam_finds_the_likeliest_text(pair: tuple[models.GPT, Any]) -> None:
    """All 37^2 continuations by two tokens, tried one by one."""
    ours, _ = pair
    prompt = np.array([5, 9, 2])
    every = np.array([[*prompt, a, b] for a in range(37) for b in range(37)])
    with no_grad():
        logits = ours(Tensor(every)).data[:, 2:4].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    total = np.take_along_axis(log_p, every[:, 3:, None], 2).sum(axis=(1, 2))
    (text,), (score,) = models.beam_search(ours, prompt[None], 2, num_beams=37)
    np.testing.assert_array_equal(text, every[total.argmax()])
    assert score == pytest.approx(total.max() / 2)


def test_beam_search_says_what_is_wrong(pair: tuple[models.GPT, Any]) -> None:
    ours, _ = pair
    with pytest.raises(ShapeError, match=r"30 \+ 20 tokens, but the model has 40 positions"):
        models.beam_search(ours, np.zeros((1, 30), int), 20)
    with pytest.raises(ValueError, match="num_beams 0"):
        models.beam_search(ours, np.zeros((1, 3), int), 2, num_beams=0)
    with pytest.raises(ShapeError, match="one token at least"):
        models.beam_search(ours, np.zeros((1, 0), int), 2)


def test_a_stream_gives_tokens_as_they_come_and_leaves_the_model_as_it_was(
    pair: tuple[models.GPT, Any],
) -> None:
    ours, _ = pair
    ours.train()
    prompt = np.array([[1, 2], [3, 4]])
    tokens: Iterator[np.ndarray] = models.stream(ours, prompt, 60, Sampling(top_k=3))
    first = next(tokens)
    assert first.shape == (2,) and not ours.training
    tokens.close()  # type: ignore[attr-defined]
    assert ours.training
    ours.eval()
    for cached in (True, False):  # past the 40 positions, too
        rows = models.generate(ours, prompt, 60, temperature=0, use_cache=cached)
        assert rows.shape == (2, 62)
        start = models.generate(ours, prompt, 30, temperature=0)
        np.testing.assert_array_equal(rows[:, :32], start)
