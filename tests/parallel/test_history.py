"""The table of published models: readable, sourced, and in agreement with formulas where it can be."""

import pytest

from lmbook.parallel.planner import Transformer, published_model, published_models


def test_every_model_has_a_source_and_numbers_that_fit() -> None:
    models = published_models()
    assert len(models) >= 120 and len({m.name for m in models}) == len(models)
    for m in models:
        assert (
            m.source and m.publication and m.domain and m.architecture and 1957 < m.year < 2027
        ), m
        assert 0 <= m.active <= m.parameters, m
        assert bool(m.flop) == bool(m.basis), m
        assert bool(m.hours) == bool(m.accelerator) == bool(m.hours_source), m
        assert m.active == m.parameters or m.architecture == "mixture of experts", m
    assert [m.date for m in models] == sorted(m.date for m in models)


def test_names_are_found_however_they_are_spaced() -> None:
    assert published_model("gpt3") is published_model("GPT-3 (175B)") is published_model("GPT 3")
    assert published_model("Llama 3.1").parameters == 405e9
    with pytest.raises(KeyError, match=r"'gptt3' is not in the table of .* near it are .*GPT-3"):
        published_model("gptt3")
    with pytest.raises(KeyError, match="near it are GPT-3, PaLM"):
        published_model("zzzzzzzzzzzzzzzzzzzzz")


def test_years() -> None:
    assert published_model("Perceptron (Mark I)").year == 1958.5
    assert published_model("gpt3").year == pytest.approx(2020 + (4 + 27 / 30.5) / 12)
    assert published_model("LSTM").year == pytest.approx(1997 + (10 + 14.5 / 30.5) / 12)


def test_flop_made_by_the_rule_are_the_rule() -> None:
    """6 N D with active parameters, within 5 %, for more than thirty rows but one."""
    rows = [m for m in published_models() if m.by_rule and m.tokens and m.flop]
    assert len(rows) >= 30
    off = {m.name for m in rows if abs(6 * m.active * m.tokens / m.flop - 1) > 0.05}
    assert off == {"Hunyuan-Large"}  # its authors' formula counts more than 6 N D


def test_flop_counted_by_others() -> None:
    """Dense decoders whose FLOP somebody else counted: within 30 %, most within 10 %."""
    rows = [
        m for m in published_models()
        if not m.by_rule and m.tokens and m.flop and m.architecture == "transformer"
        and m.name not in ("T5-11B", "XLNet-Large")  # an encoder-decoder; tokens of the data set
    ]  # fmt: skip
    errors = sorted(abs(6 * m.active * m.tokens / m.flop - 1) for m in rows)
    assert len(rows) >= 10 and errors[-1] < 0.3 and errors[len(rows) // 2] < 0.1


def test_parameters_of_shapes_in_the_table() -> None:
    gpt3 = Transformer(96, 12288, 96, 50257, 2048)
    assert gpt3.parameters() == pytest.approx(published_model("gpt3").parameters, rel=1e-3)


def test_hours_give_a_utilisation_that_is_possible() -> None:
    from lmbook.parallel.planner import data_sheets

    rows = [m for m in published_models() if m.hours and m.tokens]
    assert len(rows) >= 7
    for m in rows:
        share = 6 * m.active * m.tokens / (m.hours * 3600 * data_sheets()[m.accelerator].bf16)
        assert 0.1 < share < 0.6, (m.name, share)


def test_hours_are_those_of_the_published_footprints() -> None:
    """The two tables name some of the same runs; they must not contradict each other."""
    from lmbook.accelerators import PUBLISHED

    names = {"GPT-3 175B": "gpt3", "BLOOM 176B": "BLOOM", "Llama 2 70B": "Llama 2 70B",
             "Llama 3 70B": "Llama 3 70B", "Llama 3.1 405B": "Llama 3.1"}  # fmt: skip
    assert {run.name for run in PUBLISHED} == set(names)
    for run in PUBLISHED:
        row = published_model(names[run.name])
        assert row.hours == pytest.approx(run.hours) and row.accelerator == run.chip, run.name
