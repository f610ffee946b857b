"""Whole models against a reference: each comparison has its limit, and is recorded for the page Models.

    close(Pair("gpt2", models.GPT, "transformers GPT2LMHeadModel"), "logits", ours, theirs, 1e-5)
    sized("gpt2-xl", models.GPT, model.num_parameters(), count, "transformers GPT2LMHeadModel")

Records are lines of JSON, appended to the file that the environment variable LMBOOK_MODEL_RECORDS names.
`python -m book.tools.models` sets it, runs these tests, and makes registers and page of what they note.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RECORDS = "LMBOOK_MODEL_RECORDS"


@dataclass(frozen=True)
class Pair:
    """A model of ours, what it is held against, and whose names the weights had on their way."""

    name: str
    ours: type
    theirs: str  # a library and its class, or what else says what is right
    names: str = ""
    real: bool = False  # trained weights, not random ones


def note(kind: str, ours: type, /, **record: Any) -> None:
    """Append a record, with the running test and our class, if the environment asks for it."""
    if path := os.environ.get(RECORDS):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split("[")[0].split(" ")[0]
        who = {"kind": kind, "test": test, "module": ours.__module__, "model": ours.__name__}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(who | record) + "\n")


def close(
    pair: Pair, compared: str, got: Any, want: Any, limit: float, per: str = "", unit: float = 1.0
) -> None:
    """Raise unless |got - want| <= limit, entry by entry, in the unit that `per` names.

    `per` is "" for the difference itself, "1 + |y|" for a share of that, or names `unit`, by which both
    sides are divided. Several calls with the same pair, compared and type are one row of the page.
    """
    a, b = np.asarray(got), np.asarray(want)
    assert a.shape == b.shape, (pair.name, compared, a.shape, b.shape)
    assert np.isfinite(b).all(), (pair.name, compared, "the reference is no number")
    if a.dtype.kind != "f":
        return np.testing.assert_array_equal(a, b, f"{pair.name}, {compared}")
    relative = per == "1 + |y|"
    a64, b64 = a.astype(np.float64) / unit, b.astype(np.float64) / unit
    np.testing.assert_allclose(
        a64, b64, rtol=limit if relative else 0, atol=limit, err_msg=f"{pair.name}, {compared}"
    )
    gap = np.abs(a64 - b64) / (1 + np.abs(b64) if relative else 1)
    note(
        "logits", pair.ours, name=pair.name, theirs=pair.theirs, names=pair.names, real=pair.real,
        compared=compared, per=per, dtype=str(a.dtype), values=int(a.size), limit=limit,
        difference=float(gap.max(initial=0.0)),
    )  # fmt: skip


def sized(
    name: str, kind: type, ours: int, theirs: float, source: str, within: float = 0.0,
    counted: str = "parameters",
) -> None:  # fmt: skip
    """Raise unless a count of ours is the reference's, or within a share of what is printed rounded."""
    assert abs(ours - theirs) <= within * theirs, (name, ours, theirs, source)
    note("sizes", kind, name=name, counted=counted, ours=ours, theirs=theirs, source=source,
         within=within)  # fmt: skip
