"""The page of GPU kernels is in step; its registers are what the readers find when they run again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from book.tools import kernel_facts as facts
from book.tools import kernels
from book.tools.kernel_claims import ABOUT, CLAIMS, RUNGS, SIZES
from lmbook.gpu import nvrtc
from lmbook.gpu.kernels import LADDER
from tests.gpu import host_build
from tests.gpu.agreement import EXCEPTIONS, SAME

needs_compiler = pytest.mark.skipif(
    not nvrtc.available() and not os.environ.get("CI"),
    reason='no NVRTC here: pip install "lmbook[nvrtc]"',
)
needs_host = pytest.mark.skipif(
    not host_build.available() and not os.environ.get("CI"), reason="needs g++"
)
QUICK = ("copy", "transpose", "softmax", "bias_gelu", "adamw", "topk")
SIMULATED: dict[str, facts.Reader] = {"simulator": facts.simulated}


def stated(key: str, path: Path, columns: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The register's rows of a rung, without the columns named."""
    return [{k: v for k, v in row.items() if k not in columns} for row in kernels.of(key, path)]


def within(found: list[dict[str, str]], key: str, reader: str) -> None:
    """The bounds found now are at most those of the register, for the same versions and sizes."""
    said = stated(key, facts.AGREEMENT)
    assert [(r["version"], r["sizes"]) for r in found] == [(r["version"], r["sizes"]) for r in said]
    for now, then in zip(found, said, strict=True):
        assert float(now[reader]) <= float(then[reader]), (key, now, then)


def test_the_page_is_in_step() -> None:
    assert kernels.page() == kernels.FILE.read_text(encoding="utf-8"), (
        "run `python -m book.tools.kernels`"
    )


def test_a_stale_page_is_named(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(kernels, "FILE", tmp_path / "kernels.md")
    assert kernels.main(["--check"]) == 1
    assert "book/kernels.md is out of step" in capsys.readouterr().out
    assert kernels.main([]) == 0 == kernels.main(["--check"])
    (tmp_path / "kernels.md").write_text("old", encoding="utf-8")
    assert kernels.main(["--check"]) == 1


@pytest.mark.parametrize("key", RUNGS)
def test_the_simulator_counts_what_the_registers_say(key: str) -> None:
    counters, claims = facts.counted(key, SIMULATED)
    assert counters == [r for r in stated(key, facts.COUNTED) if r["by"] == "simulator"]
    assert claims == stated(key, facts.CLAIMED, ("ptx",))
    assert [r["simulator"] for r in claims] == [r["theory"] for r in claims]


@pytest.mark.parametrize("key", QUICK)
def test_the_simulator_agrees_with_numpy_as_the_register_says(key: str) -> None:
    within(facts.agreement(key, SIMULATED), key, "simulator")


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in RUNGS if key not in QUICK])
def test_all_of_them_do(key: str) -> None:
    within(facts.agreement(key, SIMULATED), key, "simulator")


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("key", RUNGS)
def test_compiled_code_gives_what_the_registers_say(key: str) -> None:
    readers = {**SIMULATED, "ptx": facts.compiled}
    found = facts.agreement(key, readers)
    within(found, key, "ptx")
    assert [r["unequal"] for r in found] == [r["unequal"] for r in stated(key, facts.AGREEMENT)]
    same_compiler = nvrtc.version() == dict(r.values() for r in facts.read(facts.TOOLS))["NVRTC"]
    counters, claims = facts.counted(key, readers)
    loose = () if same_compiler else ("operations", "threads", "flops", "branches", "divergent")
    assert [{k: v for k, v in r.items() if k not in loose} for r in counters] == stated(
        key, facts.COUNTED, loose
    )
    assert claims == stated(key, facts.CLAIMED)
    now, then = facts.built(key), stated(key, facts.COMPILED)
    assert now == then or not same_compiler
    for a, b in zip(now, then, strict=True):  # another compiler may use some registers more or less
        assert a | {"registers": ""} == b | {"registers": ""}
        assert abs(int(a["registers"]) - int(b["registers"])) <= 16


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize("key", RUNGS)
def test_the_host_build_gives_what_the_register_says(key: str, tmp_path: Path) -> None:
    within(facts.agreement(key, {"host": facts.host(tmp_path)}), key, "host")


