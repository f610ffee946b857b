"""Execute, verify and set up the book's notebooks.

python -m book.tools.notebooks execute FILES      run and store clean outputs
python -m book.tools.notebooks verify FILES       run again and compare with what is stored
python -m book.tools.notebooks verify --perturb FILES      ... on other BLAS kernels, threads, backends
python -m book.tools.notebooks setup [--check] [FILES]     the standard first cell, in every notebook
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from book.tools import repository

ROOT = Path(__file__).resolve().parents[2]
COSTS = ROOT / "book" / "facts" / "notebook_costs.csv"
STORED = {"LMBOOK_LIVE": "0", "LMBOOK_PROGRESS": "0"}
CELL_METADATA = ("tags", "mystnb", "lmbook")
NOTEBOOK_METADATA = ("lmbook", "mystnb", "title")
EXTRAS = "notebooks,torch,fast"
SETUP = """try:
    import lmbook
except ModuleNotFoundError:
    from IPython import get_ipython

    print("lmbook is not installed here; installing it takes a minute or two")
    get_ipython().run_line_magic("pip", 'install --quiet "lmbook[{extras}] @ {where}"')"""
PERTURBED = (
    {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1", "LMBOOK_BACKEND": "auto"},
    {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "2", "LMBOOK_BACKEND": "numpy"},
    {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "2", "LMBOOK_BACKEND": "auto"},
    {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "1", "LMBOOK_BACKEND": "numpy"},
    {"OPENBLAS_NUM_THREADS": "1", "LMBOOK_BACKEND": "numpy"},
)


class NotebookError(Exception):
    """A notebook that failed to run, or wrote to stderr."""


@dataclass(frozen=True)
class Difference:
    """One output that changed: which cell, what is stored, what came out."""

    cell: int
    name: str
    stored: str
    fresh: str

    def __str__(self) -> str:
        return (
            f"cell {self.cell} ({self.name}):\n    stored  {self.stored}\n    now     {self.fresh}"
        )


# Reading and writing


def read(path: Path) -> NotebookNode:
    """The notebook in `path`, in format 4."""
    return nbformat.read(path, 4)


def write(nb: NotebookNode, path: Path) -> None:
    """Write whole or not at all, with one newline at the end."""
    text = nbformat.writes(nb).rstrip("\n") + "\n"
    half = path.with_name(path.name + ".part")
    half.write_text(text, encoding="utf-8", newline="\n")
    half.replace(path)


def every_notebook(folders: Iterable[str] = ("chapters", "solutions")) -> list[Path]:
    """All notebooks of the book that are written by hand."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    ]


# Cleaning


