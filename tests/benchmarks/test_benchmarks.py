"""The benchmark does equal work, refuses unequal work, and writes what the page reads. No times here."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import chart, report
from benchmarks.ours import Ours
from benchmarks.runner import VARIANTS, Result, compare, environment, measure
from benchmarks.theirs import Theirs
from benchmarks.workloads import WORKLOADS, Workload, data, products

sys.path.append(str(Path(__file__).resolve().parents[2] / "book" / "_ext"))


@pytest.fixture(scope="module")
def result() -> Result:
    return measure(WORKLOADS["mlp-64"], rounds=2, seconds=0.02, threads=1)


def test_the_smallest_workload_runs_in_every_variant(result: Result) -> None:
    assert set(result.blocks) >= {"eager", "tuned", "numpy", "fast"}
    assert all(len(times) == 2 and min(times) > 0 for times in result.blocks.values())
    assert all(20 < mb < 5000 for mb in result.memory.values())
    assert 0 < result.difference < 1e-5 and result.ratio("eager") == 1
    assert set(result.floor) == {"eager", "numpy"} and min(result.floor.values()) > 0


def test_the_table_and_the_register(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.StringIO()
    Console(file=text, width=300).print(report.table([result]))
    shown = text.getvalue()
    assert all(VARIANTS[v][2] in shown for v in result.blocks)
    assert WORKLOADS["mlp-64"].title in shown and "Geometric mean" in shown
    facts, machine = tmp_path / "speed.csv", tmp_path / "machine.csv"
    monkeypatch.setattr(report, "FACTS", facts)
    monkeypatch.setattr(report, "MACHINE", machine)
    monkeypatch.setattr(chart, "FACTS", facts)
    other = Result(WORKLOADS["cnn"], result.blocks, result.dropped, result.memory)
    report.write([other], {"threads": "1"})
    report.write([result], {"threads": "2"})
    rows = report.read(facts)
    assert [r["workload"] for r in rows] == ["mlp-64"] * 4 + ["cnn"] * 4  # kept, in the usual order
    assert {r["variant"]: r["ratio"] for r in rows}["eager"] == "1.000"
    assert report.read(machine) == [{"what": "threads", "value": "2"}]
    picture = chart.draw(tmp_path / "speed.png")
    assert picture.stat().st_size > 5000


SMALL = {
    "mlp": Workload("mlp", "", "mlp", 3),
    "cnn": Workload("cnn", "", "cnn", 2),
    "resnet": Workload("resnet", "", "resnet", 2),
    "lstm": Workload("lstm", "", "lstm", 3, {"hidden": 5, "length": 4}, shards=2),
    "gpt": Workload(
        "gpt", "", "gpt", 3, {"layers": 2, "heads": 2, "width": 8, "length": 6}, shards=2
    ),
}


@pytest.mark.parametrize("backend", ["numpy", "fast"])
@pytest.mark.parametrize("kind", SMALL)
def test_both_libraries_do_the_same(kind: str, backend: str, tmp_path: Path) -> None:
    """Gradients from the same weights, at small sizes; every kind but writing, which is below."""
    ours, theirs = Ours(SMALL[kind], backend), Theirs(SMALL[kind], "eager")
    theirs.load(ours.state())
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(a, **ours.result())
    np.savez(b, **theirs.result())
    assert compare(SMALL[kind], a, b) < 1e-4
    before = {n: x.copy() for n, x in ours.state().items()}
    for _ in range(2):
        ours.step()
        theirs.step()
    after = {n: t.detach().numpy() for n, t in theirs.model.state_dict().items()}
    assert any(not np.array_equal(before[n], x) for n, x in ours.state().items())
    for name, x in ours.state().items():
        np.testing.assert_allclose(x, after[name], atol=2e-3, err_msg=name)  # two steps of 1e-3


def test_both_write_the_same_text() -> None:
    w = WORKLOADS["generate-128"]
    ours, theirs = Ours(w, "numpy"), Theirs(w, "eager")
    theirs.load(ours.state())
    np.testing.assert_array_equal(ours.result()["tokens"], theirs.result()["tokens"])


def test_unequal_work_is_not_compared(tmp_path: Path) -> None:
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(a, w=np.array([1.0, 2.0]))
    np.savez(b, w=np.array([1.0, 2.001]))
    with pytest.raises(ValueError, match="unequal work is not compared"):
        compare(WORKLOADS["cnn"], a, b)
    np.savez(b, v=np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="names differ"):
        compare(WORKLOADS["cnn"], a, b)


def test_workers_get_equal_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    found = environment(3)
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & set(found)
    assert {found[f"{n}_NUM_THREADS"] for n in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"3"}


def test_the_products_are_those_of_the_network() -> None:
    """784-256-128-10 on 64 rows: 2 x 64 x 234,752 operations forward, thrice that with backward."""
    total = sum(c * 2 * z * m * k * n for c, (z, m, k, n) in products(WORKLOADS["mlp-64"]))
    assert total == 3 * 2 * 64 * (784 * 256 + 256 * 128 + 128 * 10)
    x, y = data(WORKLOADS["gpt-128"])[0]
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])


def test_the_page_has_every_workload_and_tells_what_is_missed() -> None:
    import speed

    rows = report.read(report.FACTS)
    assert {r["workload"] for r in rows} == set(WORKLOADS), "run python -m benchmarks"
    assert chart.PICTURE.exists()
    late = [r for r in rows if r["variant"] == "fast" and float(r["ratio"]) > 0.955]
    missed = speed.shortfalls()
    assert all(any(line.startswith(r["title"]) for line in missed) for r in late)
    assert f"{speed.mean('eager'):.2f}" == "1.00"
