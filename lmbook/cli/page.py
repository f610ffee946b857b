"""`--page` of the three programs: serve the page until Ctrl+C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lmbook.apps.page import Page

OpenPage = Annotated[bool, typer.Option("--page", help="A page in the browser, on this machine.")]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Of the page; default: any that is free.")
]


def serve(command: str, page: Page, port: int | None) -> None:
    """Say the address and serve; exit code 2 for a port that cannot be used."""
    try:
        page.serve(port, typer.echo)
    except OSError as error:
        typer.echo(f"{command}: port {port} cannot be used ({error.strerror})", err=True)
        raise typer.Exit(2) from None
