"""The page of the GPU kernels, book/kernels.md: what each version gives, counts and needs, and its bugs.

python -m book.tools.kernels            write the page from book/facts/kernels_*.csv and tests/gpu/mutants.csv
python -m book.tools.kernels --check    exit 1 when the page says something else

The registers are made by `python -m book.tools.kernel_facts` (NVRTC, g++) and `python -m benchmarks.simulator
--csv`; the page needs neither. Occupancy is worked out from the registers here.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from book.tools import kernel_facts as facts
from book.tools.kernel_claims import ABOUT, RUNGS
from book.tools.kernel_text import HEAD, OPEN, SPEED
from lmbook.gpu import occupancy
from tests.gpu.agreement import EXCEPTIONS

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "book" / "kernels.md"
MUTANTS = ROOT / "tests" / "gpu" / "mutants.csv"
SIMULATORS = facts.FACTS / "kernels_simulators.csv"
DEVICES = {"sm_75": "T4", "sm_80": "A100", "sm_90": "H100"}
SECTIONS = {
    "copy": 1, "transpose": 1, "reduction": 2, "softmax": 2, "layer_norm": 2, "scan": 2, "topk": 2,
    "bias_gelu": 3, "adamw": 3, "embedding": 3, "matvec": 3, "matmul": 4, "convolution": 4,
    "attention": 5, "attention_backward": 5,
}  # fmt: skip
FAULTS = {
    "OutOfBounds": "outside an array", "DataRace": "data race", "UninitialisedRead": "read before written",
    "UndefinedShuffle": "undefined shuffle", "WrongResult": "wrong result",
}  # fmt: skip
DASH, NARROW = "\N{EN DASH}", "\N{NO-BREAK SPACE}"
Row = facts.Row


def short(name: str) -> str:
    """`matmul2_coalesced` as `2 coalesced`."""
    return re.sub(r"^[a-z_]+?(\d)_", r"\1 ", name).replace("_", " ")


def natural(name: str) -> list[int | str]:
    """A key that puts `by 8` before `by 32`."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; numbers stand on the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def power(text: str) -> str:
    """`1e-05` as a power of ten, `0` as itself."""
    return "0" if text == "0" else f"$10^{{{int(text.removeprefix('1e'))}}}$"


def thousands(text: str) -> str:
    """A number with commas; a formula's `x` and squares as they are printed."""
    return f"{float(text):,.10g}" if re.fullmatch(r"[\d.]+", text) else text


def formula(text: str) -> str:
    """`2 x 4 n^2 - 1` in the signs of print."""
    return text.replace(" x ", " × ").replace("^2", "²").replace(" - ", " \N{MINUS SIGN} ")


def of(key: str, path: Path) -> list[Row]:
    """The rows of a register that belong to a rung."""
    return [row for row in table(path) if row["rung"] == key]


@cache
def table(path: Path) -> list[Row]:
    """A register."""
    return facts.read(path)


# --- the parts of a rung ----------------------------------------------------------------------


def versions(key: str) -> str:
    """Each version with the reason that stands above its kernels."""
    rung = RUNGS[key]
    names = sorted({row["version"] for row in of(key, facts.AGREEMENT)})
    return "\n".join(f"- *{short(name)}*: {reason(rung.why(name))}" for name in names)


def reason(why: str) -> str:
    """The reasons of kernels that follow each other, joined without doubled dots."""
    return formula(why.replace("... ... ", "... "))


def agreement(key: str) -> str:
    """Bounds on the difference from NumPy."""
    rows = of(key, facts.AGREEMENT)
    cells = [
        [short(r["version"]), *(power(r[reader]) for reader in ("simulator", "ptx", "host"))]
        for r in rows
    ]
    sizes = rows[0]["sizes"].replace(" x ", " × ").replace("; ", ", ")
    return (
        f"Largest difference from NumPy at the sizes {sizes}:\n\n"
        + grid(["Version", "Simulator", "PTX", "g++"], cells)
    )  # fmt: skip


def differing(key: str) -> list[str]:
    """Where the simulator and the PTX runner count differently, and why."""
    found = []
    for row in of(key, facts.AGREEMENT):
        if row["unequal"]:
            names, why = EXCEPTIONS[row["version"]]
            if not set(row["unequal"].split()) <= names:
                raise ValueError(f"{row['version']}: {row['unequal']} differ without a reason")
            counters = ", ".join(sorted(names)).replace("_", " ")
            found.append(f"*{short(row['version'])}* ({counters}): {why}")
    return found


