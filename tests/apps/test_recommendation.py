"""The three tasks on MovieLens: protocols, baselines, and what the models find of what was planted."""

import numpy as np
import pytest

from lmbook import data
from lmbook.apps import recommendation as app
from lmbook.autograd import as_tensor
from lmbook.backend import manual_seed
from lmbook.data import Ratings, Splits
from lmbook.models.autoint import AutoInt, AutoIntConfig
from lmbook.models.factorization_machine import FactorizationMachine, FieldConfig
from lmbook.training.metrics import hit_rate, ndcg, roc_auc_score, target_ranks


@pytest.fixture(scope="module")
def table():
    return data.movielens_100k()


def test_the_ratings_are_all_there(table):
    """Counts of MovieLens-100k's README."""
    assert (table.num_users, table.num_items, len(table.all.users)) == (943, 1682, 100_000)
    assert np.bincount(table.all.users).min() >= 20
    assert np.bincount(table.all.ratings.astype(int))[1:].tolist() == [
        6110,
        11370,
        27145,
        34174,
        21201,
    ]
    assert table.titles[0] == "Toy Story" and table.years[0] == 1995
    assert [g for g, is_so in zip(table.genre_names, table.genres[0]) if is_so] == [
        "Animation", "Children's", "Comedy"
    ]  # fmt: skip
    assert (table.ages[0], table.gender_names[table.genders[0]]) == (24, "M")
    assert table.occupation_names[table.occupations[0]] == "technician"


def test_splits_part_the_rows(table):
    r = table.all
    keys = np.sort(r.users * 2000 + r.items)
    for splits in (data.random_split(r), data.time_split(r), data.leave_one_out(r)):
        joined = np.concatenate([p.users * 2000 + p.items for p in splits])
        np.testing.assert_array_equal(np.sort(joined), keys)
    by_time = data.time_split(r)
    assert by_time.train.times.max() <= by_time.validation.times.min()
    assert by_time.validation.times.max() <= by_time.test.times.min()
    out = data.leave_one_out(r)
    assert len(out.test.users) == len(set(out.test.users)) == 943 == len(out.validation.users)
    last = np.zeros(943, np.int64)
    np.maximum.at(last, r.users, r.times)
    np.testing.assert_array_equal(out.test.times, last[out.test.users])
    assert (out.validation.times <= out.test.times).all()
    with pytest.raises(ValueError, match="leave no rows"):
        data.random_split(r, 0.5, 0.5)


def test_pair_features_say_what_the_tables_say(table):
    f = data.pair_features(table, np.array([0, 5]), np.array([0, 1]))
    assert f.ids.shape == f.values.shape == (2, sum(f.slots)) and len(f.sizes) == len(f.names)
    starts = np.cumsum((0, *f.sizes))
    field = np.repeat(np.arange(len(f.sizes)), f.slots)
    assert (f.ids >= starts[field]).all() and (f.ids < starts[field + 1]).all()
    for row, item in zip(range(2), (0, 1)):
        genres = f.ids[row, 6:][f.values[row, 6:] > 0] - starts[6]
        assert sorted(genres) == np.flatnonzero(table.genres[item]).tolist()
        assert f.values[row, 6:].sum() == pytest.approx(1)


def test_ranks_by_hand():
    scores = np.array([[0.1, 0.9, 0.5, 0.3], [4.0, 3.0, 2.0, 1.0]])
    np.testing.assert_array_equal(target_ranks(scores, [3, 0]), [2, 0])
    allowed = np.array([[1, 0, 0, 0], [1, 1, 1, 1]], bool)
    np.testing.assert_array_equal(target_ranks(scores, [3, 2], allowed), [0, 2])
    assert hit_rate([0, 9, 10], 10) == pytest.approx(2 / 3)
    assert ndcg([0, 2, 10], 10) == pytest.approx((1 + 0.5) / 3)
    with pytest.raises(ValueError, match="finite"):
        target_ranks(scores * np.inf, [0, 0])
    with pytest.raises(ValueError, match=r"\(N, items\) and \(N,\)"):
        target_ranks(scores, [0])


def test_a_model_without_an_opinion_gets_what_chance_gets():
    ranks = target_ranks(np.zeros((20_000, 100)), np.zeros(20_000, int))
    assert hit_rate(ranks, 10) == pytest.approx(0.1, abs=0.01)


def test_sampled_candidates_are_unmet_films(table):
    out = data.leave_one_out(table.all)
    seen = Ratings(*(np.concatenate(p) for p in zip(out.train, out.validation)))
    met = np.zeros((943, 1682), bool)
    met[seen.users, seen.items] = True

    def cheat(users):  # met films score highest: they must not count
        return np.where(met[users], 9.0, 0.0) + np.eye(1682)[out.test.items]

    for negatives in (99, None):
        assert app.top_n(cheat, seen, out.test, 1682, negatives) == {"hr": 1.0, "ndcg": 1.0}
    popular = np.bincount(out.train.items, minlength=1682)
    found = app.top_n(lambda users: np.tile(popular, (len(users), 1)), seen, out.test, 1682)
    want = data.registry["movielens_100k"].baseline("HR@10")
    assert found["hr"] == pytest.approx(want, abs=5e-4)
    chance = app.top_n(lambda users: np.zeros((len(users), 1682)), seen, out.test, 1682)
    assert chance["hr"] == pytest.approx(0.1, abs=0.03)


