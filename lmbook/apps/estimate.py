"""What a model takes to train, on one page: parameters, FLOP, memory, time, energy and price.

    estimate("GPT-3", accelerator="A100", count=1024)
    estimate(Transformer(32, 4096, 32), tokens=2e12)

Every formula is another room's: `lmbook.parallel.planner` counts parameters, FLOP, bytes, hours and rent,
`lmbook.accelerators` energy and carbon. What the caller leaves open is assumed, and listed in `assumed`.
"""

from dataclasses import dataclass
from math import ceil

from lmbook.accelerators import Footprint, footprint
from lmbook.parallel.planner import (
    Bill,
    Cluster,
    PublishedModel,
    Transformer,
    bill,
    published,
    published_model,
    state_bytes,
)

DAYS, UTILISATION, PUE, GRID, TOKENS_PER_PARAMETER = 90, 0.4, 1.1, 400.0, 20
"""Assumed where nothing is said: days of the run, share of the peak, PUE, grams of CO2e a kWh, tokens."""

SHAPES = {
    "GPT-3 (175B)": Transformer(96, 12288, 96, 50257, 2048),
    "GPT-2 (1.5B)": Transformer(48, 1600, 25, 50257, 1024),
    "Llama 3.1 (405B)": published.LLAMA_405B,
    "PaLM (540B)": published.PALM_540B,
    "Megatron-Turing NLG 530B": published.MT_NLG_530B,
    "DeepSeek-V3": published.DEEPSEEK_V3,
}
"""Shapes of models of the table, where the planner has them: their FLOP are counted with attention."""

REUSED = {
    "convolutional": "convolutions, whose weights work at many places of an input",
    "embedding tables": "tables, of which an example reads a few rows",
}
"""Architectures in which a weight does not work once for each token."""

SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Estimate:
    """The answer. `flop` of the whole run; `weights` and `state` in bytes; `assumed` in words.

    `published` is the model's row of the table, where the estimate is of that run: the same tokens.
    """

    name: str
    parameters: float
    active: float
    tokens: float
    flop: float
    weights: float
    state: float
    cluster: Cluster
    utilisation: float
    bill: Bill
    footprint: Footprint
    assumed: tuple[str, ...]
    published: PublishedModel | None = None


def quantity(text: str) -> float:
    """A number with an optional K, M, B (or G) or T: "15T" is 15e12. Raises `ValueError` otherwise."""
    plain = text.strip().upper().replace(",", "").replace("_", "")
    factor = SUFFIXES.get(plain[-1:], 1.0)
    try:
        value = float(plain[:-1] if factor > 1 else plain) * factor
    except ValueError:
        raise ValueError(f"{text!r} is no number; write 15T, 70B, 1.5e9 or 125M") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"{text!r} must be above 0 and finite")
    return value


def estimate(
    model: str | Transformer | float,
    tokens: float | None = None,
    accelerator: str = "H100",
    count: int | None = None,
    utilisation: float | None = None,
    precision: str = "bf16",
    pue: float | None = None,
    grid: float | None = None,
) -> Estimate:
    """What training takes, from a published model's name, a shape, or a number of parameters.

    FLOP: of a shape, `flops_per_token` times the tokens; else 6 N D, with the active parameters of a
    mixture. State: 16 bytes a parameter. Time: FLOP / (count x peak x utilisation). Energy: hours x the
    accelerator's design power x `pue`; carbon at `grid` grams a kWh. Rent: hours x the prices of the table.

    Raises `KeyError` for a name that is not in a table, `ValueError` for a model whose size was not
    published or whose weights do not work once for each token, and for numbers out of range.
    """
    assumed: list[str] = []
    row: PublishedModel | None = None
    if isinstance(model, (int, float)):
        name, shape, parameters, active = "a model", None, float(model), float(model)
    elif isinstance(model, Transformer):
        name, shape = f"{model.layers} layers, width {model.hidden}", model
        parameters, active = float(model.parameters()), float(model.active_parameters())
    else:
        row = published_model(model)
        name, parameters, active = row.name, row.parameters, row.active
        shape = SHAPES.get(name)
        if tokens is None and row.tokens:
            tokens = row.tokens
        if not parameters:
            raise ValueError(f"estimate: the size of {name} was not published; give the parameters")
        if row.architecture in REUSED:
            raise ValueError(
                f"estimate: {name} is built of {REUSED[row.architecture]}; 6 N D does not hold for it"
            )
        if row.architecture == "mixture of experts" and active == parameters:
            assumed.append("all parameters work on each token; how many do was not published")
    if not parameters > 0:
        raise ValueError(f"estimate: {parameters:g} parameters must be above 0")
    if tokens is None:
        tokens = TOKENS_PER_PARAMETER * active
        assumed.append(f"{TOKENS_PER_PARAMETER} tokens for each active parameter")
    if not tokens > 0:
        raise ValueError(f"estimate: {tokens:g} tokens must be above 0")
    per_token = shape.flops_per_token() if shape else 6 * active
    if shape is None:
        assumed.append("6 FLOP for each active parameter and token, attention left out")

    utilisation = _or(utilisation, UTILISATION, "of the peak is reached", assumed)
    if not 0 < utilisation <= 1:
        raise ValueError(f"estimate: a utilisation of {utilisation:g} must be above 0, at most 1")
    pue = _or(pue, PUE, "is the site's energy over its computers' (PUE)", assumed)
    grid = _or(grid, GRID, "g of CO2e for each kWh", assumed)
    one = Cluster.of(accelerator, 1, precision)
    state = state_bytes(parameters, ranks=1)
    if count is None:
        needed = per_token * tokens / (one.peak * utilisation * DAYS * 86400)
        count = max(ceil(needed), ceil(state / one.memory))
        assumed.append(f"{count:,} accelerators: enough to hold the state and end in {DAYS} days")
    if count < 1:
        raise ValueError(f"estimate: {count} accelerators must be at least 1")
    if state > count * one.memory:
        assumed.append(
            "the state does NOT fit: some of it would have to lie outside the accelerators"
        )
    cluster = Cluster.of(accelerator, count, precision)
    speed = count * cluster.peak * utilisation / per_token
    spent = bill(cluster, speed, tokens)
    used = footprint(spent.hours, cluster.watts, pue, grid)
    if cluster.watts:
        assumed.append("accelerators draw their design power; hosts and network are left out")
    return Estimate(
        name, parameters, active, tokens, per_token * tokens, 2 * parameters, state, cluster,
        utilisation, spent, used, tuple(assumed), row if row and row.tokens == tokens else None,
    )  # fmt: skip