def test_registers_hold_every_version_and_kernel_once() -> None:
    assert set(RUNGS.values()) == set(LADDER) and len(RUNGS) == len(LADDER)
    assert set(SIZES) == set(ABOUT) == set(CLAIMS) == set(RUNGS) == set(kernels.SECTIONS)
    found = [(r["rung"], r["version"]) for r in facts.read(facts.AGREEMENT)]
    parts = {("copy", "copy2_offset"), ("copy", "copy3_strided")}
    assert len(found) == len(set(found))
    assert set(found) == parts | {(k, name) for k, rung in RUNGS.items() for name in rung.versions}
    assert {r["kernel"] for r in facts.read(facts.COMPILED)} >= {
        k for rung in LADDER for k in rung.kernels
    } - {"copy2_offset", "copy3_strided"}
    claimed = {c.version.split()[0] for claims in CLAIMS.values() for c in claims}
    assert len(claimed) >= 45  # all but a few versions have something that can be worked out
    assert all(int(r["spilled"]) == 0 for r in facts.read(facts.COMPILED))


def test_the_page_names_every_version_and_every_survivor() -> None:
    text = kernels.page()
    for rung in LADDER:
        for name, version in rung.versions.items():
            assert f"- *{kernels.short(name)}*: {kernels.reason(version.why)}" in text
    rows = facts.read(kernels.MUTANTS)
    assert sum(len(kernels.bugs(key)) for key in RUNGS) == len(rows)
    missed = [r for r in rows if r["caught_by"] == "missed"]
    assert missed and all(f"`{r['text']}`: {r['why']}" in text for r in missed)
    assert all(f"Bugs planted: {len(kernels.bugs(key))}. " in text for key in RUNGS)
    caught = [re.sub(r"[^\d]", " ", row).split() for row in kernels.kinds().splitlines()[2:]]
    assert [sum(int(row[k]) for row in caught) for k in (0, 3)] == [len(rows), len(missed)]


def test_a_difference_without_a_reason_stops_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = kernels.differing("embedding")
    assert line.startswith("*1 atomic* (load bytes, load requests, load sectors): the compiler")
    row = {"rung": "copy", "version": "embedding1_atomic", "unequal": "load_bytes barriers"}
    monkeypatch.setattr(kernels, "of", lambda key, path: [row])
    with pytest.raises(ValueError, match="load_bytes barriers differ without a reason"):
        kernels.differing("copy")


def test_two_readers_count_alike_where_the_page_says_so() -> None:
    rows = facts.read(facts.COUNTED)
    ours, theirs = (
        {(r["rung"], r["case"]): r for r in rows if r["by"] == by} for by in ("simulator", "ptx")
    )
    assert ours.keys() == theirs.keys() and len(ours) > 50
    for (_, case), row in ours.items():
        exempt, _ = EXCEPTIONS.get(case, (set(), ""))
        names = {*SAME, "bytes_touched"} - exempt
        assert {n: row[n] for n in names} == {n: theirs[row["rung"], case][n] for n in names}, case


def test_differences_and_bounds() -> None:
    want = np.array([0.0, 9.0])
    assert facts.difference([np.array([0.5, 9.0], np.float32)], [want]) == 0.5
    assert facts.difference([np.array([0.0, 10.0])], [want]) == pytest.approx(0.1)
    assert facts.difference([np.array([np.nan, 9.0])], [want]) == float("inf")
    assert facts.bound(0.0, 1e-4) == "0" and facts.bound(2e-7, 1e-4) == "1e-06"
    assert facts.bound(3e-7, 1e-4) == "1e-05" and facts.bound(9e-5, 1e-4) == "1e-04"


def test_a_result_that_is_too_far_off_is_not_stored() -> None:
    def crooked(rung, kernel, launch, args):
        facts.simulated(rung, kernel, launch, args)
        args[1].flat[0] += 0.01

    with pytest.raises(RuntimeError, match=r"crooked is .* from NumPy; nothing is stored"):
        facts.agreement("copy", {"crooked": crooked})
