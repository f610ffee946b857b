"""`lmbook estimate`: parameters, FLOP, memory, time, energy and price of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lmbook.apps.estimate import Estimate


def estimate(
    model: Annotated[
        str | None, typer.Argument(help="A published model: gpt3, 'Llama 3.1'.")
    ] = None,
    parameters: Annotated[str | None, typer.Option(help="In place of a name: 70B.")] = None,
    layers: Annotated[int | None, typer.Option(help="In place of a name, with --width.")] = None,
    width: Annotated[int | None, typer.Option(help="Width of the vectors.")] = None,
    heads: Annotated[int | None, typer.Option(help="Default: of size 128, if that fits.")] = None,
    kv_heads: Annotated[int | None, typer.Option(help="Default: as many as heads.")] = None,
    ffn: Annotated[
        int | None, typer.Option(help="Width of the MLP; default 4 times the width.")
    ] = None,
    vocab: Annotated[int, typer.Option(help="Entries of the vocabulary.")] = 50257,
    sequence: Annotated[int, typer.Option(help="Positions.")] = 2048,
    llama: Annotated[bool, typer.Option("--llama", help="Layers like Llama's, not GPT's.")] = False,
    tokens: Annotated[str | None, typer.Option(help="Read in training: 15T.")] = None,
    accelerator: Annotated[str, typer.Option(help="H100, A100, 'TPU v4', ...")] = "H100",
    count: Annotated[int | None, typer.Option(help="Accelerators; default: for 90 days.")] = None,
    utilisation: Annotated[
        float | None, typer.Option(help="Share of the peak; default 0.4.")
    ] = None,
    precision: Annotated[str, typer.Option(help="bf16 or fp8.")] = "bf16",
    pue: Annotated[float | None, typer.Option(help="Energy of site over computers.")] = None,
    grid: Annotated[float | None, typer.Option(help="Grams of CO2e a kWh.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """What a model takes to train. Exit code 2 for a model or a number that makes no sense."""
    from lmbook.apps.estimate import estimate as run
    from lmbook.apps.estimate import quantity
    from lmbook.parallel.planner import Transformer

    ways = [model is not None, parameters is not None, layers is not None or width is not None]
    try:
        if sum(ways) != 1:
            raise ValueError("say one of these: a NAME, --parameters, or --layers with --width")
        what: str | float | Transformer
        if model is not None:
            what = model
        elif parameters is not None:
            what = quantity(parameters)
        else:
            what = _shape(layers, width, heads, kv_heads, ffn, vocab, sequence, llama)
        read = quantity(tokens) if tokens is not None else None
        found = run(what, read, accelerator, count, utilisation, precision, pue, grid)
    except (KeyError, ValueError) as error:
        typer.echo(f"lmbook estimate: {error.args[0]}", err=True)
        raise typer.Exit(2) from None
    _show(found, as_json)


def _shape(
    layers: int | None, width: int | None, heads: int | None, kv_heads: int | None,
    ffn: int | None, vocab: int, sequence: int, llama: bool,
) -> Any:  # fmt: skip
    from lmbook.parallel.planner import Transformer

    if layers is None or width is None:
        raise ValueError("--layers and --width belong together")
    if heads is None:
        heads = 1 if width % 128 else width // 128
    shared = heads if kv_heads is None else kv_heads
    inner = 4 * width if ffn is None else ffn
    sizes = {"--layers": layers, "--width": width, "--heads": heads, "--vocab": vocab,
             "--sequence": sequence, "--kv-heads": shared, "--ffn": inner}  # fmt: skip
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} {value} must be at least 1")
    if width % heads:
        raise ValueError(f"--width {width} must be a multiple of --heads {heads}")
    if heads % shared:
        raise ValueError(f"--heads {heads} must be a multiple of --kv-heads {shared}")
    return Transformer(layers, width, heads, vocab, sequence, ffn, kv_heads, llama)


def _show(found: Estimate, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from lmbook.apps.estimate import rows

    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    typer.echo(found.name)
    lines = rows(found)
    for what, how_much in lines:
        typer.echo(f"  {what:{max(len(w) for w, _ in lines)}}  {how_much}")
    typer.echo("Assumed:")
    for line in found.assumed or ("nothing",):
        typer.echo(f"  {line}")
