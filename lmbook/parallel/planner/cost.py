"""What a run takes: days, accelerator-hours, energy and rent."""

from dataclasses import dataclass

from lmbook.parallel.planner.cluster import Cluster


@dataclass(frozen=True)
class Bill:
    """Days, accelerator-hours, kilowatt-hours and the range of the rent in dollars."""

    days: float
    hours: float
    energy: float
    rent: tuple[float, ...]


def bill(
    cluster: Cluster,
    tokens_per_second: float,
    tokens: float,
    goodput: float = 1.0,
    draw: float = 1.0,
    overhead: float = 1.1,
) -> Bill:
    """The bill for `tokens` at this speed.

    days = tokens / (speed x goodput); hours = 24 days x accelerators; rent = hours x the price of one;
    energy = hours x watts x draw x overhead. `goodput` is the share of time that is kept work, `draw` the
    share of the accelerators' thermal design power that is drawn, `overhead` what cooling and conversion
    add; hosts and network are left out. Raises `ValueError` for a goodput outside (0, 1].
    """
    if not 0 < goodput <= 1:
        raise ValueError(f"bill: a goodput of {goodput} must be above 0 and at most 1")
    seconds = tokens / (tokens_per_second * goodput)
    hours = seconds / 3600 * cluster.accelerators
    energy = hours * cluster.watts * draw * overhead / 1000
    return Bill(seconds / 86400, hours, energy, tuple(hours * price for price in cluster.rent))
