"""`lmbook lab`: JupyterLab at the chapters."""

from __future__ import annotations

from typing import Annotated

import typer


def lab(
    context: typer.Context,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int, typer.Option(help="Port to try first.")] = 8888,
) -> None:
    """Open the book's notebooks in JupyterLab. Further options go to JupyterLab, such as --allow-root."""
    import signal
    import subprocess
    import sys
    from importlib.util import find_spec

    from lmbook.cli import checkout

    root = checkout.root()
    if find_spec("jupyterlab") is None:
        typer.echo('JupyterLab is not installed: pip install "lmbook[book]"', err=True)
        raise typer.Exit(2)
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={root}", f"--port={port}"]
    first = next(iter(sorted((root / "chapters").glob("*/*.ipynb"))), None)
    if first:
        command.append(f"--LabApp.default_url=/lab/tree/{first.relative_to(root).as_posix()}")
    if not browser:
        command.append("--no-browser")
    typer.echo("JupyterLab starts; stop it here with Ctrl+C.")
    # Ctrl+C reaches JupyterLab too, which asks, and ends its kernels: wait for it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run([*command, *context.args], cwd=root).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    raise typer.Exit(code)
