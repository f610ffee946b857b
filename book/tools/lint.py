"""Find what would make a notebook's stored outputs break, mislead or be hard to read.

python -m book.tools.lint [FILES]      default: every notebook in chapters/ and solutions/

Every finding says how to mend it. Tags that allow an exception, one cell at a time:
`numbers-ok` (prose: arithmetic, definitions) and `timing-verdict` (code: reads a clock, shows only a
rounded verdict).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from book.tools.notebooks import every_notebook
from book.tools.rules import ROOT, Problem, View, code, outputs, prose

RULES = (*code.RULES, *outputs.RULES, *prose.RULES)


def lint(path: Path, root: Path = ROOT) -> list[Problem]:
    """All findings in one notebook, in the order of its cells."""
    view = View(path, root)
    if view.kind == "exercise":  # generated from its solution, without outputs
        return []
    found = [problem for rule in RULES for problem in rule(view)]
    return sorted(found, key=lambda p: -1 if p.cell is None else p.cell)


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 1 when anything is found."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.lint", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("files", nargs="*", type=Path)
    total = 0
    paths = parser.parse_args(arguments).files or every_notebook()
    for path in paths:
        problems = lint(path)
        total += len(problems)
        if problems:
            print(path)
        for problem in problems:
            print(f"  {problem}")
    print(f"{len(paths)} notebooks, {total} findings")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
