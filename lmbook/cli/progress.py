"""`lmbook progress`: what you have solved."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def progress(
    section: Annotated[str | None, typer.Argument(help="A section, such as 2.1.3.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show which exercises you have solved, by section."""
    import json

    from lmbook.grader import exercises
    from lmbook.grader import progress as kept

    chosen = exercises(section)
    if not chosen:
        typer.echo(f"There are no exercises in section {section}.", err=True)
        raise typer.Exit(2)
    done = kept.load()
    rows: list[dict[str, Any]] = []
    for e in chosen:
        entry = done.get(e.id, {})
        status = "solved" if entry.get("solved") else "not yet" if entry else "not tried"
        rows.append({
            "id": e.id, "section": e.section, "title": e.title, "kind": e.kind, "status": status,
            "score": e.points if entry.get("solved") else 0, "points": e.points,
            "tries": entry.get("tries", 0), "first_solved": entry.get("first_solved"),
        })  # fmt: skip
    total = {"score": sum(r["score"] for r in rows), "points": sum(r["points"] for r in rows)}
    if as_json:
        typer.echo(json.dumps({"folder": str(kept.folder()), "exercises": rows} | total, indent=2))
        return
    _table(rows, total, str(kept.folder()))


def _table(rows: list[dict[str, Any]], total: dict[str, int], folder: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("exercise", "title", "kind", "points", "tries", "status")
    marks = {
        "solved": "[blue]✓ solved[/]",
        "not yet": "[yellow]… not yet[/]",
        "not tried": "· not tried",
    }
    section = ""
    for row in rows:
        if section and row["section"] != section:
            table.add_section()
        section = row["section"]
        table.add_row(
            row["id"], row["title"], row["kind"], f"{row['score']}/{row['points']}",
            str(row["tries"]), marks[row["status"]],
        )  # fmt: skip
    console = Console()
    console.print(table)
    solved = sum(r["status"] == "solved" for r in rows)
    console.print(
        f"{solved} of {len(rows)} exercises solved, {total['score']} of {total['points']} points."
    )
    console.print(f"Kept in {folder}", soft_wrap=True, highlight=False)
