"""Where the book's repository is: some commands work on it, not on the installed package."""

from __future__ import annotations

from pathlib import Path

import typer


def root() -> Path:
    """The repository that contains the current folder, else the one that lmbook runs from.

    Ends the command with a message if there is none.
    """
    here = Path.cwd()
    package = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, package):
        if (folder / "_config.yml").exists() and (folder / "book" / "tools").is_dir():
            return folder
    typer.echo(
        "This command needs the book's repository. Clone it, go into its folder, and try again.",
        err=True,
    )
    raise typer.Exit(2)
