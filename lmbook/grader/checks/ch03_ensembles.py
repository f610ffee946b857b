"""Exercises of section 3.1.3, its second half: ensembles."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_that
from lmbook.training.ensembles import (
    AdaBoostClassifier,
    BaggingClassifier,
    DecisionTreeClassifier,
)

# 3.1.3-c
one_round = Exercise(
    "3.1.3-c", title="A round of AdaBoost", kind="implement", points=2, needs=["boost"]
)


@one_round.test("two classes", "What do the wrong rows weigh together after the round?")
def two_classes(ns, rng):  # type: ignore[no-untyped-def]
    w = np.array([0.1, 0.2, 0.3, 0.4])
    y, said = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    alpha, new = ns.boost(w.copy(), y, said, 2)
    expect(alpha, np.log(4), of="alpha for an error of 0.2")
    expect(new, [0.0625, 0.5, 0.1875, 0.25], of="the new weights")


@one_round.hidden(
    "more classes", "A guess among K classes is right once in K; where is alpha zero?"
)
def more_classes(ns, rng):  # type: ignore[no-untyped-def]
    k = int(rng.integers(3, 6))
    y = rng.integers(0, k, 60)
    said = np.where(rng.random(60) < 0.4, (y + 1) % k, y)
    w = rng.uniform(0.5, 2, 60)
    w = w / w.sum()
    error = w[said != y].sum()
    alpha = np.log((1 - error) / error) + np.log(k - 1)
    wanted = np.where(said != y, w * np.exp(alpha), w)
    got = ns.boost(w.copy(), y, said, k)
    expect(got[0], alpha, of=f"alpha with {k} classes")
    expect(got[1], wanted / wanted.sum(), of=f"the new weights with {k} classes")


@one_round.hidden("five rounds", "Each round starts from the weights that the last one left.")
def five_rounds(ns, rng):  # type: ignore[no-untyped-def]
    X = rng.normal(size=(120, 4))
    y = (X[:, 0] + X[:, 1] * X[:, 2] + 0.5 * rng.normal(size=120) > 0) * 1
    model = AdaBoostClassifier(n_estimators=5).fit(X, y)
    w = np.full(120, 1 / 120)
    for member, wanted in zip(model.estimators_, model.estimator_weights_, strict=True):
        kept = w.copy()
        alpha, new = ns.boost(w, y, member.predict(X), 2)
        expect_that(np.array_equal(w, kept), "boost changed the array of weights that it was given")
        expect(alpha, wanted, of="alpha", rtol=1e-8)
        w = np.asarray(new)
    expect(w, model.weights_, of="the weights after five rounds", rtol=1e-8)


# 3.1.3-d
bag = Exercise("3.1.3-d", title="Too good to be true", kind="debug", points=2, needs=["out_of_bag"])


def problem(rng, n=80, members=25):  # type: ignore[no-untyped-def]
    """Rows with labels that are partly noise, and a bagging fitted to them."""
    X = rng.normal(size=(n, 3))
    y = (X[:, 0] + 1.2 * rng.normal(size=n) > 0) * 1
    model = BaggingClassifier(
        n_estimators=members, oob_score=True, random_state=int(rng.integers(1000))
    )
    return X, y, model.fit(X, y)


@bag.test(
    "what is measured", "A grown tree is never wrong about its own rows: who may judge a row?"
)
def honest(ns, rng):  # type: ignore[no-untyped-def]
    X, y, model = problem(np.random.default_rng(0))
    got = float(ns.out_of_bag(model.estimators_, model.estimators_samples_, X, y))
    expect_that(got < 0.9, f"more than a quarter of the labels is chance, and {got:.0%} right?")
    expect(got, model.oob_score_, of="out_of_bag")


@bag.hidden("other bags", "Who votes on a row, and which rows are counted?")
def other_bags(ns, rng):  # type: ignore[no-untyped-def]
    X, y, model = problem(rng)
    got = ns.out_of_bag(model.estimators_, model.estimators_samples_, X, y)
    expect(got, model.oob_score_, of="out_of_bag")


@bag.hidden(
    "few bags", "With two members, about 40 % of the rows were in both bags. Are they wrong?"
)
def few_bags(ns, rng):  # type: ignore[no-untyped-def]
    X, y, model = problem(rng, members=2)
    got = ns.out_of_bag(model.estimators_, model.estimators_samples_, X, y)
    expect(got, model.oob_score_, of="out_of_bag with two members")


@bag.hidden("members that are surer than others", "Add what the members say, not how many say it.")
def shares(ns, rng):  # type: ignore[no-untyped-def]
    X = rng.normal(size=(90, 3))
    y = (X[:, 0] + 1.2 * rng.normal(size=90) > 0) * 1
    tree = DecisionTreeClassifier(min_samples_leaf=8)
    model = BaggingClassifier(
        tree, n_estimators=12, oob_score=True, random_state=int(rng.integers(99))
    )
    model.fit(X, y)
    got = ns.out_of_bag(model.estimators_, model.estimators_samples_, X, y)
    expect(got, model.oob_score_, of="out_of_bag with leaves of eight rows")
