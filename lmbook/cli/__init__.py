"""The command line: book, lab, grade, progress, data, estimate, generate, classify, ask, doctor.

Every command imports what it needs when it runs, so that `lmbook --help` is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from lmbook.cli import ask, book, classify, doctor, estimate, generate, grade, lab, progress

main = typer.Typer(
    name="lmbook",
    help="Large Models from Scratch: read, run and check the book.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help starts twice as fast
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"lmbook {version('lmbook')}")
        raise typer.Exit


@main.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Large Models from Scratch: read, run and check the book."""


main.add_typer(book.app, name="book")
main.command("lab", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
    lab.lab
)
main.command("grade")(grade.grade)
main.command("progress")(progress.progress)
main.command("estimate")(estimate.estimate)
main.command("generate")(generate.generate)
main.command("classify")(classify.classify)
main.command("ask")(ask.ask)
main.command("doctor")(doctor.doctor)


@main.command(
    "data",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def _data(context: typer.Context) -> None:
    """Data sets: list, fetch, verify."""
    from lmbook.cli import data  # imported only now: it reads the registry

    data.app(args=context.args, prog_name="lmbook data")


__all__ = ["main"]
