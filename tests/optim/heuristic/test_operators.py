"""Selection, crossover and mutation do what their formulas say, and never leave the space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbook.optim import heuristic as h
from lmbook.optim.heuristic.crossover import CROSSOVERS

MANY = 60_000


def shares(select, values, **options):
    rng = np.random.default_rng(0)
    chosen = select(np.asarray(values, dtype=float), MANY, rng, **options)
    return np.bincount(chosen, minlength=len(values)) / MANY


def close(seen, expected):
    """Within five standard deviations of a share of MANY draws."""
    expected = np.asarray(expected)
    return (np.abs(seen - expected) <= 5 * np.sqrt(expected * (1 - expected) / MANY) + 1e-12).all()


def test_roulette_goes_by_the_lead_over_the_worst():
    lead = np.array([4.0, 1.0, 0.0]) + 0.04
    assert close(shares(h.roulette, [1, 4, 5]), lead / lead.sum())
    assert close(shares(h.roulette, [2, 2]), [0.5, 0.5])


def test_tournament_of_k_lets_the_best_win_unless_it_is_not_drawn():
    for k in (1, 2, 5):
        worse = np.arange(3, -1, -1) / 4  # share of those that are worse, best first
        at_least = worse + 0.25
        assert close(shares(h.tournament, [10, 20, 30, 40], size=k), at_least**k - worse**k)


def test_rank_is_linear_whatever_the_values():
    expected = (1.8 - 1.6 * np.array([2, 0, 3, 1]) / 3) / 4
    assert close(shares(h.rank, [7, 1, 1e9, 2], pressure=1.8), expected)


permutations = st.integers(2, 12).flatmap(
    lambda n: st.tuples(st.permutations(range(n)), st.permutations(range(n)), st.integers(0, 2**32))
)


@settings(deadline=None)
@given(permutations)
def test_order_crossover_keeps_a_slice_and_the_others_order(case):
    a, b, seed = np.array(case[0]), np.array(case[1]), case[2]
    n = len(a)
    child = h.order(a[None], b[None], np.random.default_rng(seed))[0]
    ends = np.sort(np.random.default_rng(seed).integers(0, n + 1, (1, 2)), axis=1)[0]
    expected = np.empty_like(a)  # as a book has it: place by place
    expected[ends[0] : ends[1]] = a[ends[0] : ends[1]]
    rest = [c for c in np.roll(b, -ends[1]) if c not in a[ends[0] : ends[1]]]
    for k, thing in enumerate(rest):
        expected[(ends[1] + k) % n] = thing
    assert child.tolist() == expected.tolist()


@settings(deadline=None)
@given(permutations)
def test_edge_crossover_makes_tours_mostly_of_the_parents_edges(case):
    a, b, seed = np.array(case[0]), np.array(case[1]), case[2]
    child = h.edge(a[None], b[None], np.random.default_rng(seed))[0]
    assert sorted(child) == sorted(a)
    same = h.edge(a[None], np.roll(a, 2)[None, ::-1], np.random.default_rng(seed))[0]
    if len(a) > 2:
        assert edges(same) == edges(a)  # the same tour turned round: nothing else to take


def edges(tour):
    return {frozenset(e) for e in zip(tour.tolist(), np.roll(tour, -1).tolist())}


def test_edge_crossover_brings_few_new_edges():
    rng = np.random.default_rng(0)
    a, b = (h.Permutation(30).sample(rng, 200) for _ in range(2))
    new = [len(edges(c) - edges(x) - edges(y)) for c, x, y in zip(h.edge(a, b, rng), a, b)]
    by_order = [len(edges(c) - edges(x) - edges(y)) for c, x, y in zip(h.order(a, b, rng), a, b)]
    assert np.mean(new) < 1.5 < 5 < np.mean(by_order)


@pytest.mark.parametrize("kind", ["binary", "real"])
def test_genes_come_from_a_parent(kind):
    rng = np.random.default_rng(0)
    a, b = np.zeros((500, 8)), np.ones((500, 8))
    one = h.one_point(a, b, rng)
    assert set((np.diff(one, axis=1) != 0).sum(axis=1)) == {1}
    cuts = one.argmax(axis=1)
    assert set(cuts) == set(range(1, 8))
    assert abs(h.uniform(a, b, rng).mean() - 0.5) < 0.05
    blended = h.blend(a, b, rng)
    assert (
        blended.min() < -0.4
        and blended.max() > 1.4
        and blended.min() >= -0.5
        and blended.max() <= 1.5
    )
    assert set(CROSSOVERS[kind]) >= {"one_point", "uniform"}


def test_mutations_change_what_they_say():
    rng = np.random.default_rng(0)
    x = h.Permutation(9).sample(rng, 400)
    assert set((h.swap(x, rng) != x).sum(axis=1)) == {2}
    for move in (h.swap, h.reverse, h.insert):
        assert h.Permutation(9).contains(move(x, rng)).all()
    for before, after in zip(x, h.reverse(x, rng)):
        assert len(edges(before) - edges(after)) <= 2  # 2-opt
    for before, after in zip(x, h.insert(x, rng)):
        moved = [[c for c in row if c != gone] for gone in before for row in (before, after)]
        assert any(a == b for a, b in zip(moved[::2], moved[1::2]))  # but for one thing the same
    bits = h.Binary(50).sample(rng, 2000)
    assert set((h.one_bit(bits, rng) != bits).sum(axis=1)) == {1}
    assert abs((h.flip(bits, rng) != bits).sum(axis=1).mean() - 1) < 0.12
    assert abs((h.gaussian(np.zeros((4000, 2)), rng, 0.3)).std() - 0.3) < 0.01


def test_multiscale_steps_have_all_scales_and_move_all_or_one():
    step = h.multiscale(np.zeros((20_000, 5)), np.random.default_rng(0), 2.0, 1e-4, 1.0)
    moved = (step != 0).sum(axis=1)
    assert set(moved) == {1, 5} and abs((moved == 5).mean() - 0.5) < 0.02
    size = np.log10(np.abs(step[moved == 5]).mean(axis=1) / 1.6)  # uniform over four powers of ten
    shares = np.histogram(size, bins=[-4, -3, -2, -1, 0])[0] / len(size)
    assert (np.abs(shares - 0.25) < 0.06).all()
    assert abs(np.sign(step).mean()) < 0.01


@pytest.mark.parametrize("move", [h.swap, h.reverse, h.insert])
def test_moves_are_symmetric(move):
    """As often from x to y as from y to x: what the Metropolis rule needs."""
    rng = np.random.default_rng(0)
    points = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [3, 2, 1, 0], [1, 2, 0, 3], [2, 0, 1, 3]])
    there = np.zeros((5, 5))
    for i, p in enumerate(points):
        moved = move(np.tile(p, (20_000, 1)), rng)
        there[i] = [(moved == q).all(axis=1).mean() for q in points]
    assert np.abs(there - there.T).max() < 0.015
    assert there.sum() > 0.5
