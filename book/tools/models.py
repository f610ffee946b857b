"""The page of the models, book/models.md: their sizes, and how far their numbers are from the references'.

python -m book.tools.models            run the tests of models; write the registers and the page
python -m book.tools.models --page     write the page from the registers alone
python -m book.tools.models --check    run the tests again; exit 1 when registers or page say something else
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from book.tools import model_facts as facts
from book.tools.model_text import CITED, LEADS, PAGE, TITLES

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "book" / "models.md"
SECTIONS = {"transformer": "2-2-4", "llama": "2-2-4"}  # by module, else by family
HOMES = {"language": "1-2-1", "vision": "1-2-2", "audio": "1-2-3", "recommendation": "1-2-4",
         "sentences": "1-2-1"}  # fmt: skip
WORDS = ("Size", "Held against", "Model", "Compared", "When")
DASH = "\N{EN DASH}"
Row = facts.Row


# --- Cells ------------------------------------------------------------------------------------


def grid(kind: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with notes in small type; columns of `WORDS` stand on the left, numbers on the right."""
    lines = [heads, ["---" if head in WORDS else "--:" for head in heads], *rows]
    inside = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f":::{{table}}\n:class: register models {kind}\n\n{inside}\n:::"


def small(*notes: str) -> str:
    """Notes in small type below a cell's text."""
    return f"[{'; '.join(filter(None, notes))}]{{.variants}}" if any(notes) else ""


def power(text: str) -> str:
    """`2e-05` as two times a power of ten."""
    digit, exponent = text.split("e")
    factor = "" if digit == "1" else f"{digit} × "
    return f"{factor}10{{sup}}`\N{MINUS SIGN}{abs(int(exponent))}`"


def links(row: Row) -> str:
    """The class in the reference of the package, and the section that builds it."""
    section = SECTIONS.get(row["module"], HOMES[row["family"]])
    api = f"{{py:class}}`{row['model']} <lmbook.models.{row['module']}.{row['model']}>`"
    return f"{api}, {{ref}}`{section.replace('-', '.')} <sec-{section}>`"


def source(text: str) -> str:
    """A library's class as code, a key of the bibliography as a citation."""
    library, _, name = text.partition(" ")
    if library in ("transformers", "torchvision", "efficientnet-lite-pytorch"):
        return f"{library} `{name}`"
    if library in ("torch", "scikit-learn"):
        return f"{ {'torch': 'PyTorch'}.get(library, library) }: {name}"
    return re.sub(CITED, r"{cite}`\g<0>`", text)


def rounded(count: float) -> str:
    """A count as papers print it."""
    for unit, word in ((1e9, "billion"), (1e6, "million")):
        if count >= unit:
            return f"{count / unit:.4g} {word}"
    return f"{count:,.0f}"


# --- Tables -----------------------------------------------------------------------------------


def sizes(family: str) -> str:
    """Every size of a family, with all that its count is held against."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in facts.read(facts.SIZES):
        if row["family"] == family:
            key = row["size"], row["model"], row["counted"]
            groups.setdefault(key, []).append(row)
    cells = []
    for (name, _, counted), rows in groups.items():
        exact = [source(r["source"]) for r in rows if r["within"] == "0"]
        held = f"equal{small(*exact)}" if exact else ""
        for r in rows:
            if r["within"] != "0":
                about = f"{rounded(float(r['reference']))}, within {100 * float(r['within']):.2g} %"
                held += f"{' ' if held else ''}{about}{small(source(r['source']))}"
        shown = name if " " in name else f"`{name}`"
        said = "" if counted == "parameters" else ", active in a token"
        count = f"{int(rows[0]['parameters']):,}"
        cells.append([f"{shown}{said}{small(links(rows[0]))}", count, held])
    return grid("sizes", ["Size", "Parameters", "Held against"], cells)


def numbers(rows: list[Row]) -> str:
    """Everything compared of these models, float32 and float64 side by side."""
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        groups.setdefault((row["name"], row["compared"]), {})[row["dtype"]] = row
    cells, named = [], set()
    for (name, compared), found in groups.items():
        first = next(iter(found.values()))
        notes = []
        if (name, first["model"]) not in named:
            named.add((name, first["model"]))
            names = f"names: {first['names']}" if first["names"] else ""
            notes = [links(first), source(first["reference"]), names]
        per = f"over {first['per']}".replace("|", r"\|") if first["per"] else ""
        values = f"{max(int(r['values']) for r in found.values()):,}"
        both = (distance(found[t]) if t in found else DASH for t in ("float32", "float64"))
        cells.append([f"{name}{small(*notes)}", f"{compared}{small(per)}", values, *both])
    return grid("numbers", ["Model", "Compared", "Values", "float32", "float64"], cells)


def distance(row: Row) -> str:
    """A bound on the difference, and what the test allows."""
    return f"{power(row['bound'])}{small('of ' + power(row['limit']))}"


def memory() -> str:
    """What loading takes over the weights' size."""
    cells = [
        [f"{r['name']}{small(links(r))}", r["step"], f"{int(r['bytes']) / 1e6:,.0f} MB",
         r["bound"], r["limit"]]
        for r in facts.read(facts.MEMORY)
    ]  # fmt: skip
    return grid("memory", ["Model", "When", "Weights", "At most", "Limit"], cells)


def page() -> str:
    """The whole page."""
    compared = facts.read(facts.LOGITS)
    random, trained = ([r for r in compared if r["weights"] == w] for w in ("random", "trained"))
    counts = facts.read(facts.SIZES)
    counted = [f"### {TITLES[f]}\n\n{LEADS[f]}\n\n{sizes(f)}" for f in facts.FAMILIES]
    held = [
        f"### {TITLES[f]}\n\n{numbers(rows)}"
        for f in facts.FAMILIES
        if (rows := [r for r in random if r["family"] == f])
    ]
    return PAGE.format(
        sizes=len({(r["size"], r["model"]) for r in counts}), families=len(facts.FAMILIES),
        largest=rounded(max(int(r["parameters"]) for r in counts)),
        models=len({r["name"] for r in compared}), values=f"{sum(int(r['values']) for r in compared):,}",
        worst32=worst(random, "float32"), worst64=worst(random, "float64"),
        size_tables="\n\n".join(counted), number_tables="\n\n".join(held),
        trained=numbers(trained), memory=memory(),
    )  # fmt: skip


def worst(rows: list[Row], dtype: str) -> str:
    """The largest bound of a type."""
    return power(max((r["bound"] for r in rows if r["dtype"] == dtype), key=float))


def main(arguments: list[str]) -> int:
    """Command line."""
    if "--check" in arguments:
        found = []
        if not FILE.exists() or FILE.read_text(encoding="utf-8") != page():
            found.append("book/models.md is out of step: run `python -m book.tools.models --page`")
        for path, rows in facts.tables(facts.records(), room=1).items():
            found += facts.complaints(path, facts.read(path), rows)
        print("\n".join(found) or "book/models.md and its registers are in step.")
        return int(bool(found))
    if "--page" not in arguments:
        for path, rows in facts.tables(facts.records()).items():
            facts.save(path, rows)
    FILE.write_text(page(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
