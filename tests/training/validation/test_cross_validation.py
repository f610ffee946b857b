"""Scores are scikit-learn's; what is fitted in a fold has not seen the rest; the errors say where."""

import numpy as np
import pytest
from sklearn import datasets
from sklearn import model_selection as theirs
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lmbook import data
from lmbook.training import validation as v


@pytest.fixture(scope="module")
def cancer():
    return datasets.load_breast_cancer(return_X_y=True)


def test_scores_and_predictions_are_scikit_learns(cancer):
    x, y = cancer
    mine = v.Pipeline(data.StandardScaler(), v.SelectKBest(10), LogisticRegression(C=0.1))
    other = make_pipeline(StandardScaler(), SelectKBest(f_classif, k=10), LogisticRegression(C=0.1))
    found = v.cross_validate(mine, x, y, 5)
    said = theirs.cross_validate(other, x, y, cv=5, return_train_score=True)
    assert np.allclose(found.test, said["test_score"])
    assert np.allclose(found.train, said["train_score"])
    assert np.array_equal(found.predictions, theirs.cross_val_predict(other, x, y, cv=5))
    assert found.mean == pytest.approx(said["test_score"].mean())
    assert not hasattr(mine.steps[-1], "coef_"), "the model given must stay as it is"


def test_regression_takes_plain_folds():
    x, y = datasets.load_diabetes(return_X_y=True)
    found = v.cross_validate(Ridge(), x, y, 4, score=lambda m, x, y: m.score(x, y))
    assert np.allclose(found.test, theirs.cross_val_score(Ridge(), x, y, cv=4))


def test_f_statistic_is_scikit_learns(cancer):
    x, y = cancer
    assert np.allclose(v.f_statistic(x, y), f_classif(x, y)[0])
    constant = np.column_stack([x[:, 0], np.ones(len(x))])
    assert v.f_statistic(constant, y)[1] == 0
    with pytest.raises(ValueError, match="one class"):
        v.f_statistic(x, np.zeros(len(x)))


def test_a_step_sees_the_training_part_only(cancer):
    x, y = cancer
    seen = []

    class Spy:
        def fit(self, x, y=None):
            seen.append(len(x))
            return self

        def transform(self, x):
            return x

    v.cross_validate(v.Pipeline(Spy(), Ridge()), x, y, v.KFold(4))
    assert seen == [426, 427, 427, 427]


def test_pipeline_passes_on_what_the_model_has(cancer):
    x, y = cancer
    p = v.Pipeline(data.StandardScaler(), LogisticRegression())
    assert hasattr(p, "predict_proba")
    assert not hasattr(v.Pipeline(data.StandardScaler(), Ridge()), "predict_proba")
    with pytest.raises(ValueError, match="call fit first"):
        p.predict(x)
    p.fit(x, y)
    assert p.predict_proba(x).shape == (569, 2) and p.classes_.tolist() == [0, 1]
    assert p.score(x, y) == v.accuracy_of(p, x, y) > 0.98
    with pytest.raises(TypeError, match="stands before the model and has no transform"):
        v.Pipeline(Ridge(), Ridge())
    with pytest.raises(ValueError, match="at least a model"):
        v.Pipeline()


def test_imputer_fills_with_medians_of_the_training_part():
    x = np.array([[1.0, np.nan], [3, 4], [np.nan, 8]])
    imputer = v.MedianImputer().fit(x)
    assert imputer.transform([[np.nan, np.nan]]).tolist() == [[2, 6]]
    with pytest.raises(ValueError, match=r"columns \[1\] have no value"):
        v.MedianImputer().fit([[1, np.nan], [2, np.nan]])
    with pytest.raises(ValueError, match="k=3 of 2 columns"):
        v.SelectKBest(3).fit(x, [0, 1, 1])
    with pytest.raises(ValueError, match="k must be at least 1"):
        v.SelectKBest(0)


def test_selection_outside_the_folds_makes_noise_look_good():
    """Ambroise and McLachlan 2002: chosen on all rows, features of pure noise 'predict' the labels."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3000)), np.repeat([0, 1], 30)
    leaky = v.cross_validate(LogisticRegression(), v.SelectKBest(20).fit(x, y).transform(x), y)
    honest = v.cross_validate(v.Pipeline(v.SelectKBest(20), LogisticRegression()), x, y)
    assert leaky.mean > 0.85 and abs(honest.mean - 0.5) < 0.2


def test_corrected_standard_error():
    scores = v.Scores(
        np.array([0.8, 0.9, 1.0]), np.ones(3), np.ones(9),
        [(np.arange(6), np.arange(3))] * 3, [],
    )  # fmt: skip
    assert scores.standard_error() == pytest.approx(np.sqrt((1 / 3 + 1 / 2) * 0.01))
    assert scores.standard_error(corrected=False) == pytest.approx(np.sqrt(0.01 / 3))


def test_choice_is_the_best_mean_and_best_of_fits_it(cancer):
    x, y = cancer
    candidates = {
        str(c): v.Pipeline(data.StandardScaler(), LogisticRegression(C=c)) for c in (1e-5, 0.3)
    }
    choice = v.choose(candidates, x, y, 3)
    assert choice.name == "0.3" == max(choice.means, key=choice.means.get)
    nested = v.cross_validate(v.BestOf(candidates, 3), x, y, 5)
    assert [m.choice.name for m in nested.models] == ["0.3"] * 5
    searched = theirs.GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()),
                                   {"logisticregression__C": [1e-5, 0.3]}, cv=3)  # fmt: skip
    assert np.allclose(nested.test, theirs.cross_val_score(searched, x, y, cv=5))
    with pytest.raises(ValueError, match="no candidates"):
        v.choose({}, x, y)


def test_class_missing_from_a_training_part_is_named():
    y = np.repeat([0, 1, 2], 10)  # sorted by class
    with pytest.raises(ValueError, match="fold 0 has no row of class 0 to learn from"):
        v.cross_validate(LogisticRegression(), np.zeros((30, 2)), y, v.KFold(3))


def test_errors_of_a_model_name_the_fold():
    class Broken:
        def fit(self, x, y):
            if 0 not in y:
                raise ArithmeticError("no zeros")
            return self

        def predict(self, x):
            return np.zeros(len(x))

    with pytest.raises(ArithmeticError) as caught:
        v.cross_validate(Broken(), np.zeros((9, 1)), np.repeat([1, 0, 2], 3), v.KFold(3))
    assert "in fold 1 of 3, 6 rows" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="9 rows of x but 8 of y"):
        v.cross_validate(Broken(), np.zeros((9, 1)), np.zeros(8))

    class Nothing:
        n_splits = 1

        def split(self, x, y=None, groups=None):
            yield np.arange(0), np.arange(9)

    with pytest.raises(ValueError, match="fold 0 has 0 rows to learn from"):
        v.cross_validate(Broken(), np.zeros((9, 1)), np.zeros(9), Nothing())
