"""The table of smokers is the one of the textbook, and its file is read as Stata means it."""

import numpy as np
import pytest

from lmbook import data
from lmbook.data.archives import read_members
from lmbook.data.nhefs import COLUMNS

ARCHIVE = data.registry["nhefs"].archives[0]


def member(name):
    (content,) = read_members(ARCHIVE, f"causaldata-0.1.5/causaldata/{name}/{name}.dta").values()
    return content


def test_weight_gains_are_those_of_the_textbook():
    """Hernán and Robins, chapter 12: 403 of 1,566 quit; they gained 4.5 kg, the others 2.0 kg."""
    columns = data.nhefs_columns()
    gain, quit_smoking = columns["wt82_71"], columns["qsmk"] == 1
    weighed = ~np.isnan(gain)
    assert weighed.sum() == 1566 and (weighed & quit_smoking).sum() == 403
    assert round(gain[weighed & quit_smoking].mean(), 1) == 4.5
    assert round(gain[weighed & ~quit_smoking].mean(), 1) == 2.0


def test_parts_hold_every_person_once_and_nothing_later_than_1971():
    parts = data.nhefs()
    assert sum(len(part.labels) for part in parts) == 1629
    assert sum(part.labels.sum() for part in parts) == 318
    assert {part.features.shape[1] for part in parts} == {len(COLUMNS)} == {47}
    assert not {"yrdth", "qsmk", "wt82", "sbp", "dbp", "death", "seqn"} & set(parts.train.names)
    rows = np.concatenate([part.features for part in parts])
    everyone = np.stack([data.nhefs_columns()[name] for name in COLUMNS], axis=1)
    order = [np.lexsort(np.nan_to_num(table, nan=-1).T) for table in (rows, everyone)]
    assert np.array_equal(rows[order[0]], everyone[order[1]], equal_nan=True)


def test_note_on_those_who_were_not_weighed():
    columns = data.nhefs_columns()
    missing = np.isnan(columns["wt82"])
    assert columns["death"][missing].mean() > 2 * columns["death"].mean()


def test_baseline():
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, _, test = data.nhefs()
    model = make_pipeline(
        SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.1, max_iter=999)
    ).fit(train.features, train.labels)
    reached = roc_auc_score(test.labels, model.decision_function(test.features))
    assert reached == pytest.approx(data.registry["nhefs"].baseline("AUC"), abs=0.001)


def test_columns_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        data.nhefs_columns()["age"][0] = 0


def test_stata_text_is_left_out_and_labels_in_words_keep_their_codes():
    assert "supplier" not in data.read_stata(member("snow"))
    titanic = data.read_stata(member("titanic"))
    assert len(titanic["survived"]) == 2201
    assert titanic["survived"].sum() == 711  # of 2,201 on board, by the British inquiry
    assert set(titanic["class"]) == {1, 2, 3, 4}


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"<stata_dta><release>113</release>"])
def test_not_a_stata_file(content):
    with pytest.raises(data.DataError, match="not a Stata file of release 117 to 119"):
        data.read_stata(content)


def test_damaged_stata_file():
    whole = member("snow")
    with pytest.raises(data.DataError, match="not a Stata file"):
        data.read_stata(whole[: len(whole) // 2])
