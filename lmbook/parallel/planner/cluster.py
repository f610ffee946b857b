"""Accelerators, and clusters of them, from the vendors' data sheets."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

CARDS = ((2021, 25e9), (9999, 50e9))
"""Up to this year, bytes a second of an accelerator's network card: 200 Gbit/s, then 400. An assumption."""


@dataclass(frozen=True)
class Accelerator:
    """A row of the table: FLOP/s of dense matrix products, bytes, watts, bytes/s one way, dollars an hour.

    `watts` is the thermal design power, 0 if none is published; `rent` the lowest and highest price on demand
    that was found, empty if none; `source` and `rent_source` say who says so.
    """

    name: str
    vendor: str
    year: int
    bf16: float
    fp8: float
    memory: float
    watts: float
    link: float
    per_node: int
    rent: tuple[float, ...]
    rent_source: str
    source: str


@cache
def data_sheets() -> dict[str, Accelerator]:
    """All accelerators of the table by name and by other name."""
    found = {}
    with (files("lmbook.parallel.planner") / "accelerators.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            one = Accelerator(
                row["name"], row["vendor"], int(row["year"]), float(row["bf16_TFLOPS"]) * 1e12,
                float(row["fp8_TFLOPS"] or 0) * 1e12, float(row["memory_GB"]) * 1e9,
                float(row["TDP_W"] or 0), float(row["link_GBps"]) * 1e9 / 2, int(row["per_node"]),
                tuple(float(row[c]) for c in ("rent_USD", "rent_high_USD") if row[c]),
                row["rent_source"], row["source"],
            )  # fmt: skip
            for name in (row["name"], *filter(None, row["aliases"].split("|"))):
                found[name] = one
    return found


@dataclass(frozen=True)
class Cluster:
    """Equal accelerators in nodes. Bandwidths are bytes a second, one way, of one accelerator.

    `efficiency` is the share of the peak that matrix products reach.
    """

    accelerators: int
    peak: float
    memory: float
    per_node: int = 8
    inside: float = 300e9
    between: float = 25e9
    latency: float = 5e-6
    efficiency: float = 0.6
    watts: float = 0.0
    rent: tuple[float, ...] = ()
    name: str = ""

    @classmethod
    def of(cls, name: str, accelerators: int, precision: str = "bf16", **changes: Any) -> "Cluster":
        """A cluster of a known accelerator: peak, memory, link inside a node, watts and rent of its row.

        `inside` is half of the link's figure, which counts both ways. `between` is no property of the
        accelerator: 25 GB/s for those up to 2021, 50 GB/s for later ones, is assumed. `changes` replaces any
        field. Raises `KeyError` for a name that is not in the table.
        """
        table = data_sheets()
        if name not in table:
            raise KeyError(f"Cluster.of: {name!r} is not in the table; choose from {sorted(table)}")
        one = table[name]
        peak = {"bf16": one.bf16, "fp8": one.fp8}.get(precision, 0.0)
        if not peak:
            raise ValueError(f"Cluster.of: {name} has no peak for {precision!r}; take 'bf16'")
        card = next(speed for year, speed in CARDS if one.year <= year)
        fields = {
            "per_node": one.per_node, "inside": one.link, "between": card, "watts": one.watts,
            "rent": one.rent, "name": one.name, **changes,
        }  # fmt: skip
        return cls(accelerators, **{"peak": peak, "memory": one.memory, **fields})
