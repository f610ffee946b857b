"""Going on after a rank has died, with as many ranks as there are."""

from collections.abc import Callable, Sequence
from typing import Any

from lmbook.distributed import RankLost, Results, run


def run_elastic(
    fn: Callable[..., Any],
    ranks: Sequence[int],
    *args: Any,
    faults: Sequence[Sequence[Any]] = (),
    **options: Any,
) -> tuple[Results, list[RankLost]]:
    """`run(fn, ranks[0], *args)`; each time a rank dies, again with the next number of ranks.

    `fn` loads the latest checkpoint when it starts. `faults[i]` are those of attempt i in the simulator.
    Returns the results of the attempt that ended, and the losses before it. The loss of the last attempt is
    raised. Other errors are those of the program, not of a machine, and are raised at once.
    """
    if not ranks:
        raise ValueError("run_elastic: give the number of ranks of each attempt, such as [8, 4, 2]")
    lost: list[RankLost] = []
    for i, size in enumerate(ranks):
        if i < len(faults):
            options["faults"] = faults[i]
        else:
            options.pop("faults", None)
        try:
            return run(fn, size, *args, **options), lost
        except RankLost as error:
            if i == len(ranks) - 1:
                raise
            lost.append(error)
    raise AssertionError("unreachable")
