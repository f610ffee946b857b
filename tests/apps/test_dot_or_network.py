"""Dot product against network: settings tried alike, the best kept, the test apart from the tuning."""

import numpy as np
import pytest

from lmbook import data
from lmbook.apps import dot_or_network as app
from lmbook.apps.dot_or_network import Setting
from lmbook.backend import manual_seed


@pytest.fixture(scope="module")
def few():
    table = data.movielens_100k()
    return data.leave_one_out(table.all.take(np.flatnonzero(table.all.users < 40)))


def test_every_setting_is_tried_and_the_best_is_kept(few):
    build = app.models(40, 1682, factors=4)["dot product"]
    tuned = app.tune(build, few, 1682, lrs=(1e-3, 2e-2), decays=(0.0, 1e-4), passes=2, step=1)
    assert len(tuned.tried) == 8 and {s.passes for s in tuned.tried} == {1, 2}
    assert tuned.tried[tuned.best] == max(tuned.tried.values())
    again = app.fit(build, tuned.best, few, 1682, step=1)
    figures = app.top_n(again.scores, few.train, few.validation, 1682, negatives=None)
    assert figures["ndcg"] == pytest.approx(tuned.tried[tuned.best])


def test_the_test_part_is_measured_among_few_and_among_all(few):
    for name, build in app.models(40, 1682, factors=4).items():
        figures = app.test(app.fit(build, Setting(1e-2, 0.0, 1), few, 1682), few, 1682)
        assert set(figures) == {"hr of 100", "ndcg of 100", "hr of all", "ndcg of all"}, name
        assert figures["hr of all"] <= figures["hr of 100"]


def test_the_three_have_vectors_of_one_width():
    for name, build in app.models(5, 6, factors=8).items():
        manual_seed(0)
        model = build()
        wide = model.user.weight.shape[1] if name == "dot product" else model.output.weight.shape[1]
        assert wide == (16 if name == "NeuMF" else 8)


def test_passes_that_do_not_divide_are_refused(few):
    with pytest.raises(ValueError, match="5 passes cannot be judged every 2"):
        app.tune(lambda: None, few, 1682, passes=5, step=2)


def test_the_program_writes_what_it_found(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    app.main(["--people", "20", "--passes", "4", "--seeds", "1", "--save", str(path)])
    runs = app.measured(path)
    assert [run.model for run in runs] == ["dot product", "MLP", "NeuMF"]
    assert all(0 <= run.hr_of_all <= run.hr_of_100 <= 1 and run.passes == 4 for run in runs)
    assert f"hr of 100 {runs[0].hr_of_100:.4f}" in capsys.readouterr().out


def test_the_stored_runs_are_whole():
    """Each figure is a share of 943 people, the same settings for all seeds of a model."""
    runs = app.measured()
    for name in {run.model for run in runs}:
        own = [run for run in runs if run.model == name]
        assert [run.seed for run in own] == [0, 1, 2]
        assert len({run[1:5] for run in own}) == 1
    for run in runs:
        for share in (run.hr_of_100, run.hr_of_all):
            assert share * 943 == pytest.approx(round(share * 943), abs=0.06)
        assert run.ndcg_of_all <= run.hr_of_all <= run.hr_of_100