def normalise(nb: NotebookNode) -> NotebookNode:
    """Bring a notebook into the form that is stored: the same bytes for the same content."""
    nb.nbformat, nb.nbformat_minor = 4, 5
    kept = {k: nb.metadata[k] for k in NOTEBOOK_METADATA if k in nb.metadata}
    nb.metadata = nbformat.from_dict(
        kept
        | {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    seen: set[str] = set()
    count = 0
    for i, cell in enumerate(nb.cells):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,24}", cell.get("id", "")) or cell.id in seen:
            cell.id = next(n for n in (f"c{i}", f"c{i}b", f"c{i}c") if n not in seen)
        seen.add(cell.id)
        cell.metadata = nbformat.from_dict(
            {k: cell.metadata[k] for k in CELL_METADATA if cell.metadata.get(k)}
        )
        cell.pop("attachments", None)
        if cell.cell_type != "code":
            continue
        cell.source = cell.source.rstrip()
        cell.outputs = _clean_outputs(cell.outputs)
        ran = cell.execution_count is not None or bool(cell.outputs)
        count += ran
        cell.execution_count = count if ran else None
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
        _figure_width(cell)
    return nb


def _clean_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream; drop what only a live session needs."""
    clean: list[NotebookNode] = []
    for output in outputs:
        last = clean[-1] if clean else None
        if output.output_type == "stream" and last and last.get("name") == output.name:
            last.text += output.text
            continue
        output.pop("transient", None)
        output.get("metadata", {}).pop("needs_background", None)
        if "data" in output:
            output.data.pop("application/vnd.jupyter.widget-view+json", None)
            if not output.data:
                continue
        clean.append(output)
    return clean


def _figure_width(cell: NotebookNode) -> None:
    """Show a figure at its own size: half as wide as its (retina) picture, unless told otherwise."""
    sizes = [o.metadata["image/png"] for o in cell.outputs if "image/png" in o.get("metadata", {})]
    image = cell.metadata.get("mystnb", {}).get("image")
    if image is not None and sizes and not str(image.get("width", "px")).endswith("%"):
        image["width"] = f"{sizes[0]['width']}px"


# Running


def run(nb: NotebookNode, folder: Path, env: dict[str, str] | None = None) -> float:
    """Execute in place, in `folder`, with a new kernel; return the kernel's peak memory in MB."""
    client = NotebookClient(
        nb, timeout=600, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.reset_execution_trackers()
    peak = 0.0
    with client.setup_kernel(env={**os.environ, **STORED, **(env or {})}):
        for index, cell in enumerate(nb.cells):
            try:
                client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
            except CellExecutionError as error:
                last = f"{error.ename}: {error.evalue}"
                raise NotebookError(f"cell {index} raised {last}\n{cell.source}") from None
            except (CellTimeoutError, DeadKernelError) as error:
                raise NotebookError(f"cell {index}: {str(error).splitlines()[0]}") from None
        peak = _peak(getattr(client.km.provisioner, "pid", None))
    for index, cell in enumerate(nb.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                raise NotebookError(
                    f"cell {index} wrote to stderr; mend its cause (a warning is a finding), do not "
                    f"hide it:\n{output.text.strip()[:600]}"
                )
    return peak


def _peak(pid: int | None) -> float:
    """Largest resident memory of a process so far, in MB; 0 where the system cannot tell."""
    status = Path(f"/proc/{pid}/status")
    if pid is not None and status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found[1]) / 1024 if found else 0.0
    try:
        import psutil

        memory = psutil.Process(pid).memory_info()
    except Exception:
        return 0.0
    return getattr(memory, "peak_wset", memory.rss) / 2**20


def machine() -> str:
    """The machine in words, for the table of costs."""
    model = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", cpu.read_text(), re.MULTILINE)
        model = " ".join(named[1].split()) if named else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {model}, {platform.system()}, Python {platform.python_version()}"


def record(name: str, seconds: float, peak: float) -> None:
    """Keep one row a notebook in the table of costs, in the order of the book."""
    rows: dict[str, list[str]] = {}
    if COSTS.exists():
        with COSTS.open(encoding="utf-8", newline="") as file:
            rows = {row[0]: row for row in list(csv.reader(file))[1:]}
    rows[name] = [name, f"{seconds:.1f}", f"{peak:.0f}", machine()]
    COSTS.parent.mkdir(parents=True, exist_ok=True)
    with COSTS.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "seconds", "peak MB", "machine"])
        table.writerows(rows[key] for key in sorted(rows) if (ROOT / key).exists())


def execute(path: Path) -> tuple[float, float]:
    """Run one notebook and store it with clean outputs; return seconds and peak MB."""
    nb = read(path)
    start = time.perf_counter()
    peak = run(nb, path.parent)
    seconds = time.perf_counter() - start
    write(normalise(nb), path)
    if path.resolve().is_relative_to(ROOT):
        record(path.resolve().relative_to(ROOT).as_posix(), seconds, peak)
    return seconds, peak


# Comparing