def counters(key: str) -> str:
    """Requests, banks, barriers, operations and bytes of each case."""
    rows = sorted(of(key, facts.COUNTED), key=lambda r: natural(r["case"]))
    ours = {r["case"]: r for r in rows if r["by"] == "simulator"}
    theirs = {r["case"]: r for r in rows if r["by"] == "ptx"}
    memory = [
        [short(case), per(r, "load"), per(r, "store"), conflicts(r), thousands(r["barriers"])]
        for case, r in ours.items()
    ]
    work = [
        [short(case), thousands(r["flops"]), thousands(theirs[case]["flops"]), thousands(r["bytes_touched"])]
        for case, r in ours.items()
    ]  # fmt: skip
    heads = ["Version", "FLOP", "FLOP, PTX", "DRAM bytes"]
    if not any(int(r["flops"]) for r in rows):
        heads, work = [heads[0], heads[-1]], [[line[0], line[-1]] for line in work]
    exceptions = differing(key)
    same = "The PTX runner counts the same, FLOP apart" + (", but for" if exceptions else "")
    return (
        f"Counted for {formula(ABOUT[key])}. {same}{' ' + '; '.join(exceptions) if exceptions else ''}.\n\n"
        + grid(["Version", "Load", "Store", "Banks", "Barriers"], memory)
        + "\n\n"
        + grid(heads, work)
    )  # fmt: skip


def per(row: Row, way: str) -> str:
    """Sectors a request."""
    requests = int(row[f"{way}_requests"])
    return f"{int(row[f'{way}_sectors']) / requests:.4g}" if requests else DASH


def conflicts(row: Row) -> str:
    """Wavefronts of shared memory over the least possible."""
    least = int(row["shared_load_ideal"]) + int(row["shared_store_ideal"])
    waves = int(row["shared_load_wavefronts"]) + int(row["shared_store_wavefronts"])
    return f"{waves / least:.4g}" if least else DASH


def claims(key: str) -> str:
    """What follows on paper, beside what was counted: by both readers, or by the simulator alone."""
    cells = []
    for r in sorted(of(key, facts.CLAIMED), key=lambda r: natural(r["version"])):
        readers = {"simulator": r["simulator"]} | ({"ptx": r["ptx"]} if r["ptx"] else {})
        counted = " / ".join(thousands(value) for value in dict.fromkeys(readers.values()))
        quantity = f"*{short(r['version'])}*, {r['what']}: {formula(r['formula'])}"
        cells.append([quantity, thousands(r["theory"]), counted + ("" if r["ptx"] else " *s*")])
    return "What follows from the source, beside what was counted:\n\n" + grid(
        ["Quantity", "Theory", "Counted"], cells
    )


def holds(row: Row) -> bool:
    """Whether both counts are what the theory says; the PTX runner's where it counts."""
    return row["simulator"] == row["theory"] and row["ptx"] in ("", row["theory"])


def compiled(key: str) -> str:
    """Registers, shared memory and occupancy of each kernel."""
    kernels: dict[str, list[Row]] = {}
    for row in sorted(of(key, facts.COMPILED), key=lambda r: natural(r["kernel"])):
        kernels.setdefault(row["kernel"], []).append(row)
    cells = []
    for name, rows in kernels.items():
        shared = int(rows[0]["shared"]) + int(rows[0]["dynamic"])
        line = [short(name), f"{shared:,}"]
        for row in rows:
            o = occupancy(DEVICES[row["arch"]], int(row["threads"]), int(row["registers"]), shared)
            line.append(f"{row['registers']};{NARROW}{100 * o.fraction:.0f}")
        cells.append(line)
    return (
        "Compiled: bytes of shared memory a block; registers a thread and occupancy in per cent:\n\n"
        + grid(["Kernel", "Shared", *DEVICES.values()], cells)
    )  # fmt: skip


def planted(rows: list[Row]) -> str:
    """How many bugs were planted and how they were caught."""
    how = Counter(r["caught_by"] for r in rows)
    missed = how.pop("missed", 0)
    caught = ", ".join(f"{n} as {FAULTS[name]}" for name, n in how.most_common())
    text = f"Bugs planted: {len(rows)}. Caught: {len(rows) - missed} ({caught})."
    return text if not missed else f"{text} Changed nothing: {missed}."


def survivors(rows: list[Row]) -> list[str]:
    """The bugs that nobody noticed, equal lines and reasons put together."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for r in rows:
        if r["caught_by"] == "missed":
            found.setdefault((r["kernel"], r["text"], r["why"]), []).append(r["kind"])
    return [
        f"- *{short(kernel)}*, {' and '.join(dict.fromkeys(kinds))}"
        + (f" ({len(kinds)} times)" if len(kinds) > 1 else "")
        + f", `{text}`: {why}"
        for (kernel, text, why), kinds in found.items()
    ]


def bugs(key: str) -> list[Row]:
    """The planted bugs of a rung's kernels; a kernel that two rungs launch belongs to the first."""
    own = {row["kernel"] for row in of(key, facts.COMPILED)}
    if key == "attention_backward":
        own -= {row["kernel"] for row in of("attention", facts.COMPILED)}
    return [row for row in table(MUTANTS) if row["kernel"] in own]


