"""The parity page says what the tests compare, and its register covers every public operation."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path

import pytest

from book.tools import parity
from lmbook import functional, nn, optim
from lmbook.optim import lr_scheduler

ROOT = Path(__file__).resolve().parents[2]
NO_LAYERS = {
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
}  # they hold others and compute nothing
OURS_ALONE = {"LRScheduler", "WarmupCosineLR", "Lion"}  # the base, and what PyTorch has not


def named() -> set[str]:
    return {row["name"] for row in parity.stated()}


@pytest.mark.slow
def test_the_register_has_the_operations_that_the_tests_compare() -> None:
    """Same names, variants, inputs, shapes and backends, from the tests themselves."""
    found = parity.complaints(parity.stated(), parity.rows(parity.records(count=True)), count=True)
    assert not found, "\n".join([*found, "run `python -m book.tools.parity`"])


def test_every_function_and_layer_has_a_row() -> None:
    layers = {n for n in nn.__all__ if inspect.isclass(getattr(nn, n))} - NO_LAYERS
    optimisers = {n for n in optim.__all__ if inspect.isclass(getattr(optim, n))}
    optimisers -= {"Optimizer"} | OURS_ALONE
    schedules = {
        n for n, c in vars(lr_scheduler).items()
        if inspect.isclass(c) and issubclass(c, lr_scheduler.LRScheduler)
    } - OURS_ALONE  # fmt: skip
    wanted = {f"functional.{n}" for n in functional.__all__} | {f"nn.{n}" for n in layers}
    wanted |= {f"optim.{n}" for n in optimisers} | {f"optim.lr_scheduler.{n}" for n in schedules}
    assert wanted == {
        name for name in named() if name.split(".")[0] in ("functional", "nn", "optim")
    }


def test_errors_are_inside_the_limits_and_nothing_is_left_out() -> None:
    for row in parity.stated():
        name = row["name"]
        assert 0 < float(row["float64"]) <= 1e-8, name
        assert row["float32"] == "" or 0 < int(row["float32"]) <= 100, name
        assert int(row["inputs"]) > 0, name
        if row["room"] in ("distributed", "parallel"):
            assert row["backends"] == "numpy" and row["float32"] == "", name
        elif not name.startswith("optim."):
            assert row["backends"] == "numpy numba", name
        if name.startswith(("functional.", "nn.")):
            assert row["float32"] and (row["gradients"], row["differences"]) == ("yes", "yes"), name


def test_the_page_shows_every_room() -> None:
    page = (ROOT / "book" / "parity.md").read_text(encoding="utf-8")
    for room in {row["room"] for row in parity.stated()}:
        assert f"```{{parity}} {room}\n" in page


def test_a_register_that_is_out_of_step_is_noticed() -> None:
    said = parity.stated()
    assert parity.complaints(said, said) == []
    assert parity.complaints(said[1:], said) == [
        f"{said[0]['name']}: compared, not in the register"
    ]
    assert "compared by no test" in parity.complaints(said, said[1:])[0]
    for column, value in [("float64", "1e-9"), ("float32", "101"), ("inputs", "1"), ("variants", "x"),
                          ("gradients", "no"), ("backends", "numpy")]:  # fmt: skip
        measured = copy.deepcopy(said)
        measured[0][column] = value
        found = parity.complaints(said, measured)
        assert len(found) == 1 and column in found[0] and said[0]["name"] in found[0]
        errors = column in ("float64", "float32")
        assert bool(parity.complaints(said, measured, count=True)) != errors
    smaller = [{**row, "float64": "1e-16", "float32": row["float32"] and "1"} for row in said]
    assert parity.complaints(said, smaller) == []


def test_records_become_rows() -> None:
    record = {
        "name": "nn.Thing", "draws": 3, "shapes": ["(2, 3) (3,)", "(1, 1) (1,)"], "error64": 3e-15,
        "used32": 0.4, "gradients": True, "finite": False, "backends": ["numpy"],
        "dtypes": ["float64", "float32"],
    }  # fmt: skip
    other = {
        **record,
        "name": "nn.Thing, no bias, twice",
        "error64": 1e-16,
        "used32": 0.0,
        "shapes": [],
    }
    (row,) = parity.rows([record, other])
    assert row == {
        "room": "nn", "name": "nn.Thing", "variants": "no bias, twice", "inputs": "6", "shapes": "2",
        "largest": "(2, 3) (3,)", "float64": "1e-13", "float32": "60", "gradients": "yes",
        "differences": "none", "backends": "numpy",
    }  # fmt: skip
    (bare,) = parity.rows([record, other], 1, 1)
    assert (bare["float64"], bare["float32"]) == ("1e-14", "40")
