"""Help, doctor, progress, data, book and lab."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from book.tools import site
from lmbook.cli import checkout, doctor
from lmbook.grader import exercises, find, progress, run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "ask", "book", "classify", "data", "doctor", "estimate", "generate", "grade", "lab", "progress",
)  # fmt: skip


def plain(text: str) -> str:
    return " ".join(text.split())


def test_help_names_every_command(lmbook: Any) -> None:
    said = lmbook("--help")
    assert said.exit_code == 0 and all(name in said.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(lmbook: Any, name: str) -> None:
    said = lmbook(name, "--help")
    assert said.exit_code == 0 and "Usage:" in said.stdout


def test_a_wrong_command_ends_with_2(lmbook: Any) -> None:
    assert lmbook("glade").exit_code == 2 and lmbook("doctor", "--jason").exit_code == 2


def test_version_and_start_in_a_process_of_its_own() -> None:
    """Quick help: nothing of the engine, of figures or of notebooks is imported for it."""
    code = (
        "import sys\nfrom lmbook.cli import main\n"
        "try:\n    main(['--version'], prog_name='lmbook')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'matplotlib', 'numba', 'torch', 'rich', 'IPython', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "lmbook" and done.stdout.split()[1][0].isdigit()
    module = [sys.executable, "-m", "lmbook.cli", "progress", "--json"]
    done = subprocess.run(module, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and json.loads(done.stdout)["points"] > 0


# doctor


def test_doctor_in_json(lmbook: Any, home: Path) -> None:
    said = lmbook("doctor", "--json")
    found = json.loads(said.stdout)
    assert said.exit_code == 0 and found["healthy"]
    assert found["required"]["numpy"] and found["backend"]["available"]["numpy"]
    assert set(found["extras"]) >= {"book", "torch", "fast", "dev", "notebooks"}
    assert found["extras"]["torch"]["complete"] and found["extras"]["torch"]["packages"]["torch"]
    assert found["progress_folder"] == str(home / "progress") and found["data"]["sets"]


def test_doctor_says_what_is_missing_and_how_to_get_it(
    lmbook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = doctor.examine()
    found["required"]["tqdm"], found["healthy"] = None, False
    found["extras"]["fast"] |= {"complete": False, "packages": {"numba": None}}
    monkeypatch.setattr(doctor, "examine", lambda: found)
    said = lmbook("doctor")
    assert said.exit_code == 1
    assert "missing: tqdm" in said.stdout and 'pip install "lmbook[fast]"' in said.stdout
    assert "compiled kernels" in said.stdout


def test_every_extra_of_the_package_is_explained() -> None:
    for name, part in doctor.examine()["extras"].items():
        assert part["gives"], f"lmbook doctor does not say what the extra {name!r} gives"


# progress


def test_progress(lmbook: Any) -> None:
    first = exercises("2.1.1")[0]
    said = lmbook("progress", "2.1.1")
    assert said.exit_code == 0 and first.id in said.stdout and "not tried" in said.stdout
    progress.save(run(find("2.1.1-a"), {"sigmoid": lambda x: x}, seed=0))
    rows = json.loads(lmbook("progress", "2.1.1", "--json").stdout)
    (row,) = [r for r in rows["exercises"] if r["id"] == "2.1.1-a"]
    assert (row["status"], row["tries"], row["score"]) == ("not yet", 1, 0) and rows["score"] == 0
    answer: dict[str, Any] = {}
    exec(
        "import numpy as np\ndef sigmoid(x):\n    e = np.exp(-np.abs(x))\n"
        "    return np.where(x >= 0, 1.0, e) / (1.0 + e)",
        answer,
    )
    progress.save(run(find("2.1.1-a"), answer, seed=0))
    said = lmbook("progress")
    assert f"1 of {len(exercises())} exercises solved, {first.points} of" in plain(said.stdout)


def test_progress_of_a_section_without_exercises(lmbook: Any) -> None:
    said = lmbook("progress", "9.9")
    assert said.exit_code == 2 and "no exercises in section 9.9" in said.stderr


# data


def test_data_list(lmbook: Any) -> None:
    rows = json.loads(lmbook("data", "list", "--json").stdout)
    assert rows and all(r["licence"] and r["bytes"] > 0 and r["baselines"] for r in rows)
    said = lmbook("data", "list")
    assert said.exit_code == 0 and all(r["name"] in said.stdout for r in rows)


def test_data_verify(lmbook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing is no fault, damaged is one."""
    monkeypatch.setenv("LMBOOK_CACHE", str(tmp_path / "cache"))
    from lmbook.data import registry

    row = next(row for row in registry.values() if row.archives)
    said = lmbook("data", "verify", row.name, "--json")
    assert said.exit_code == 0
    assert "missing" in {r["state"] for r in json.loads(said.stdout)}
    (tmp_path / "cache").mkdir()
    for archive in row.archives:
        (tmp_path / "cache" / archive.filename).write_bytes(b"not what it should be")
    said = lmbook("data", "verify", row.name)
    assert said.exit_code == 1 and "damaged" in said.stdout