def section(key: str) -> str:
    """All of a rung."""
    rows = bugs(key)
    left = survivors(rows)
    parts = [
        f"(kernels-{key.replace('_', '-')})=\n### {RUNGS[key].title}",
        f"Taken apart in {{ref}}`sec-3-4-{SECTIONS[key]}`.",
        versions(key), agreement(key), counters(key), claims(key), compiled(key), planted(rows),
    ]  # fmt: skip
    return "\n\n".join([*parts, "\n".join(left)] if left else parts)


# --- the whole --------------------------------------------------------------------------------


def overview() -> str:
    """A line for each rung."""
    cells = []
    for key in RUNGS:
        agreed, rows = of(key, facts.AGREEMENT), bugs(key)
        worst = max((r[x] for r in agreed for x in ("simulator", "ptx", "host")), key=float)
        missed = sum(r["caught_by"] == "missed" for r in rows)
        link = f"{{ref}}`{RUNGS[key].title.split(':')[0]} <kernels-{key.replace('_', '-')}>`"
        cells.append(
            [link, str(len(agreed)), power(worst), f"{len(rows) - missed}/{len(rows)}"]
        )  # fmt: skip
    return grid(["Rung", "Versions", "Difference", "Caught"], cells)


def kinds() -> str:
    """Planted and caught by kind of bug."""
    found: dict[str, list[Row]] = {}
    for row in table(MUTANTS):
        found.setdefault(row["kind"], []).append(row)
    cells = []
    for kind, rows in sorted(found.items(), key=lambda item: -len(item[1])):
        how = Counter(r["caught_by"] for r in rows)
        executed = len(rows) - how["missed"] - how["WrongResult"]
        cells.append(
            [kind, *(str(n) for n in (len(rows), executed, how["WrongResult"], how["missed"]))]
        )
    return grid(["Bug", "Planted", "Fault", "Number", "None"], cells)


def simulators() -> str:
    """Seconds of each simulator."""
    rows = table(SIMULATORS)
    base = float(rows[0]["seconds"])
    cells = []
    for r in rows:
        seconds = float(r["seconds"])
        scaled = f" (from {r['scaled_from']})" if r["scaled_from"] else ""
        cells.append(
            [f"{r['simulator']}, {r['tile']}", digits(seconds) + scaled, digits(seconds / base),
             f"{r['largest']}: {digits(float(r['largest_seconds']))}"]
        )  # fmt: skip
    return grid(["Simulator, tile", "512, s", "Over ours", "Largest: s"], cells)


def digits(value: float) -> str:
    """Two digits."""
    rounded = f"{value:.2g}"
    return rounded if value < 10 else f"{float(rounded):,.0f}"


def sentence(path: Path) -> str:
    """Machine and versions in a sentence."""
    return ", ".join(f"{row['what']} {row['value']}" for row in table(path))


@cache
def page() -> str:
    """The whole page."""
    rows = table(MUTANTS)
    missed = sum(r["caught_by"] == "missed" for r in rows)
    faults = sum(r["caught_by"] not in ("missed", "WrongResult") for r in rows)
    head = HEAD.format(
        versions=len(table(facts.AGREEMENT)), claims=len(table(facts.CLAIMED)),
        held=sum(map(holds, table(facts.CLAIMED))), planted=len(rows),
        real=len(rows) - missed, missed=missed, faults=faults, wrong=len(rows) - missed - faults,
        kernels=len({r["kernel"] for r in table(facts.COMPILED)}), overview=overview(), kinds=kinds(),
        tools=sentence(facts.TOOLS),
        exceptions="\n".join(
            f"- {RUNGS[key].title.split(':')[0]}, {line}." for key in RUNGS for line in differing(key)
        ),
    )  # fmt: skip
    quickest = min(table(SIMULATORS), key=lambda r: float(r["seconds"]))
    speed = SPEED.format(
        table=simulators(), machine=sentence(SIMULATORS.with_stem("kernels_simulators_machine")),
        quickest=f"{quickest['simulator']} in tiles of {quickest['tile']}",
    )  # fmt: skip
    return "\n".join([head, OPEN, speed, "## Rung by rung\n", "\n\n".join(map(section, RUNGS)), ""])


def main(arguments: list[str]) -> int:
    """Command line."""
    text = page()
    if "--check" in arguments:
        if not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
            print("book/kernels.md is out of step: run `python -m book.tools.kernels`")
            return 1
        return 0
    FILE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
