"""The world of clicks: probabilities, slates, and what a log says of the policy that made it."""

import numpy as np
import pytest

from lmbook.apps import feedback
from lmbook.apps.feedback import at_random, concentration, enjoyed, most_clicked, simulate, tastes


def test_tastes_are_probabilities_of_low_rank_and_repeat():
    like = tastes(40, 30, factors=3, seed=1)
    assert like.shape == (40, 30) and like.min() > 0 and like.max() < 1
    logit = np.log(like / (1 - like)) + 1.5
    assert np.linalg.matrix_rank(logit, tol=1e-8) == 4  # three factors and the films' quality
    np.testing.assert_array_equal(like, tastes(40, 30, factors=3, seed=1))


def test_slates_hold_no_film_twice_and_follow_the_policy():
    like = tastes(30, 20)

    def by_number(clicks, generator):
        return np.tile(-np.arange(20.0), (30, 1))

    log = simulate(like, by_number, rounds=3, slate=5, explore=0.0)
    np.testing.assert_array_equal(log.items, np.tile(np.arange(5), 90))
    np.testing.assert_array_equal(log.items, log.places)
    for explore in (0.3, 1.0):
        shown = simulate(like, by_number, rounds=4, slate=20, explore=explore).items.reshape(-1, 20)
        np.testing.assert_array_equal(np.sort(shown), np.tile(np.arange(20), (120, 1)))
    lots = simulate(like, by_number, rounds=40, slate=5, explore=1.0).items
    assert np.bincount(lots, minlength=20).min() > 200  # 300 each if by lot alone


def test_clicks_have_the_stated_probabilities():
    like = np.full((500, 4), 0.5)
    like[:, 3] = 0.0
    log = simulate(like, at_random, rounds=40, slate=4, attention=0.5)
    for place in range(4):
        liked = (log.places == place) & (log.items < 3)
        assert log.clicked[liked].mean() == pytest.approx(0.5 * 0.5**place, abs=0.012)
    assert not log.clicked[log.items == 3].any()
    counts = log.counts(500, 4)
    assert counts.sum() == log.clicked.sum()
    first = np.flatnonzero(log.clicked)[0]
    assert counts[log.users[first], log.items[first]] > 0


def test_a_policy_of_clicks_concentrates_them_and_teaches_less():
    like = tastes(200, 100, seed=3)
    logs = {p: simulate(like, p, rounds=12) for p in (at_random, most_clicked)}
    spread, narrow = (concentration(log, 100) for log in logs.values())
    assert spread < 0.3 and narrow > 0.7
    learned = []
    for log in logs.values():
        popular = np.tile(log.counts(200, 100).sum(axis=0), (200, 1))
        learned.append(enjoyed(like, popular))
    assert learned[0] > learned[1] + 0.02
    assert enjoyed(like, like) > learned[0]


def test_measures_by_hand():
    log = feedback.Log(
        *(np.array(c) for c in ([0, 0, 1, 1], [0, 1, 0, 2], [0] * 4, [1, 1, 1, 0], [0] * 4))
    )
    log = log._replace(clicked=log.clicked.astype(bool))
    assert concentration(log, 3, share=1 / 3) == pytest.approx(2 / 3)
    like = np.array([[0.1, 0.2, 0.9], [0.5, 0.4, 0.3]])
    assert enjoyed(like, np.array([[3, 2, 1], [3, 2, 1]]), 2) == pytest.approx(
        (0.1 + 0.2 + 0.5 + 0.4) / 4
    )


def test_what_cannot_be_is_said():
    like = tastes(5, 4)
    with pytest.raises(ValueError, match="a slate of 5 from 4 films"):
        simulate(like, at_random, slate=5)
    with pytest.raises(ValueError, match=r"attention = 1.5 is no probability"):
        simulate(like, at_random, slate=2, attention=1.5)