def test_data_of_an_unknown_name(lmbook: Any) -> None:
    said = lmbook("data", "verify", "mnost")
    assert said.exit_code == 2 and "mnost" in said.stderr and "mnist" in said.stderr


# book and lab: what they start, without starting it


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    def note(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 3 if "serve" in command else 0)

    monkeypatch.setattr(subprocess, "run", note)
    return commands


def test_lab(lmbook: Any, started: list[list[str]]) -> None:
    assert lmbook("lab", "--no-browser", "--port", "9999").exit_code == 0
    (command,) = started
    assert command[1:3] == ["-m", "jupyterlab"] and "--port=9999" in command
    assert "--no-browser" in command and f"--notebook-dir={ROOT}" in command


def test_lab_hands_on_the_options_of_jupyterlab(lmbook: Any, started: list[list[str]]) -> None:
    assert lmbook("lab", "--no-browser", "--allow-root", "--ip=0.0.0.0").exit_code == 0
    assert started[0][-3:] == ["--no-browser", "--allow-root", "--ip=0.0.0.0"]


def test_lab_leaves_ctrl_c_to_jupyterlab(lmbook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        signal.raise_signal(signal.SIGINT)  # the terminal sends it to both
        return subprocess.CompletedProcess(command, 0)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(subprocess, "run", interrupted)
    assert lmbook("lab", "--no-browser").exit_code == 0
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("port", ["taken", "99999", "abc"])
def test_serve_on_a_port_that_cannot_be_used(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(site, "SITE", tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = str(other.getsockname()[1]) if port == "taken" else port
        assert site.main(["serve", number]) == 2
    said = capsys.readouterr().out
    assert "serve [PORT]" in said if port == "abc" else f"Port {number} cannot be used" in said


def test_book(lmbook: Any, started: list[list[str]]) -> None:
    assert lmbook("book", "build", "--all").exit_code == lmbook("book", "check").exit_code == 0
    assert lmbook("book", "serve", "8123").exit_code == 3  # the tool's own exit code
    tools = [command[2:] for command in started]
    assert tools == [
        ["book.tools.site", "build", "--all"], ["book.tools.site", "check"], ["book.tools.lint"],
        ["book.tools.exercises", "--check"], ["book.tools.site", "serve", "8123"],
    ]  # fmt: skip


def test_a_tool_that_is_not_installed_is_named(
    lmbook: Any, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for arguments, extra in ((("book", "build"), "jupyter_book"), (("lab",), "JupyterLab")):
        said = lmbook(*arguments)
        assert said.exit_code == 2 and extra in said.stderr and "lmbook[book]" in said.stderr
    assert not started


def test_the_repository_is_found_from_inside_and_missed_outside(
    lmbook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "book")
    assert checkout.root() == ROOT
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    said = lmbook("book", "check")
    assert said.exit_code == 2 and "Clone it" in said.stderr
