"""Four models of clicks: settings tried alike, the test apart from the tuning, intervals over people."""

import numpy as np
import pytest

from lmbook import data
from lmbook.apps import clicks as app
from lmbook.autograd import as_tensor
from lmbook.backend import manual_seed
from lmbook.data import Ratings, Splits
from lmbook.models.factorization_machine import (
    FactorizationMachine,
    FieldConfig,
    LogisticRegression,
)


@pytest.fixture(scope="module")
def table():
    return data.movielens_100k()


@pytest.fixture(scope="module")
def few(table):
    return table.all.take(np.random.default_rng(0).permutation(100_000)[:1500])


def test_logistic_regression_is_a_machine_without_pairs():
    manual_seed(0)
    config = FieldConfig((3, 4), width=5)
    machine, plain = FactorizationMachine(config), LogisticRegression(config)
    machine.vectors.table.weight.data[:] = 0
    for model in (machine, plain):
        model.constant.data[:] = 0.5
        model.linear.table.weight.data[:, 0] = np.arange(7)
    index, values = np.array([[0, 3], [2, 6]]), np.array([[1.0, 1.0], [0.5, 2.0]], np.float32)
    np.testing.assert_allclose(plain(as_tensor(index), values).data, [3.5, 13.5])
    np.testing.assert_allclose(
        machine(as_tensor(index), values).data, plain(as_tensor(index), values).data
    )


def test_a_films_share_is_drawn_to_that_of_all():
    def part(items, stars):
        n = len(items)
        return Ratings(np.zeros(n, int), np.array(items), np.array(stars, np.float32), np.arange(n))

    train = part([0, 0, 0, 1], [5, 4, 1, 2])  # half of all are clicks
    splits = Splits(train, part([0], [1]), part([2], [5]))
    np.testing.assert_allclose(app.film_share(splits, 3, extra=2), [3 / 5, 1 / 3, 1 / 2])


def test_every_setting_is_tried(table, few):
    parts = app.arrays(table, data.random_split(few))
    fields = data.pair_features(table, few.users[:1], few.items[:1])
    build = app.models(fields)["logistic"]
    tried = app.tune(build, parts, lrs=(1e-3, 1e-2), decays=(0.0, 1e-3), epochs=1)
    assert len(tried) == 4 and {s.lr for s in tried} == {1e-3, 1e-2}
    assert tried[app.best(tried)] == max(tried.values())
    assert all(0.4 < auc < 0.9 for auc in tried.values()) and len(set(tried.values())) > 1


def test_a_difference_is_that_of_two_areas_and_its_interval_draws_people():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 25)
    clicked = (rng.random(1000) < 0.5).astype(np.float32)
    good, poor = clicked + rng.normal(size=1000), rng.normal(size=1000)
    one, other = (app.auc_interval(clicked, s, people) for s in (good, poor))
    gain = app.auc_difference(clicked, good, poor, people)
    assert gain.value == pytest.approx(one.value - other.value) and gain.low > 0.1
    assert app.auc_difference(clicked, good, good, people)[:3] == (0, 0, 0)
    taste = rng.normal(size=40)[people]  # people who differ as a whole: fewer independent examples
    liked = (taste + 0.1 * rng.normal(size=1000) > 0).astype(np.float32)
    alone = app.auc_interval(liked, poor + taste, np.arange(1000))
    joint = app.auc_interval(liked, poor + taste, people)
    assert joint.high - joint.low > 2 * (alone.high - alone.low)


def test_the_program_writes_what_it_found(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    app.main(["--ratings", "1500", "--epochs", "1", "--seeds", "1", "--save", str(path)])
    runs = app.measured(path)
    names = ["logistic", "FM", "DeepFM", "AutoInt"]
    assert [(run.split, run.model) for run in runs] == [(s, m) for s in app.SPLITS for m in names]
    assert all(run.low <= run.auc <= run.high for run in runs)
    assert all(run.ahead == 0 for run in runs if run.model == "logistic")
    assert "by time, AutoInt" in capsys.readouterr().out


def test_the_stored_runs_are_whole():
    """Three seeds a model and split, one setting for all of them, `ahead` as the areas say."""
    runs = {(run.split, run.model, run.seed): run for run in app.measured()}
    assert len(runs) == 12 and {split for split, _, _ in runs} == {"by time"}
    for (split, model, seed), run in runs.items():
        assert run[2:5] == runs[split, model, 0][2:5]
        assert run.low < run.auc < run.high
        assert run.ahead == pytest.approx(run.auc - runs[split, "logistic", seed].auc, abs=2e-4)
