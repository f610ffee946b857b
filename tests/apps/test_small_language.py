"""Small language models tuned alike: views, tasks, the split of texts, tuning apart from the test."""

import datetime

import numpy as np
import pytest

from lmbook import models, no_grad, tensor
from lmbook.apps import small_language as app
from lmbook.apps.small_language import Run


def test_a_window_hides_its_middle_and_nothing_else():
    text = app.characters()
    rows, middle = app.windows(text.test, np.random.default_rng(0), 50, 3)
    assert rows.shape == (50, 7) and (rows[:, 3] == text.mask).all()
    assert (np.delete(rows, 3, axis=1) < text.mask).all() and (middle < text.mask).all()
    rows[:, 3] = middle
    joined = "".join(text.letters[i] for i in text.test)
    assert all("".join(text.letters[i] for i in row) in joined for row in rows)


@pytest.mark.parametrize("name", list(app.VIEWS))
def test_the_middle_sees_its_view_alone(name):
    """What is out of view changes nothing, and each character in view changes something."""
    it = app.Holes()
    model = it.build(name).eval()
    view, side = it.view, it.view.side
    rows, _ = it.draw(np.random.default_rng(1), 1)
    with no_grad():
        before = app.guess(model, rows, view.sight).data
        for place in range(2 * side + 1):
            other = rows.copy()
            other[0, place] = (other[0, place] + 5) % app.characters().mask
            moved = np.abs(app.guess(model, other, view.sight).data - before).max() > 1e-6
            assert moved == bool(view.sight(np.ones((9, 9)))[side, place] if side == 4 else True)


def test_every_task_answers_its_question():
    rng = np.random.default_rng(2)
    for _ in range(40):
        source, target = map(app.spell, app.iso(rng))
        day = datetime.date.fromisoformat(target)
        assert str(day.year) in source and f"{day:%B}" in source and str(day.day) in source
        source, target = map(app.spell, app.caps(rng))
        assert target == source.removeprefix("caps: ").upper()
        source, target = map(app.spell, app.holes(rng))
        left, right = source.removeprefix("fill: ").split("<X>")
        hidden = target.removeprefix("<X>").removesuffix("<Y>")
        assert left + hidden + right in app._prose("train") and len(left + hidden + right) == 16


def test_no_day_is_in_two_parts():
    days = {
        part: {app.spell(app.iso(np.random.default_rng(3), part)[1])}
        for part in ("train", "validation", "test")
    }
    for part, own in days.items():
        rng = np.random.default_rng(4)
        own |= {app.spell(app.iso(rng, part)[1]) for _ in range(400)}
        numbers = {
            (datetime.date.fromisoformat(d) - datetime.date(1950, 1, 1)).days % 10 for d in own
        }
        assert numbers == {"train": set(range(2, 10)), "validation": {0}, "test": {1}}[part]


@pytest.mark.parametrize("name", app.COMPARISONS)
def test_rivals_have_parameters_alike_and_learn(name):
    it = app.COMPARISONS[name]()
    sizes = [it.build(m).num_parameters() for m in it.models]
    assert max(sizes) / min(sizes) < 1.2
    for m in it.models[:2]:
        model = it.build(m)
        losses = app.fit(model, it.loss, lambda rng: it.draw(rng, 4), 12, 1e-2)
        assert len(losses) == 12 and min(losses[-3:]) < losses[0] - 0.2
        assert not model.training


def test_perplexity_is_the_exponential_of_the_loss_on_all_of_a_part(monkeypatch):
    text = app.characters()
    monkeypatch.setattr(app, "characters", lambda: text._replace(test=text.test[:1000]))
    it = app.NextCharacter()
    model = it.build("GPT")
    found = it.measure(model, "test")
    rows = text.test[: 15 * 65].reshape(15, 65)
    with no_grad():
        logits = model(tensor(rows[:, :-1])).data.astype(float)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    want = -np.log(np.take_along_axis(p, rows[:, 1:, None], -1)).mean()
    assert found["loss"] == pytest.approx(want, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(want), rel=1e-5)


def test_the_gru_reads_backwards_past_the_padding():
    """Padding at a source's end is read first; the T5 leaves it out altogether."""
    it = app.ThreeTasks()
    source, target = it.draw(np.random.default_rng(5), 1)
    longer = np.pad(source, ((0, 0), (0, 4)))
    t5 = it.build("T5").eval()
    assert isinstance(t5, models.T5)
    with no_grad():
        a, b = (app.forced(t5, s, target).data for s in (source, longer))
    np.testing.assert_allclose(a, b, atol=1e-4)
    gru = it.build("GRU")
    with no_grad():
        first = app.forced(gru, source, target).data
        last = source.copy()
        last[:, 0] = 4  # the last that is read
        assert np.abs(app.forced(gru, last, target).data - first).max() > 1e-4


def test_the_program_keeps_the_best_rate_and_writes_all(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(app.Holes, "models", ("2 and 2",))
    path = tmp_path / "runs.csv"
    app.main(["--part", "holes", "--steps", "3", "--seeds", "2", "--save", str(path)])
    runs = app.measured(path)
    assert len(runs) == 2 * (len(app.Holes.lrs) + 1)  # validation and test loss of each
    own = app.best(runs, "2 and 2", 3)
    validation = [r for r in runs if r.figure == "validation" and r.seed == 0]
    assert {r.lr for r in own} == {min(validation, key=lambda r: r.value).lr}
    assert {r.seed for r in own} == {0, 1}
    assert "2 and 2  3  0.003  0" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no run of 'GPT' with 3 steps"):
        app.best(runs, "GPT", 3)


def test_the_stored_runs_are_whole():
    """Every rate from seed 0, the best from three seeds; a perplexity is the exponential of its loss."""
    runs, it = app.measured(), app.NextCharacter()
    assert len(set(runs)) == len(runs) == 2 * 3 * (len(it.lrs) + 2)
    for name in it.models:
        own = [r for r in runs if r.model == name]
        assert {r.lr for r in own if r.seed == 0} == set(it.lrs)
        assert {r.steps for r in own} == {it.steps} and all(r.seconds > 0 for r in own)
        assert {r.seed for r in app.best(runs, name, it.steps)} == {0, 1, 2}
        for loss, perplexity in zip(own[1::3], own[2::3]):
            assert (loss.figure, perplexity.figure) == ("loss", "perplexity")
            assert perplexity.value == pytest.approx(np.exp(loss.value), rel=1e-3)


def test_a_stored_figure_is_found_again():
    """The cheapest of the stored kind, cut short, is the same from the same seed."""
    it = app.Holes()
    first, again = (app.train(it, "2 and 2", 5, 1e-2, seed=1)[1] for _ in range(2))
    assert [r.value for r in first] == pytest.approx([r.value for r in again], abs=2e-4)
    assert isinstance(first[0], Run)
