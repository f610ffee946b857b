"""Build, read and verify the book, from a fresh clone with only Python 3.11 or newer.

python make.py site     build the website and print its address
python make.py lab      open the notebooks in JupyterLab (its options may follow)
python make.py test     verify everything: code, notebooks, graders, website
python make.py fast     lint, types and the quick tests, for use while you change code
python make.py clean    remove what was built (--all: the environment too)

The environment is .venv in this folder; nothing else on the machine is changed. This file uses the
standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "lmbook-installed.json"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SITE = ROOT / "_build" / "html" / "index.html"
NEEDED = ("pyproject.toml", "README.md", "_config.yml", "_toc.yml", "book", "chapters", "lmbook")

EXTRAS = {
    "site": ["book"],
    "lab": ["book", "fast", "torch"],
    "fast": ["book", "dev", "fast", "torch"],
    "test": ["book", "dev", "fast", "mpi", "ray", "torch"],
}
TORCH = "torch>=2.9"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

steps: list[tuple[str, float, str]] = []  # name, seconds, outcome


def say(text: str) -> None:
    print(text, flush=True)


def run(name: str, command: list[object], keep_going: bool = False, **environment: str) -> bool:
    """Run one step, show its output, note its seconds; stop at a failure unless told to go on."""
    say(f"\n== {name}")
    start = time.perf_counter()
    settings = {
        **os.environ,
        "PYTHONUTF8": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **environment,
    }
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=settings)
    good = done.returncode == 0
    steps.append((name, time.perf_counter() - start, "ok" if good else "FAILED"))
    if not good and not keep_going:
        finish()
    return good


def finish() -> None:
    """Print the table of steps and leave: 0 when every step succeeded."""
    width = max((len(name) for name, _, _ in steps), default=0)
    say("\n" + "Step".ljust(width) + "  seconds  outcome")
    for name, seconds, outcome in steps:
        say(f"{name.ljust(width)}  {seconds:7.1f}  {outcome}")
    failed = [name for name, _, outcome in steps if outcome != "ok"]
    say(f"\n{'Failed: ' + ', '.join(failed) if failed else 'All is well.'}")
    sys.exit(1 if failed else 0)


# --- The environment -------------------------------------------------------------------------


def wanted_stamp(extras: list[str]) -> dict[str, Any]:
    """What the environment is made from; another value means that it is out of date."""
    text = (ROOT / "pyproject.toml").read_bytes()
    return {
        "pyproject": hashlib.sha256(text).hexdigest(),
        "python": platform.python_version(),
        "folder": str(ROOT),
        "extras": extras,
    }


def stamp() -> dict[str, Any]:
    """What the environment was made from; nothing if it never was, or the note is damaged."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def is_current(extras: list[str]) -> bool:
    have = stamp()
    has_extras = set(extras) <= set(have.get("extras", []))
    return PYTHON.exists() and has_extras and have == wanted_stamp(have["extras"])


def ensure_environment(extras: list[str]) -> None:
    """Make .venv where it is missing and install the package with these extras into it."""
    if is_current(extras):
        say(f"The environment {VENV.name} is up to date.")
        return
    before = stamp().get("extras", [])
    STAMP.unlink(missing_ok=True)
    if not works(PYTHON):
        say(f"Making the environment {VENV.name} (needs the network once; a minute or two)")
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            sys.exit(
                "This Python has no ensurepip, so it cannot make an environment.\n"
                "On Debian and Ubuntu: sudo apt install python3-venv. Then run this again."
            )
        run("make the environment", [sys.executable, "-m", "venv", "--clear", VENV])
    extras = sorted({*extras, *before})
    if "torch" in extras:
        install_torch()
        install_torchvision()
    wish = f"{ROOT}[{','.join(extras)}]"
    name = f"install lmbook[{','.join(extras)}]"
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--editable", wish]
    if not run(name, install, keep_going=True):
        say(
            "\npip could not install what the book needs; its last lines above say why. If it found no\n"
            "version of a package, the network or pip's index is out of reach: mend that, run this again."
        )
        finish()
    STAMP.write_text(json.dumps(wanted_stamp(extras), indent=1), encoding="utf-8")


