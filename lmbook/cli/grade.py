"""`lmbook grade FILE...`: grade submitted notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lmbook.grader.grade import Graded


def grade(
    files: Annotated[list[Path] | None, typer.Argument(help="Notebooks to grade.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    hidden: Annotated[
        Path | None,
        typer.Option(help="A private Python file with more tests.", dir_okay=False, exists=True),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for one file.", min=1)] = 120.0,
    cpu: Annotated[float, typer.Option(help="Seconds of CPU time for one file.", min=1)] = 120.0,
    memory: Annotated[int, typer.Option(help="Megabytes for one file.", min=256)] = 2048,
    output: Annotated[int, typer.Option(help="Kilobytes that one file may print.", min=1)] = 1024,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the drawn tests; a new one each time if not given.", min=0),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Files at the same time.", min=1)] = 1,
    details: Annotated[
        bool, typer.Option("--details", help="Show every test that failed.")
    ] = False,
    export_nbgrader: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the solutions as nbgrader's source notebooks into DIR."
        ),
    ] = None,
) -> None:
    """Grade notebooks, each in a process of its own with limits; print a table or JSON.

    Exit code: 0 when every file was graded, whatever it scored; 1 when at least one could not be
    graded; 2 when the command itself was wrong.

    The limits are a guard rail, not a prison: grade people who may mean harm in a container or on a
    throw-away machine. On Windows, CPU time is not limited, and memory only where psutil is installed.
    """
    if export_nbgrader:
        _export(export_nbgrader, files)
        return
    if not files:
        typer.echo("Name at least one notebook: lmbook grade FILE...", err=True)
        raise typer.Exit(2)
    import secrets

    from lmbook.grader.grade import Limits
    from lmbook.grader.grade import grade as run

    seed = secrets.randbits(32) if seed is None else seed
    limits = Limits(timeout, cpu, memory, output)
    try:
        with _bar(len(files), quiet=as_json) as advance:
            graded = run(files, limits, seed, hidden, jobs, done=lambda one: advance())
    except Exception as error:
        if not hidden:
            raise
        typer.echo(f"{hidden} cannot be used: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps({"seed": seed, "files": [asdict(g) for g in graded]}, indent=2))
    else:
        _table(graded, seed, details)
    if any(g.verdict != "graded" for g in graded):
        raise typer.Exit(1)


def _export(folder: Path, files: list[Path] | None) -> None:
    from lmbook.cli import checkout
    from lmbook.grader.export import ExportError, export

    chosen = files or sorted((checkout.root() / "solutions").rglob("*.ipynb"))
    try:
        for path in export(chosen, folder):
            typer.echo(f"wrote {path}")
    except ExportError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _bar(total: int, quiet: bool):
    """A progress bar on the standard error, where a person looks at it."""
    import sys
    from contextlib import contextmanager

    @contextmanager
    def bar():
        if quiet or total < 2 or not sys.stderr.isatty():
            yield lambda: None
            return
        from tqdm import tqdm

        with tqdm(total=total, unit="file", file=sys.stderr, leave=False) as shown:
            yield lambda: shown.update(1)

    return bar()


def _table(graded: list[Graded], seed: int, details: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("file", "verdict", "points", "exercises")
    for g in graded:
        marks = " ".join(
            f"{e['id']} {'[blue]✓[/]' if e['status'] == 'solved' else '[yellow]✗[/]'}"
            for e in g.exercises
        )
        points = f"{g.score}/{g.points}" if g.points else "-"
        table.add_row(escape(g.file), g.verdict, points, marks or escape(g.reason))
    console = Console()
    console.print(table)
    if details:
        for g in graded:
            for line in _lines(g):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"seed {seed}; `--details` shows what failed, `--json` everything", highlight=False
    )


def _lines(g: Graded) -> list[str]:
    """What failed in one submission, in words."""
    lines = [f"\n{g.file}: {g.verdict}{', ' + g.reason if g.reason else ''}"]
    lines += [f"  {text}" for text in g.raised]
    for e in g.exercises:
        lines.append(
            f"  {e['id']} {e['title']}: {e['status']}, {e['score']} of {e['points']} points"
        )
        for test in e["tests"]:
            if not test["passed"]:
                lines.append(f"    ✗ {test['name']}: {test['message']}")
                lines += [f"      hint: {test['hint']}"] if test["hint"] else []
    return lines
