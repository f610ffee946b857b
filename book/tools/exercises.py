"""Make exercises/ from solutions/: the same notebooks without the answers.

python -m book.tools.exercises             rewrite exercises/
python -m book.tools.exercises --check     exit 1 when a notebook is out of step
python -m book.tools.exercises --prove [SECTIONS]      solutions, hand-outs and wrong answers, tried

In a solution, lines between `# BEGIN SOLUTION` and `# END SOLUTION` are the answer; commented lines
after `# STARTER` in the same block are what the reader gets instead. `name = value  # SOLUTION` becomes
`name = ...`. A cell tagged "solution-only" is left out.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from book.tools import notebooks, repository
from book.tools.notebooks import ROOT
from lmbook.grader.markers import BLOCK, LINE, MARKER, strip

HINT = """\
Each exercise has a cell to fill in and a `check(...)` below it, which says what holds already and gives
a hint. Run the cells from the top. The points of an exercise come all together, when every check of it
passes: two of three earn nothing yet.
[Open this notebook in Colab]({colab}) · `lmbook progress` shows what you have solved · \
`lmbook grade FILE` grades a saved notebook."""


class LeakError(ValueError):
    """A generated notebook still says something of the answer."""


def answers(source: str) -> Iterator[str]:
    """The parts of a cell that must not occur in the hand-out: telling lines, and values."""
    for block in BLOCK.finditer(source):
        given = {line.strip("# \t") for line in (block["starter"] or "").splitlines()}
        for line in block["answer"].splitlines():
            line = line.partition("  #")[0].strip()
            if len(re.sub(r"\s", "", line)) >= 16 and line not in given:
                yield line
    for line in LINE.finditer(source):
        if len(line["value"].strip("\"'")) >= 4:
            yield line["value"]


def hand_out(solution: NotebookNode, path: str) -> NotebookNode:
    """The notebook that the reader gets; `path` is its place in the repository."""
    nb = nbformat.from_dict(solution)
    nb.cells = [
        nbformat.from_dict(cell)
        for cell in solution.cells
        if "solution-only" not in cell.metadata.get("tags", [])
    ]
    notebooks.set_up(nb, notebooks.setup_source())
    hint = nbformat.v4.new_markdown_cell(HINT.format(colab=repository.colab(path)), id="how-to")
    nb.cells.insert(1, hint)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = strip(cell.source), [], None
    nb = notebooks.normalise(nb)
    inspect(solution, nb)
    return nb


def inspect(solution: NotebookNode, nb: NotebookNode) -> None:
    """Raise LeakError if a marker or an answer survived, or a cell no longer is Python."""
    for cell in nb.cells:
        if found := MARKER.search(cell.source):
            raise LeakError(
                f"the marker {found[0]!r} is not one that can be replaced: {cell.source!r}"
            )
        if cell.cell_type == "code":
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                raise LeakError(
                    f"without its answer a cell is not Python ({error}): {cell.source!r}"
                ) from None
    text = "\n".join(cell.source for cell in nb.cells)
    for cell in solution.cells:
        if cell.cell_type != "code":
            continue
        for answer in answers(cell.source):
            if re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text):
                raise LeakError(
                    f"{answer!r} is part of an answer, and the hand-out says it too; move the line out of "
                    "the marked block or change the text that shows it"
                )


def answer_cells(nb: NotebookNode) -> dict[str, int]:
    """Index of each exercise's answer cell, by the exercise's id, which is its tag."""
    found: dict[str, int] = {}
    for i, cell in enumerate(nb.cells):
        for tag in cell.metadata.get("tags", []):
            if re.fullmatch(r"(?:\d|[A-Z])(?:\.\d+){1,2}-[a-z]", tag):
                if tag in found:
                    raise ValueError(f"two cells are tagged {tag}")
                found[tag] = i
    return found


def solutions(root: Path = ROOT) -> list[Path]:
    """Every solution notebook."""
    return [
        p
        for p in sorted((root / "solutions").rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in p.parts
    ]


def generate(path: Path, root: Path = ROOT) -> tuple[Path, str]:
    """The place and the text of the notebook made from one solution."""
    target = root / "exercises" / path.relative_to(root / "solutions")
    nb = hand_out(notebooks.read(path), target.relative_to(root).as_posix())
    return target, nbformat.writes(nb).rstrip("\n") + "\n"


def out_of_step(root: Path = ROOT) -> list[str]:
    """What `--check` complains of, one line each."""
    found, wanted = [], set()
    for path in solutions(root):
        try:
            target, text = generate(path, root)
        except ValueError as error:
            found.append(f"{path.relative_to(root).as_posix()}: {error}")
            continue
        wanted.add(target)
        name = target.relative_to(root).as_posix()
        if not target.exists():
            found.append(f"{name} is missing")
        elif target.read_text(encoding="utf-8") != text:
            found.append(f"{name} is out of step with its solution")
    for path in sorted((root / "exercises").rglob("*.ipynb")):
        if path not in wanted and ".ipynb_checkpoints" not in path.parts:
            found.append(f"{path.relative_to(root).as_posix()} has no solution")
    return found


def rewrite(root: Path = ROOT) -> list[Path]:
    """Write every exercise notebook; return those written."""
    written = []
    for path in solutions(root):
        try:
            target, text = generate(path, root)
        except ValueError as error:
            raise LeakError(f"{path.relative_to(root).as_posix()}: {error}") from None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        written.append(target)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.exercises", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say what is out of step"
    )
    parser.add_argument(
        "--prove", nargs="*", metavar="SECTION", help="try all answers, right and wrong"
    )
    options = parser.parse_args(arguments)
    if options.prove is not None:
        from book.tools import proof

        return proof.main(options.prove)
    if options.check:
        found = out_of_step()
        print("\n".join(found) if found else "exercises/ is in step with solutions/")
        if found:
            print("run `python -m book.tools.exercises`")
        return int(bool(found))
    try:
        for path in rewrite():
            print(f"wrote {path.relative_to(ROOT).as_posix()}")
    except LeakError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
