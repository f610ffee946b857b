"""Peaks, bandwidths and power of accelerators, from data sheets."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lmbook.accelerators.roofline import Roofline


@dataclass(frozen=True)
class Chip:
    """A row of the table: operations a second, bytes, bytes a second, watts. 0 where nothing is published.

    Peaks are of dense products: `fp32` on plain units, `bf16` with 16-bit numbers, `int8` with 8-bit
    integers. `watts` is the thermal design power, which cooling must carry away; chips draw less on average.
    """

    name: str
    vendor: str
    kind: str
    year: int
    fp32: float
    bf16: float
    int8: float
    memory: float
    bandwidth: float
    watts: float
    source: str

    @property
    def precision(self) -> str:
        """What the chip multiplies for large models: "bf16" where it can, else "fp32", else "int8"."""
        return "bf16" if self.bf16 else "fp32" if self.fp32 else "int8"

    @property
    def machine(self) -> Roofline:
        """Peak at `precision` and bandwidth, for a roofline."""
        return Roofline(self.name, getattr(self, self.precision), self.bandwidth)


@cache
def chips() -> dict[str, Chip]:
    """All chips by their full name, oldest first."""
    with (files("lmbook.accelerators") / "chips.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def tera(row: dict[str, str], column: str) -> float:
        return float(row[column] or 0) * 1e12

    found = [
        Chip(
            row["name"], row["vendor"], row["kind"], int(row["year"]), tera(row, "fp32_TFLOPS"),
            tera(row, "bf16_TFLOPS"), tera(row, "int8_TOPS"), float(row["memory_GB"]) * 1e9,
            float(row["bandwidth_GBps"]) * 1e9, float(row["TDP_W"] or 0), row["source"],
        )
        for row in rows
    ]  # fmt: skip
    return {one.name: one for one in sorted(found, key=lambda one: one.year)}


@cache
def _short() -> dict[str, str]:
    with (files("lmbook.accelerators") / "chips.csv").open(encoding="utf-8") as file:
        return {
            alias: row["name"]
            for row in csv.DictReader(file)
            for alias in filter(None, row["aliases"].split("|"))
        }


def chip(name: str) -> Chip:
    """A chip by its full or its short name ("H100"). Raises `KeyError` that lists those there are."""
    full = _short().get(name, name)
    if full not in chips():
        raise KeyError(f"chip: {name!r} is not in the table; there are {', '.join(chips())}")
    return chips()[full]
