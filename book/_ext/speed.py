"""The page on speed, from the register that `python -m benchmarks` writes.

`{speed-table}`, `{speed-machine}` and `{speed-shortfalls}` are tables and a list, `{optimisers}` and
`{optimiser-times}` the tables of `python -m benchmarks.heuristics`; the role `{speed}`
gives one number: a ratio (`fast gpt-256`), or the geometric `mean`, `least` or `most` of a variant.
"""

from __future__ import annotations

import math
from typing import Any

from docutils import nodes
from registers import FACTS, rows_of, table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

NAMES = {
    "eager": "PyTorch eager", "tuned": "PyTorch tuned", "numpy": "lmbook, NumPy alone",
    "fast": "lmbook with numba", "jax": "JAX jit",
}  # fmt: skip
GOALS = {"fast": (0.95, 0.70), "numpy": (math.inf, 1.10)}  # each workload, geometric mean


def measured() -> dict[str, dict[str, dict[str, str]]]:
    """Workload -> variant -> row."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows_of("speed.csv"):
        found.setdefault(row["workload"], {})[row["variant"]] = row
    return found


def ratios(variant: str) -> dict[str, float]:
    return {w: float(v[variant]["ratio"]) for w, v in measured().items() if variant in v}


def mean(variant: str) -> float:
    logs = [math.log(r) for r in ratios(variant).values()]
    return math.exp(sum(logs) / len(logs))


class Directive(SphinxDirective):
    """A directive whose result changes with the register."""

    def rows(self) -> dict[str, dict[str, dict[str, str]]]:
        for name in ("speed.csv", "speed_machine.csv"):
            self.env.note_dependency(str(FACTS / name))
        return measured()


class Table(Directive):
    """Milliseconds, the ratio to PyTorch eager, and memory, for each workload and variant."""

    def run(self) -> list[nodes.Node]:
        rows: list[list[nodes.Node | str]] = []
        for variants in self.rows().values():
            first = next(iter(variants.values()))["title"]
            for name, row in variants.items():
                spread = f"{digits(row['low_ms'])} to {digits(row['high_ms'])}"
                floor = digits(row["floor_ms"]) if row["floor_ms"] else "\N{EN DASH}"
                rows.append(
                    [first, NAMES[name], digits(row["median_ms"]), spread,
                     f"{float(row['ratio']):.2f}", row["memory_mb"], floor]
                )  # fmt: skip
                first = ""
        heads = ["Workload", "Library", "ms", "Range", "Ratio", "Peak MB", "Products alone, ms"]
        return [table(heads, [28, 22, 10, 16, 8, 10, 12], rows)]


def digits(milliseconds: str) -> str:
    """Three significant digits."""
    value = float(milliseconds)
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Machine(Directive):
    """What it was measured on."""

    def run(self) -> list[nodes.Node]:
        self.rows()
        rows: list[list[nodes.Node | str]] = [
            [row["what"], row["value"]] for row in rows_of("speed_machine.csv")
        ]
        return [table(["What", "Value"], [30, 70], rows)]


def shortfalls() -> list[str]:
    """A sentence for each goal that is missed."""
    found = []
    for variant, (_, average) in GOALS.items():
        if mean(variant) > average + 0.005:
            found.append(f"{NAMES[variant]}: the geometric mean is {mean(variant):.2f}, "
                         f"the goal {average:.2f}.")  # fmt: skip
    for variants in measured().values():
        row = variants.get("fast")
        if row is None:
            continue
        title, ratio = row["title"], float(row["ratio"])
        if ratio > GOALS["fast"][0] + 0.005:
            found.append(f"{title}: {ratio:.2f} of PyTorch eager's time, the goal is 0.95.")
        for other in ("tuned", "jax"):
            if other in variants and float(variants[other]["ratio"]) < ratio - 0.005:
                found.append(f"{title}: {NAMES[other]} is faster, {variants[other]['ratio'][:4]} "
                             f"against {ratio:.2f}.")  # fmt: skip
        if float(row["memory_mb"]) > float(variants["eager"]["memory_mb"]):
            found.append(f"{title}: lmbook takes {row['memory_mb']} MB, PyTorch "
                         f"{variants['eager']['memory_mb']} MB.")  # fmt: skip
    return found


class Shortfalls(Directive):
    """The list of goals missed, or a sentence that none is."""

    def run(self) -> list[nodes.Node]:
        self.rows()
        lines = shortfalls()
        if not lines:
            return [nodes.paragraph(text="On this machine every goal was reached.")]
        items = [nodes.list_item("", nodes.paragraph(text=line)) for line in lines]
        return [nodes.bullet_list("", *items)]


class Number(SphinxRole):
    """One number of the register."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(str(FACTS / "speed.csv"))
        variant, what = self.text.split()
        known = ratios(variant)
        functions = {"mean": lambda: mean(variant), "least": lambda: min(known.values()),
                     "most": lambda: max(known.values())}  # fmt: skip
        value = functions[what]() if what in functions else known[what]
        return [nodes.Text(f"{value:.2f}")], []


METHODS = {
    "CMA-ES": "CMA-ES", "differential": "Differential evolution", "swarm": "Particle swarm",
    "genetic": "Genetic algorithm", "annealing": "Annealing", "L-BFGS": "L-BFGS",
}  # fmt: skip
LIBRARIES = {"pycma": "pycma", "scipy": "SciPy", "pymoo": "pymoo"}


def pair(row: dict[str, str]) -> str:
    return f"{METHODS[row['ours']]}, {LIBRARIES[row['library'].split()[0]]}"


def advantage(row: dict[str, str]) -> str:
    """Our area less the library's, in per cent of the library's, with its interval."""
    theirs = float(row["library_area"])
    if theirs == 0:
        return "\N{EN DASH}"
    gap, low, high = (
        f"{round(100 * value / theirs):+d}".replace("-", "\N{MINUS SIGN}").replace("+0", "0")
        for value in (float(row["area"]) - theirs, float(row["low"]), float(row["high"]))
    )
    return f"{gap} [{low}, {high}]"


class Optimisers(SphinxDirective):
    """A row for each pair of methods, a column for each dimension."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "heuristics.csv"))
        found: dict[str, dict[str, str]] = {}
        for row in rows_of("heuristics.csv"):
            found.setdefault(pair(row), {})[row["dimension"]] = advantage(row)
        dimensions = sorted({d for cells in found.values() for d in cells}, key=int)
        rows: list[list[nodes.Node | str]] = [
            [name, *(cells.get(d, "") for d in dimensions)] for name, cells in found.items()
        ]
        return [table(["Method, library", *dimensions], [20, *[13] * len(dimensions)], rows)]


class OptimiserTimes(SphinxDirective):
    """Microseconds of processor time an evaluation."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "heuristics_speed.csv"))
        rows: list[list[nodes.Node | str]] = [
            [
                pair(row),
                digits(row["ours_us"]),
                digits(row["library_us"]),
                f"{float(row['ratio']):.2f}",
            ]
            for row in rows_of("heuristics_speed.csv")
        ]
        return [table(["Method, library", "Ours", "Library", "Ratio"], [40, 20, 20, 20], rows)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("speed-table", Table)
    app.add_directive("speed-machine", Machine)
    app.add_directive("speed-shortfalls", Shortfalls)
    app.add_directive("optimisers", Optimisers)
    app.add_directive("optimiser-times", OptimiserTimes)
    app.add_role("speed", Number())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
