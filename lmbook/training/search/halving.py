"""Successive halving: give many settings a little, and the best of them more and more.

Rung i holds floor(n / eta^i) settings with a budget of eta^i times the least. Hyperband runs several such
brackets, from many settings with little each to few with all of it at once, since nobody knows how early
a bad setting shows. Sources: Jamieson and Talwalkar (2016); Li et al. (2018).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from lmbook.optim.heuristic.base import Seed
from lmbook.training.search.run import SearchResult, Trial, _try
from lmbook.training.search.space import Params, SearchSpace

Objective = Callable[..., float]


@dataclass
class Rung:
    """How many settings get which budget."""

    count: int
    budget: int


@dataclass
class HalvingResult(SearchResult):
    """As `SearchResult`; `budgets` has the budget of each trial, `cost` what all of them used.

    `best` is among the trials with the largest budget: a setting that looked good early is not
    compared with one that was trained to the end.
    """

    budgets: list[int] = field(default_factory=list)
    cost: int = 0

    @property
    def best(self) -> Trial:
        """The best trial that had the largest budget of all that gave a number."""
        whole = [b for b, t in zip(self.budgets, self.trials) if math.isfinite(t.value)]
        most = max(whole, default=0)
        last = [t for b, t in zip(self.budgets, self.trials) if b == most]
        return SearchResult(last or self.trials).best


def rungs(count: int, least: int, most: int, eta: int = 3) -> list[Rung]:
    """The plan of one bracket: `count` settings at `least`, then a share 1/eta at eta times the budget.

    Ends at `most`, or where no setting would be left.
    """
    if not 1 <= least <= most or count < 1:
        raise ValueError(
            f"rungs: want 1 <= least <= most and count from 1, not least={least}, most={most}, count={count}"
        )
    if eta != int(eta) or eta < 2:
        raise ValueError(f"rungs: eta must be a whole number from 2, not {eta}")
    plan, budget = [], least
    while count >= 1 and budget <= most:
        plan.append(Rung(count, budget))
        count, budget = count // eta, budget * eta
    return plan


def hyperband_plan(most: int, eta: int = 3) -> list[list[Rung]]:
    """Hyperband's brackets for budgets from 1 to `most`, from many settings to few.

    Bracket s = s_max ... 0 begins with ceil((s_max + 1) eta^s / (s + 1)) settings at most / eta^s.
    """
    top = 0
    while eta ** (top + 1) <= most:
        top += 1
    return [
        rungs(math.ceil((top + 1) * eta**s / (s + 1)), max(most // eta**s, 1), most, eta)
        for s in range(top, -1, -1)
    ]


def successive_halving(
    space: SearchSpace,
    objective: Objective,
    plan: list[Rung],
    *,
    seed: Seed = None,
    catch: bool = True,
) -> HalvingResult:
    """Random settings through the rungs of a plan; smaller values are better.

    `objective(params, budget=..., memory=...)` gives the value after a total of `budget`; `memory` is a dict
    that a setting keeps from rung to rung, so that training can go on from there: then only the
    difference is paid, and `cost` counts it so. A setting that fails drops out. Ctrl-C returns what
    there is.
    """
    if not plan:
        raise ValueError("successive_halving: the plan is empty; make one with rungs(...)")
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    result = HalvingResult()
    running: list[tuple[Params, dict[str, Any]]] = [
        (space.decode(u), {}) for u in space.sample(rng, plan[0].count)
    ]
    paid = 0
    try:
        for rung in plan:
            values = []
            for params, memory in running[: rung.count]:
                resumed = paid if memory else 0
                job = partial(objective, budget=rung.budget, memory=memory)
                trial = _try(job, params, catch)
                result.trials.append(trial)
                result.budgets.append(rung.budget)
                result.cost += rung.budget - resumed
                values.append(trial.value)
            order = [i for i in np.argsort(values, kind="stable") if math.isfinite(values[i])]
            running, paid = [running[i] for i in order], rung.budget
        result.stopped = "evaluations"
    except KeyboardInterrupt:
        result.stopped = "interrupted"
    return result


def hyperband(
    space: SearchSpace, objective: Objective, most: int, eta: int = 3, *, seed: Seed = None
) -> HalvingResult:
    """All brackets of `hyperband_plan(most, eta)`, one after the other, as one result."""
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    total = HalvingResult()
    for plan in hyperband_plan(most, eta):
        part = successive_halving(space, objective, plan, seed=rng)
        total.trials += part.trials
        total.budgets += part.budgets
        total.cost += part.cost
        total.stopped = part.stopped
        if part.stopped == "interrupted":
            break
    return total