def works(python: Path) -> bool:
    """Whether an environment is there and runs (it does not after the folder moved)."""
    if not python.exists():
        return False
    return (
        subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


def install_torch() -> None:
    """PyTorch's CPU build, where nothing is installed yet.

    On Linux the package index serves a build of several GB for NVIDIA cards. The book needs none
    of that: take a local file where pip is set up to find one, else PyTorch's own index of CPU
    builds, else whatever the package index has. Elsewhere the ordinary build is the CPU build.
    """
    probe = [str(PYTHON), "-c", "import torch"]
    if subprocess.run(probe, capture_output=True).returncode == 0 or platform.system() != "Linux":
        return
    pip = [PYTHON, "-m", "pip", "install", "--quiet"]
    say("\n== install PyTorch, CPU build")
    start = time.perf_counter()
    local = [*pip, "--no-index", "--no-deps", TORCH]
    index = [*pip, "--retries", "1", "--timeout", "20", "--index-url", TORCH_CPU_INDEX, TORCH]
    for command in (local, index):
        words = [str(part) for part in command]
        if subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0:
            steps.append(("install PyTorch, CPU build", time.perf_counter() - start, "ok"))
            return
    say("The CPU build could not be fetched; the general build follows, which is several GB.")


def install_torchvision() -> None:
    """The torchvision made for the PyTorch that is there: 0.28 for 2.13, 0.29 for 2.14 and so on.

    Each one asks for its PyTorch by number, so a newer one would bring a newer PyTorch, in its build
    of several GB. Without its dependencies it stays small; pip finds nothing to do afterwards.
    """
    probe = "import importlib.metadata as m; m.version('torchvision'); print('there')"
    version = "import importlib.metadata as m; print(m.version('torch'))"
    if output_of(probe) or not (torch := output_of(version)):
        return
    fitting = f"torchvision==0.{int(torch.split('.')[1]) + 15}.*"
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-deps"]
    cpu = [*pip, "--retries", "1", "--timeout", "20", "--index-url", TORCH_CPU_INDEX, fitting]
    commands = [cpu] if "+cpu" in torch else []
    for command in (*commands, [*pip, fitting]):
        words = [str(part) for part in command]
        if subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0:
            return


def output_of(program: str) -> str:
    """What a line of Python prints in the environment; nothing if it fails."""
    done = subprocess.run([str(PYTHON), "-c", program], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


# --- The commands ----------------------------------------------------------------------------


def site() -> None:
    ensure_environment(EXTRAS["site"])
    run("build the website", [PYTHON, "-m", "book.tools.site", "build"])
    say(
        f"\nThe book: {SITE.as_uri()}\n"
        f"Open that address in a browser, or serve the book on this machine:\n"
        f"  {PYTHON.relative_to(ROOT)} -m book.tools.site serve"
    )


def lab() -> None:
    ensure_environment(EXTRAS["lab"])
    say("JupyterLab opens in your browser; stop it here with Ctrl+C.")
    folder = ROOT / "chapters"
    command = [str(PYTHON), "-m", "jupyterlab", f"--notebook-dir={ROOT}"]
    first = next(iter(sorted(folder.glob("*/*.ipynb"))), None)
    if first:
        command.append(f"--LabApp.default_url=/lab/tree/{first.relative_to(ROOT).as_posix()}")
    # Ctrl+C reaches JupyterLab too, which asks, and ends its kernels: wait for it.
    signal.signal(signal.SIGINT, lambda *_: None)
    sys.exit(subprocess.run([*command, *sys.argv[2:]], cwd=ROOT).returncode)


ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def pytest(*arguments: str) -> list[object]:
    """pytest on every core, a file at a time to each, in the order in which tests/conftest.py puts them."""
    workers = ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile"]
    return [PYTHON, "-m", "pytest", "-q", *workers, "--no-loadscope-reorder", *arguments]


def lint_and_types() -> None:
    run("lint", [PYTHON, "-m", "ruff", "check", "."], keep_going=True)
    run("format", [PYTHON, "-m", "ruff", "format", "--check", "."], keep_going=True)
    run("types", [PYTHON, "-m", "mypy"], keep_going=True)


def fast() -> None:
    ensure_environment(EXTRAS["fast"])
    lint_and_types()
    quick = "not slow and not site and not browser"
    run("quick tests", pytest("-m", quick, "tests"), keep_going=True)


def test() -> None:
    ensure_environment(EXTRAS["test"])
    lint_and_types()
    run("build the website", [PYTHON, "-m", "book.tools.site", "build"], keep_going=True)
    if any((ROOT / "chapters").glob("*/*.ipynb")):
        nbval = ["--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "chapters"]
        nbval += ["--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
        # a worker for each core, so one thread for each worker: two pools that compete are slower
        quiet = {"LMBOOK_LIVE": "0", "LMBOOK_PROGRESS": "0", **ONE_THREAD}
        run("notebooks", pytest(*nbval), keep_going=True, **quiet)
    slowest = ["--durations", "40", "--durations-min", "8"]
    # tests start hundreds of programs: compiled modules are kept, even where that is switched off
    quiet = {"PYTHONDONTWRITEBYTECODE": "", **ONE_THREAD}
    run("tests", pytest(*slowest, "tests"), keep_going=True, **quiet)


def clean() -> None:
    for folder in (ROOT / "_build", *([VENV] if "--all" in sys.argv else [])):
        if folder.exists():
            shutil.rmtree(folder)
            say(f"removed {folder.name}")


def main() -> None:
    commands = {"site": site, "lab": lab, "test": test, "fast": fast, "clean": clean}
    wants_help = {"-h", "--help"} & set(sys.argv[1:2] if "lab" in sys.argv else sys.argv)
    if wants_help:
        print(__doc__)
        return
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    strange = set(sys.argv[2:]) - {"--all"} if sys.argv[1] != "lab" else None
    if strange:
        sys.exit(f"make.py {sys.argv[1]} does not take {', '.join(sorted(strange))}\n\n{__doc__}")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    missing = [name for name in NEEDED if not (ROOT / name).exists()]
    if missing:
        sys.exit(f"This copy of the book lacks {', '.join(missing)}: clone the repository again.")
    commands[sys.argv[1]]()
    if steps:
        finish()


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python reads this file too)
        sys.exit(f"Python 3.11 or newer is needed; this is {platform.python_version()}.")
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
