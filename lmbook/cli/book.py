"""`lmbook book build | serve | check | execute`: the website and the notebooks behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="The website: build, serve, check.", no_args_is_help=True, rich_markup_mode=None
)


def _tool(name: str, *arguments: str, needs: tuple[str, ...] = ()) -> None:
    """Run a tool of the repository in its folder; end with its exit code."""
    import subprocess
    import sys
    from importlib.util import find_spec

    from lmbook.cli import checkout

    root = checkout.root()
    missing = [module for module in needs if find_spec(module) is None]
    if missing:
        typer.echo(f'{", ".join(missing)} is not installed: pip install "lmbook[book]"', err=True)
        raise typer.Exit(2)
    command = [sys.executable, "-m", f"book.tools.{name}", *arguments]
    code = subprocess.run(command, cwd=root).returncode
    if code:
        raise typer.Exit(code)


@app.command()
def build(
    fresh: Annotated[bool, typer.Option("--all", help="Build every page anew.")] = False,
) -> None:
    """Build the website into _build/html. Warnings are errors."""
    _tool("site", "build", *(["--all"] if fresh else []), needs=("jupyter_book",))


@app.command()
def serve(port: Annotated[int, typer.Argument(help="Port on this machine.")] = 8000) -> None:
    """Serve the built website on this machine, until Ctrl+C."""
    _tool("site", "serve", str(port))


@app.command()
def check() -> None:
    """Build the website and check its links; check notebooks and exercises without running them."""
    _tool("site", "check", needs=("jupyter_book",))
    _tool("lint", needs=("nbformat",))
    _tool("exercises", "--check", needs=("nbformat",))


@app.command()
def execute(
    files: Annotated[list[Path], typer.Argument(help="Notebooks.", exists=True, dir_okay=False)],
) -> None:
    """Run notebooks and store their outputs, cleaned."""
    paths = [str(path.resolve()) for path in files]
    _tool("notebooks", "execute", *paths, needs=("nbclient", "nbformat"))


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Notebooks.", exists=True, dir_okay=False)],
) -> None:
    """Run notebooks again and compare with the stored outputs."""
    paths = [str(path.resolve()) for path in files]
    _tool("notebooks", "verify", *paths, needs=("nbclient", "nbformat"))


@app.command()
def exercises() -> None:
    """Make exercises/ from solutions/."""
    _tool("exercises", needs=("nbformat",))
