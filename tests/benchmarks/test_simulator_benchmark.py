"""The benchmark of the simulator compares products before it tells times, and says what it lacks."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import simulator
from lmbook.gpu import Kernel


@pytest.mark.slow
def test_both_simulators_are_timed() -> None:
    ours, races, numba = simulator.rows(["lmbook", "lmbook, races", "numba"], 1e-9, first=32)
    assert [r["simulator"] for r in (ours, races)] == ["lmbook", "lmbook, looking for races"]
    assert (
        {r["largest"] for r in (ours, races, numba)}
        == {32}
        == {r["scaled_from"] for r in (ours, numba)}
    )
    assert float(ours["seconds"]) == pytest.approx(float(ours["largest_seconds"]) * 16**3, rel=0.02)
    assert float(numba["seconds"]) > float(ours["seconds"])


def test_sizes_double_while_patience_lasts() -> None:
    calls: list[int] = []

    def once(n: int) -> float:
        calls.append(n)
        return n**3 / 1e6 + (0.5 if calls.count(n) == 1 else 0)

    times = simulator.climb(once, 20, 64, 4096)
    assert times == {64: 64**3 / 1e6, 128: 128**3 / 1e6, 256: 256**3 / 1e6 + 0.5}
    assert calls == [64] * 3 + [128] * 3 + [256]
    assert list(simulator.climb(once, 20, 64, 128)) == [64, 128]


def test_a_wrong_product_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "SOURCE", simulator.SOURCE.replace("sum = 0.0f", "sum = 1.0f"))
    with pytest.raises(RuntimeError, match="no time is worth printing"):
        simulator.ours(16, False)
    assert Kernel(simulator.SOURCE, "matmul").program.shared_bytes == 2 * 16 * 16 * 4
    with pytest.raises(RuntimeError, match="triton's product is not NumPy's"):
        simulator.checked("triton", 64, 1.0, float("nan"))


def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulator, "find_spec", lambda name: None if name == "triton" else name)
    assert simulator.main(["--contenders", "lmbook", "triton64"]) == 2
    assert "needs pip install triton; without: --contenders lmbook 'lmbook, races' numba" in (
        capsys.readouterr().out
    )


def test_promises_go_either_way() -> None:
    rows = [
        {"simulator": "lmbook", "seconds": "0.5"},
        {"simulator": "numba's simulator", "seconds": "60"},
    ]
    assert simulator.kept(rows)
    assert not simulator.kept([{**rows[0], "seconds": "3.1"}, {**rows[1], "seconds": "900"}])
    assert not simulator.kept([rows[0], {**rows[1], "seconds": "49"}])


def test_the_page_tells_times_of_all_and_the_promises_hold() -> None:
    with Path(simulator.FACTS).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["simulator"], int(r["tile"])) for r in rows] == [*simulator.CONTENDERS.values()]
    assert simulator.kept(rows)