def test_negative_samples_have_not_met(table):
    train = data.leave_one_out(table.all).train
    met = set(zip(train.users.tolist(), train.items.tolist()))
    sampler = app.PairSampler(train, 1682, negatives=2, batch=4096)
    rows = [np.concatenate(column) for column in zip(*sampler)]
    assert len(rows[0]) == 3 * len(train.users) and rows[2].sum() == len(train.users)
    assert len(list(sampler)) == len(sampler)
    for user, item, label in zip(*(r[:5000].tolist() for r in rows)):
        assert ((user, item) in met) == bool(label)


def test_ratings_beat_the_biases(table):
    """A tenth of the work: the order film means > biases > factors, near the registry's baseline."""
    splits = data.random_split(table.all)
    biases = app.MatrixFactorization(943, 1682, 1)
    for part in (biases.user, biases.item):
        part.weight.data[...] = 0
    app.fit_biases(biases, splits.train)
    means = app.item_means(splits.train, 943, 1682)
    als = app.MatrixFactorization(943, 1682, 16)
    app.fit_als(als, *splits.train[:3], weight=0.13, sweeps=6)
    found = [app.rmse(m, splits.test) for m in (means, biases, als)]
    assert found[0] > found[1] + 0.05 and found[1] > found[2] + 0.01
    row = data.registry["movielens_100k"]
    assert found[1] == pytest.approx(row.baseline("RMSE", "biases"), abs=5e-4)
    assert found[0] == pytest.approx(row.baseline("RMSE", "film means"), abs=5e-4)


def test_one_pass_of_gradients_and_of_clicks_learns(table):
    rng = np.random.default_rng(0)
    some = table.all.take(rng.permutation(100_000)[:6000])
    splits = data.random_split(some)
    model = app.by_gradient(splits, 943, 1682, factors=4, epochs=2)
    constant = float(np.std(splits.test.ratings - splits.train.ratings.mean()))
    assert app.rmse(model, splits.test) < constant - 0.02
    figures = app.clicks_task(splits, table)
    assert set(figures) == {"film share", "FM", "DeepFM", "AutoInt"}
    assert all(f["auc"] > 0.6 for f in figures.values())


def test_one_pass_over_few_people_ranks_better_than_chance(table):
    few = table.all.take(np.flatnonzero(table.all.users < 60))
    figures = app.next_film_task(data.leave_one_out(few), table, epochs=1)
    assert figures["popularity"]["hr of 100"] > 0.2 and figures["implicit ALS"]["hr of 100"] > 0.2
    assert all(f["hr of all"] <= f["hr of 100"] for f in figures.values())


def test_planted_interaction_is_found():
    (index, values, clicks), logits = app.planted(6000)
    np.testing.assert_allclose(logits.sum(), 0)
    parts = [tuple(a[rows] for a in (index, values, clicks))
             for rows in (slice(4500), slice(4500, 5000), slice(5000, None))]  # fmt: skip
    train, validation, test = parts
    alone = [roc_auc_score(test[2], test[0][:, f]) for f in range(5)]
    assert max(abs(a - 0.5) for a in alone) < 0.08
    manual_seed(0)
    machine = FactorizationMachine(FieldConfig((6,) * 5, width=4))
    app.train_clicks(machine, train, validation, epochs=40, lr=1e-2, batch=256)
    assert roc_auc_score(test[2], app.click_scores(machine, *test[:2])) > 0.85
    strength = app.field_interactions(machine)
    others = np.triu(np.ones((5, 5)), 1) > 0
    others[1, 3] = False
    assert strength[1, 3] > 5 * strength[others].max()
    auto = AutoInt(AutoIntConfig((6,) * 5, width=8, layers=1, heads=1, head_width=8))
    app.train_clicks(auto, train, validation, epochs=40, lr=1e-2, batch=256)
    assert roc_auc_score(test[2], app.click_scores(auto, *test[:2])) > 0.85
    attention = auto.attention(as_tensor(test[0]), test[1])[0, 0]
    assert attention[1].argmax() == 3 and attention[3].argmax() == 1


def test_the_command_prints_its_figures(table, monkeypatch, capsys):
    monkeypatch.setattr(app, "ratings_task", lambda splits, table, seed: {"one": 0.5})
    app.main(["ratings", "--split", "time"])
    assert "one            rmse 0.5000" in capsys.readouterr().out
    assert isinstance(data.time_split(table.all), Splits)
