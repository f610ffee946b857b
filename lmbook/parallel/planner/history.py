"""Models from 1958 to 2026: their sizes, data and arithmetic as published, each with its source."""

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class PublishedModel:
    """A row of the table; numbers are 0 where nothing is published.

    `active` is the number of parameters that work on a token, all of them unless a mixture says otherwise;
    `tokens` the tokens read in training; `flop` the arithmetic of training, and `basis` how that number
    was found; `hours` accelerator-hours on `accelerator`, as said in `hours_source`.
    """

    name: str
    organisation: str
    country: str
    date: str
    domain: str
    architecture: str
    parameters: float
    active: float
    tokens: float
    flop: float
    basis: str
    accelerator: str
    hours: float
    hours_source: str
    publication: str
    source: str
    note: str

    @property
    def year(self) -> float:
        """The date as a number: 2020.5 is the middle of 2020, also where only the year is known."""
        year, month, day = (*(int(p) for p in self.date.split("-")), 0, 0)[:3]
        return year + ((month - 1 + (day - 1 if day else 14.5) / 30.5) / 12 if month else 0.5)

    @property
    def by_rule(self) -> bool:
        """Whether `flop` was made from parameters and tokens by a formula, so that it cannot test one."""
        return "6*N*D" in self.basis or "formula" in self.basis


@cache
def published_models() -> tuple[PublishedModel, ...]:
    """All models of the table, oldest first."""
    return tuple(dict.fromkeys(_names().values()))


@cache
def _names() -> dict[str, PublishedModel]:
    """Models by name and other name, both in small letters without blanks and hyphens."""
    found = {}
    with (files("lmbook.parallel.planner") / "models.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            parameters = float(row["parameters"] or 0)
            one = PublishedModel(
                row["name"], row["organisation"], row["country"], row["date"], row["domain"],
                row["architecture"], parameters, float(row["active_parameters"] or parameters),
                float(row["tokens"] or 0), float(row["training_flop"] or 0), row["flop_basis"],
                row["accelerator"], float(row["accelerator_hours"] or 0), row["hours_source"],
                row["publication"], row["source"], row["note"],
            )  # fmt: skip
            for name in (row["name"], *filter(None, row["aliases"].split("|"))):
                found[_plain(name)] = one
    return found


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c not in " -_")


def published_model(name: str) -> PublishedModel:
    """A model by its name, however it is spaced ("gpt3", "Llama 3.1"). Raises `KeyError` with near ones."""
    found = _names().get(_plain(name))
    if found is None:
        near = get_close_matches(_plain(name), _names(), 4, 0.5)
        hint = ", ".join(sorted({_names()[n].name for n in near})) or "GPT-3, PaLM, Llama 3.1, ..."
        raise KeyError(
            f"published_model: {name!r} is not in the table of {len(published_models())} models; "
            f"near it are {hint}"
        )
    return found
