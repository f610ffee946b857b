"""`lmbook doctor`: what is installed, what is missing, and what each optional part would give."""

from __future__ import annotations

from typing import Annotated, Any

import typer

GIVES = {
    "notebooks": "interactive explorers and translation scores in the notebooks",
    "book": "building the website and running the notebooks in JupyterLab",
    "torch": "the outside reference that every layer is compared with",
    "hub": "public checkpoints by their names on the Hugging Face Hub",
    "fast": "compiled kernels (numba) behind the readable NumPy ones",
    "distributed": "ranks as processes for functions of notebooks (cloudpickle)",
    "mpi": "the same ranks under mpirun (mpi4py and MPICH)",
    "ray": "the same ranks in a cluster of Ray",
    "gpu": "the same engine on an NVIDIA GPU (cupy); the book never needs it",
    "nvrtc": "NVIDIA's compiler: registers and spills of a kernel, without a GPU",
    "dev": "tests, lint and types: what `python make.py test` uses",
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Say what is installed here, what is missing and how to get it. Exit code 1 if lmbook cannot work."""
    import json

    found = examine()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    if not found["healthy"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Everything that the command reports, as plain values."""
    import os
    import platform
    import sys
    from importlib.metadata import version

    from lmbook import backend
    from lmbook.grader import progress

    required, optional = _requirements()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "lmbook": version("lmbook"),
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "required": required,
        "extras": optional,
        "backend": {"available": backend.available(), "would_use": _backend()},
        "blas": _blas(),
        "data": _data(),
        "progress_folder": str(progress.folder()),
        "healthy": all(required.values()),
    }


def _requirements() -> tuple[dict[str, str | None], dict[str, dict[str, Any]]]:
    """Versions of the needed packages and of each extra's, None where missing: lmbook's metadata."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    def have(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    required: dict[str, str | None] = {}
    packages: dict[str, dict[str, str | None]] = {name: {} for name in GIVES}
    for line in requires("lmbook") or []:
        match = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra == ["']([\w-]+)["']""", line)
        if match is None or match[0].lower() == "lmbook":
            continue
        if extra is None:
            required[match[0]] = have(match[0])
        else:
            packages.setdefault(extra[1], {})[match[0]] = have(match[0])
    optional = {
        name: {
            "gives": GIVES.get(name, ""),
            "complete": all(found.values()),
            "packages": found,
            "install": f'pip install "lmbook[{name}]"',
        }
        for name, found in packages.items()
        if found
    }
    return required, optional


def _backend() -> str:
    """The backend that a new session takes, without starting it."""
    import os

    from lmbook import backend

    choice = os.environ.get("LMBOOK_BACKEND", "auto")
    if choice == "auto":
        return "numba" if backend.available()["numba"] else "numpy"
    return choice


def _blas() -> dict[str, Any]:
    """The library behind NumPy's matrix products, the kernel it chose for this CPU, its threads."""
    import numpy as np

    unknown = {"library": "unknown", "version": None, "kernel": None, "threads": None, "note": ""}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        config: Any = np.show_config(mode="dicts") or {}
        blas = config.get("Build Dependencies", {}).get("blas", {})
        named = {"library": blas.get("name", "unknown"), "version": blas.get("version")}
        return unknown | named | {"note": "pip install threadpoolctl tells kernel and threads"}
    np.ones((2, 2)) @ np.ones((2, 2))
    for pool in threadpool_info():
        if pool.get("user_api") == "blas" and "numpy" in str(pool.get("filepath", "")):
            return unknown | {
                "library": pool["internal_api"],
                "version": pool.get("version"),
                "kernel": pool.get("architecture"),
                "threads": pool["num_threads"],
            }
    return unknown


def _data() -> dict[str, Any]:
    """The cache of data sets, and the state of each."""
    from lmbook.data import cache_dir, registry
    from lmbook.data.checks import state_of

    sets = {}
    for row in registry.values():
        states = set(state_of(row).values())
        sets[row.name] = next((s for s in ("damaged", "missing") if s in states), "sound")
    return {"cache": str(cache_dir()), "sets": sets}


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    marks = {True: "[blue]✓[/]", False: "[yellow]✗[/]"}
    console.print(
        f"lmbook {found['lmbook']} on Python {found['python']}, {found['system']}, {found['cores']} cores",
        highlight=False,
    )
    missing = [name for name, version in found["required"].items() if version is None]
    needed = ", ".join(f"{n} {v}" for n, v in found["required"].items() if v)
    console.print(f"{marks[not missing]} needed: {needed}", highlight=False)
    if missing:
        console.print(f"  missing: {', '.join(missing)}; run `pip install lmbook` again")
    blas, backend = found["blas"], found["backend"]
    kernel = f", kernel {blas['kernel']}, {blas['threads']} threads" if blas["kernel"] else ""
    console.print(
        f"  BLAS: {blas['library']} {blas['version'] or ''}{kernel} {blas['note']}", highlight=False
    )
    able = ", ".join(name for name, there in backend["available"].items() if there)
    console.print(f"  backend: {backend['would_use']} (available: {able})", highlight=False)
    table = Table("", "extra", "gives", "missing", "install")
    for name, part in found["extras"].items():
        gone = ", ".join(n for n, v in part["packages"].items() if v is None)
        install = "" if part["complete"] else part["install"].replace("[", r"\[")
        table.add_row(marks[part["complete"]], name, part["gives"], gone, install)
    console.print(table)
    sets = Table("", "data set", "state")
    for name, state in found["data"]["sets"].items():
        sets.add_row(marks[state == "sound"], name, state)
    console.print(sets)
    if any(state != "sound" for state in found["data"]["sets"].values()):
        console.print("`lmbook data fetch` fetches what is missing.")
    console.print(f"Data: {found['data']['cache']}", soft_wrap=True, highlight=False)
    console.print(f"Progress: {found['progress_folder']}", soft_wrap=True, highlight=False)
