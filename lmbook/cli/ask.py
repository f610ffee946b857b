"""`lmbook ask`: an answer from the language reference and the book's pages, with its passage; or a page
for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmbook.cli.page import OpenPage, Port, serve

if TYPE_CHECKING:
    from lmbook.apps.assistant import Assistant, Reply


def ask(
    question: Annotated[str | None, typer.Argument(help="In English.")] = None,
    k: Annotated[int, typer.Option(help="Passages to read.")] = 5,
    only: Annotated[
        str | None, typer.Option(help="python or book; default: both, if a clone is here.")
    ] = None,
    book: Annotated[
        Path | None, typer.Option(help="The clone of the book's repository to search.")
    ] = None,
    page: OpenPage = False,
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer a question about Python or this book, with the passage that says so, or refuse.

    Exit code 1 for a refusal, 2 for a question or an option that makes no sense.
    """
    from lmbook.apps.assistant import checked

    try:
        if page == (question is not None):
            raise ValueError("say one of these: a QUESTION, or --page")
        if question is not None:
            checked(question, k)
        assistant = _load(book, only)
        if page:
            from lmbook.apps.ask_page import ask_page

            return serve("lmbook ask", ask_page(assistant), port)
        assert question is not None
        reply = assistant.ask(question, k)
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"lmbook ask: {error}", err=True)
        raise typer.Exit(2) from None
    _show(reply, as_json)
    if reply.answer is None:
        raise typer.Exit(1)


def _load(book: Path | None, only: str | None) -> Assistant:
    """The assistant, with a bar while vectors are computed for the first time."""
    from lmbook.apps.assistant import Assistant
    from lmbook.apps.passages import book_folder
    from lmbook.backend import require

    if book is not None and not (book / "chapters").is_dir():
        raise FileNotFoundError(f"{book} is no clone of the book's repository: it has no chapters")
    if book is None and only is None and book_folder() is None:
        typer.echo("No clone of the book here: only the language reference is searched.", err=True)
    bar = require("tqdm", "book", "a progress bar").tqdm(
        desc="vectors of the passages, once", unit="passage", leave=False, delay=1
    )

    def show(done: int, of: int) -> None:
        bar.total = of
        bar.update(done - bar.n)

    try:
        return Assistant.load(book, only, show)
    finally:
        bar.close()


def _show(reply: Reply, as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(reply.as_dict(), indent=2, ensure_ascii=False))
        return
    typer.echo(reply.text)
    if reply.answer is None:
        near = [c.passage.citation for c in reply.candidates[:3]]
        if near:
            typer.echo("\nNearest passages:")
            for citation in near:
                typer.echo(f"  {citation}")
        return
    found = reply.answer
    text = found.passage.text
    typer.echo(f"\n{text[: found.start]}[{found.text}]{text[found.stop :]}")
    typer.echo(f"\n{reply.citation}")