def _or(given: float | None, default: float, what: str, assumed: list[str]) -> float:
    """The number given, or the default, which is then noted."""
    if given is None:
        assumed.append(f"{default:g} {what}")
        return default
    return given


def rows(found: Estimate) -> list[tuple[str, str]]:
    """The estimate as lines of a table: what, and how much with its unit."""
    lines = [("parameters", _count(found.parameters))]
    if found.active != found.parameters:
        lines.append(("of them active on a token", _count(found.active)))
    cluster, bytes_each = found.cluster, found.state / found.cluster.accelerators
    lines += [
        ("tokens", _count(found.tokens)),
        ("FLOP of training", f"{found.flop:.3g}"),
        ("weights at 2 bytes", f"{_round(found.weights / 1e9)} GB"),
        ("state of training at 16 bytes", f"{_round(found.state / 1e9)} GB"),
        ("state on each, divided", f"{bytes_each / 1e9:,.3g} of {cluster.memory / 1e9:g} GB"),
        ("accelerators", f"{cluster.accelerators:,} {cluster.name}"),
        ("speed of each", f"{cluster.peak * found.utilisation / 1e12:,.4g} TFLOP/s"),
        ("time", _time(found.bill.days)),
        ("accelerator-hours", _round(found.bill.hours)),
    ]  # fmt: skip
    if cluster.watts:
        lines.append(("energy", f"{_round(found.footprint.energy / 1000)} MWh"))
        lines.append(("carbon", f"{_round(found.footprint.carbon)} t CO2e"))
    else:
        lines.append(("energy", "unknown: no design power was published"))
    rent = " to ".join(_round(dollars) for dollars in found.bill.rent)
    lines.append(("rent", f"{rent} dollars" if rent else "unknown: no price in the table"))
    return lines + _beside(found)


def _beside(found: Estimate) -> list[tuple[str, str]]:
    """What was published of the same run, and how far the estimate is from it."""
    row, lines = found.published, []
    if row and row.flop:
        how = " (by a rule like this one)" if row.by_rule else ""
        lines.append(
            (
                "FLOP as published",
                f"{row.flop:.3g}, the estimate {found.flop / row.flop - 1:+.0%}{how}",
            )
        )
    if row and row.hours:
        lines.append(("hours as published", f"{_round(row.hours)} on {row.accelerator}"))
    return lines


def _round(number: float) -> str:
    """Four digits that count, with thousands apart and without an exponent."""
    short = float(f"{number:.4g}")
    return f"{short:,.0f}" if short >= 1000 else f"{short:g}"


def _count(number: float) -> str:
    for unit, size in (("trillion", 1e12), ("billion", 1e9), ("million", 1e6)):
        if number >= size:
            return f"{number / size:,.4g} {unit}"
    return f"{number:,.0f}"


def _time(days: float) -> str:
    if days < 1 / 24:
        return f"{days * 86400:,.3g} seconds"
    if days < 2:
        return f"{days * 24:,.3g} hours"
    return f"{days:,.3g} days" if days < 1000 else f"{days / 365.25:,.3g} years"
