"""`lmbook classify`: name what is in photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmbook.cli.page import OpenPage, Port, serve


def classify(
    photo: Annotated[
        list[Path] | None, typer.Argument(help="Photographs: PNG, JPEG, WebP, GIF, BMP, TIFF.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="Names for each.")] = 5,
    model: Annotated[
        str | None,
        typer.Option(
            help="A ResNet's folder, file or name on the Hub; default EfficientNet-lite0."
        ),
    ] = None,
    page: OpenPage = False,
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """What is in photographs, by a network of 1,000 classes. Exit code 1 if one cannot be read."""
    from lmbook.apps import recognition
    from lmbook.backend import MissingDependency
    from lmbook.data import DataError
    from lmbook.models import HubError

    if page == bool(photo):
        typer.echo("lmbook classify: name photographs, or ask for the --page", err=True)
        raise typer.Exit(2)
    try:
        classifier = recognition.load(model)
        if page:
            served = recognition.page(classifier)
    except (ValueError, FileNotFoundError, DataError, HubError, MissingDependency) as error:
        typer.echo(f"lmbook classify: {error}", err=True)
        raise typer.Exit(2) from None
    if page:
        serve("lmbook classify", served, port)
        return
    unread = False
    answers = {}
    for path in photo or []:
        try:
            answers[str(path)] = classifier(path, top)
        except (ValueError, OSError) as error:
            typer.echo(f"lmbook classify: {error}", err=True)
            unread = True
            continue
        if not as_json:
            typer.echo(path)
            for guess in answers[str(path)]:
                typer.echo(f"  {100 * guess.probability:5.1f} %  {guess.name}")
    if as_json:
        import json

        found = {name: [g._asdict() for g in guesses] for name, guesses in answers.items()}
        typer.echo(json.dumps(found, indent=2))
    if unread:
        raise typer.Exit(1)
