"""The benchmark of the simulator compares products before it tells times."""

import pytest

from benchmarks import simulator
from lmbook.gpu import Kernel


@pytest.mark.slow
def test_both_simulators_are_timed() -> None:
    found = simulator.rows(n=64, small=16, rounds=1)
    assert [(r["simulator"], r["races"]) for r in found] == [
        ("lmbook", False), ("lmbook", True), ("numba, scaled from 16 x 16", False),
    ]  # fmt: skip
    assert found[0]["times_faster_than_numba"] == found[2]["seconds"] / found[0]["seconds"] > 1


def test_a_wrong_product_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "SOURCE", simulator.SOURCE.replace("sum = 0.0f", "sum = 1.0f"))
    with pytest.raises(RuntimeError, match="no time is worth printing"):
        simulator.ours(16, False, 1)
    assert Kernel(simulator.SOURCE, "matmul").program.shared_bytes == 2 * 16 * 16 * 4
