"""`lmbook generate`: continue a text, in the terminal or on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmbook.cli.page import OpenPage, Port, serve

if TYPE_CHECKING:
    from lmbook.apps.writer import Writer


def generate(
    prompt: Annotated[str | None, typer.Argument(help="The start of the text.")] = None,
    tokens: Annotated[int, typer.Option(min=1, max=100_000, help="How many to write.")] = 100,
    temperature: Annotated[
        float, typer.Option(help="0: the likeliest token; above 1: wilder.")
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Only from the k likeliest.")] = None,
    top_p: Annotated[float, typer.Option(help="Only from those with this share together.")] = 0.95,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: less of the same.")] = 1.0,
    beams: Annotated[int | None, typer.Option(min=1, help="Beam search with so many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another text.")] = 0,
    model: Annotated[
        str | None, typer.Option(help="A folder, or a name on the Hub: openai-community/gpt2.")
    ] = None,
    page: OpenPage = False,
    port: Port = None,
) -> None:
    """Continue a text. Without a model a small one is trained, once, in about a minute.

    Exit code 2 for a prompt, a setting or a model that cannot be used.
    """
    from lmbook.models import HubError, Sampling

    try:
        how = Sampling(temperature, top_k, top_p, repetition_penalty)
        if page == (prompt is not None):
            raise ValueError("say one of these: a PROMPT, or --page")
        writer = _writer(model)
        if page:
            from lmbook.apps.writer_page import page as page_of

            serve("lmbook generate", page_of(writer), port)
            return
        assert prompt is not None
        writer.encode(prompt)  # before anything is printed
        typer.echo(prompt, nl=False)
        if beams is not None:
            typer.echo(writer.search(prompt, tokens, beams))
            return
        for piece in writer.write(prompt, tokens, how, seed):
            typer.echo(piece, nl=False)
        typer.echo()
    except (ValueError, FileNotFoundError, HubError, ImportError) as error:
        typer.echo(f"lmbook generate: {error}", err=True)
        raise typer.Exit(2) from None


def _writer(model: str | None) -> Writer:
    from lmbook.apps.small_writer import small_writer
    from lmbook.apps.writer import Writer

    if model is not None:
        return Writer.from_pretrained(model)
    return small_writer(say=lambda text: typer.echo(text, err=True))