def _texts(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    """Every text of a cell's outputs, with its kind; pictures and sounds appear by their presence."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.name, output.text
        elif output.output_type == "error":
            yield "error", f"{output.ename}: {output.evalue}"
        else:
            for kind, value in sorted(output.data.items()):
                text = re.sub(r"data:audio/[^\"]+", "a sound", str(value))
                yield kind, "a picture" if kind.startswith("image/") else text


def _first_change(old: str, new: str) -> tuple[str, str]:
    """The first line in which two texts differ."""
    a, b = [*old.splitlines(), "(end)"], [*new.splitlines(), "(end)"]
    return next(((x, y) for x, y in zip(a, b, strict=False) if x != y), (repr(old), repr(new)))


def differences(stored: NotebookNode, fresh: NotebookNode) -> list[Difference]:
    """Compare two runs of a notebook, text by text, exactly."""
    found = []
    for index, (a, b) in enumerate(zip(stored.cells, fresh.cells, strict=True)):
        if a.cell_type != "code":
            continue
        old, new = list(_texts(a)), list(_texts(b))
        if [k for k, _ in old] != [k for k, _ in new]:
            kinds = [", ".join(k for k, _ in texts) or "nothing" for texts in (old, new)]
            found.append(Difference(index, "kinds of output", *kinds))
            continue
        for (kind, x), (_, y) in zip(old, new, strict=True):
            if x != y:
                found.append(Difference(index, kind, *_first_change(x, y)))
    return found


def changed_pictures(stored: NotebookNode, fresh: NotebookNode) -> list[int]:
    """Cells whose PNG differs by a byte: a note for the author, not a failure."""

    def pictures(cell: NotebookNode) -> list[str]:
        return [
            o.data["image/png"] for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})
        ]

    pairs = enumerate(zip(stored.cells, fresh.cells, strict=True))
    return [i for i, (a, b) in pairs if pictures(a) != pictures(b)]


def verify(path: Path, env: dict[str, str] | None = None) -> tuple[list[Difference], list[int]]:
    """Run a copy of a notebook; return the texts that differ and the cells whose picture does."""
    stored, fresh = read(path), read(path)
    run(fresh, path.parent, env)
    fresh, stored = normalise(fresh), normalise(stored)
    return differences(stored, fresh), changed_pictures(stored, fresh)


# The set-up cell


def setup_source() -> str:
    """What the first code cell says; the address comes from _config.yml."""
    return SETUP.format(extras=EXTRAS, where=repository.install_line())


def set_up(nb: NotebookNode, source: str) -> bool:
    """Write the set-up cell into a notebook; return whether anything changed."""
    tagged = [c for c in nb.cells if "setup" in c.metadata.get("tags", [])]
    if not tagged:
        at = 1 if nb.cells and nb.cells[0].cell_type == "markdown" else 0
        nb.cells.insert(at, new_setup_cell(source))
        return True
    changed = tagged[0].source != source
    tagged[0].source = source
    return changed


def new_setup_cell(source: str) -> NotebookNode:
    """The set-up cell, not yet run."""
    tags = {"tags": ["setup", "hide-cell"]}
    return nbformat.v4.new_code_cell(source, id="setup", metadata=tags)


# Command line


def _each(paths: list[Path], work) -> int:
    """Do `work` for each notebook; report what went wrong; return the exit code."""
    failed = 0
    for path in paths:
        try:
            text, good = work(path)
        except NotebookError as error:
            text, good = str(error), False
        print(f"{'ok  ' if good else 'FAIL'} {path}: {text}", flush=True)
        failed += not good
    return int(failed > 0)


def _execute(path: Path) -> tuple[str, bool]:
    seconds, peak = execute(path)
    return f"{seconds:.1f} s, {peak:.0f} MB", True


def _verify(path: Path, environments: Iterable[dict[str, str]]) -> tuple[str, bool]:
    lines, good = [], True
    for env in environments:
        named = " ".join(f"{k}={v}" for k, v in env.items()) or "as stored"
        texts, pictures = verify(path, env)
        good &= not texts
        note = f"; pictures differ in cells {pictures}" if pictures else ""
        lines.append(f"{named}: {len(texts)} texts differ{note}")
        lines += [f"  {d}" for d in texts]
    return "\n  ".join(lines), good


def _setup(path: Path, check: bool) -> tuple[str, bool]:
    nb = read(path)
    changed = set_up(nb, setup_source())
    if changed and not check:
        write(normalise(nb), path)
        return "set-up cell written; execute the notebook again", True
    return ("set-up cell out of step: run `notebooks setup`" if changed else "in step"), not changed


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.notebooks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("command", choices=("execute", "verify", "setup"))
    parser.add_argument("files", nargs="*", type=Path, help="default: every notebook of the book")
    parser.add_argument("--perturb", action="store_true", help="verify: under other environments")
    parser.add_argument("--check", action="store_true", help="setup: only say what is out of step")
    options = parser.parse_intermixed_args(arguments)
    paths = options.files or every_notebook()
    if options.command == "execute":
        return _each(paths, _execute)
    if options.command == "setup":
        return _each(paths, lambda path: _setup(path, options.check))
    environments = PERTURBED if options.perturb else ({},)
    return _each(paths, lambda path: _verify(path, environments))


if __name__ == "__main__":
    sys.exit(main())
